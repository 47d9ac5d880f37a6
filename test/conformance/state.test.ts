// The state stores that the conformance suite runs against, each with what it declares and where it is peculiar.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, startRedis } from '../harness/servers.ts';
import { startUpstash } from '../harness/upstash-proxy.ts';
import { describeStateStore, type StateRow } from './state.ts';

const redisQuirks: StateRow['quirks'] = { badEtag: '9999999', malformedEtag: 'no-number', tellsExpiry: false, keepsTtl: true, deletesMissing: true, noRollback: true };

const postgresql = (version: string, quirks: Pick<StateRow['quirks'], 'badEtag' | 'malformedEtag' | 'refusesNul'>): StateRow => ({
  type: 'state.postgresql',
  version,
  servers: ['postgres'],
  start: async () => {
    const postgres = await startPostgres();
    return { metadata: { connectionString: `host=127.0.0.1 port=${postgres.port} user=postgres database=postgres` }, stop: () => postgres.stop() };
  },
  operations: ['etag', 'firstWrite', 'transaction', 'ttl', 'keysLike', ...(version === 'v1' ? (['query'] as const) : [])],
  quirks: { ...quirks, tellsExpiry: true, keepsTtl: false },
});

const rows: StateRow[] = [
  {
    type: 'state.in-memory',
    start: async () => ({ metadata: {}, stop: async () => undefined }),
    operations: ['etag', 'firstWrite', 'transaction', 'ttl', 'keysLike', 'deleteWithPrefix'],
    quirks: { badEtag: 'bad-etag', tellsExpiry: true, keepsTtl: false },
  },
  {
    type: 'state.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
    },
    operations: ['etag', 'firstWrite', 'transaction', 'ttl', 'keysLike'],
    quirks: redisQuirks,
  },
  {
    type: 'state.upstash.redis',
    servers: ['redis'],
    start: async () => {
      const { url, stop } = await startUpstash('secret');
      return { metadata: { url, token: 'secret' }, stop };
    },
    operations: ['etag', 'firstWrite', 'transaction', 'ttl', 'keysLike'],
    quirks: redisQuirks,
  },
  {
    type: 'state.sqlite',
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-sqlite-'));
      return { metadata: { connectionString: join(dir, 'state.db') }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
    },
    operations: ['etag', 'firstWrite', 'transaction', 'ttl', 'keysLike'],
    quirks: { badEtag: 'bad-etag', tellsExpiry: true, keepsTtl: false },
  },
  postgresql('v1', { badEtag: '1', malformedEtag: 'no-number', refusesNul: true }),
  postgresql('v2', { badEtag: '8d8e4b4e-0000-4000-8000-000000000000' }),
];

for (const row of rows) describeStateStore(row);
