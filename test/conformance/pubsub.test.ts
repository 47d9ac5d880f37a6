// The brokers that the conformance suite runs against, each with what it declares.
import { startRedis } from '../harness/servers.ts';
import { describePubSub, type PubSubRow } from './pubsub.ts';

const rows: PubSubRow[] = [
  { type: 'pubsub.in-memory', start: async () => ({ metadata: {}, stop: async () => undefined }), operations: ['wildcards'], quirks: {} },
  {
    type: 'pubsub.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
    },
    operations: ['groups', 'history'],
    quirks: { unordered: true },
  },
];

for (const row of rows) describePubSub(row);
