// The brokers that the conformance suite runs against, each with what it declares.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMosquitto, startNats, startRedis } from '../harness/servers.ts';
import { addStream } from './jetstream.ts';
import { describePubSub, type PubSubRow } from './pubsub.ts';

const rows: PubSubRow[] = [
  { type: 'pubsub.in-memory', start: async () => ({ metadata: {}, stop: async () => undefined }), operations: ['metadata', 'wildcards'], quirks: { isolated: true } },
  {
    type: 'pubsub.sqlite',
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-pubsub-'));
      return { metadata: { connectionString: join(dir, 'pubsub.db'), orderedRetryTime: '300ms' }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
    },
    operations: ['groups', 'metadata'],
    quirks: {},
  },
  {
    type: 'pubsub.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
    },
    operations: ['groups', 'history', 'metadata'],
    quirks: { unordered: true },
  },
  {
    type: 'pubsub.mqtt3',
    servers: ['mosquitto'],
    start: async () => {
      const mosquitto = await startMosquitto();
      return { metadata: { url: `tcp://127.0.0.1:${mosquitto.port}` }, stop: () => mosquitto.stop() };
    },
    operations: ['wildcards'],
    quirks: { unordered: true, wildcard: '+' },
  },
  {
    type: 'pubsub.jetstream',
    servers: ['nats'],
    start: async () => {
      const nats = await startNats();
      await addStream(nats.url, 'all', ['*']);
      return { metadata: { natsURL: nats.url, ackWait: '1s' }, stop: () => nats.stop() };
    },
    operations: ['history'],
    quirks: {},
  },
];

for (const row of rows) describePubSub(row);
