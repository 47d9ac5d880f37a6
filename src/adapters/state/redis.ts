// state.redis: one hash per key in Redis, with a version as etag.
import { defineStateStore } from '../../blocks/state/port.ts';
import { openRedis } from '../redis/connection.ts';
import { scriptRunner } from '../redis/scripts.ts';
import { redisField, redisSchema } from '../redis/settings.ts';
import { openRedisState } from '../redis/state-format.ts';

export default defineStateStore({
  type: 'state.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE'],
  summary: 'State in Redis: a node, a cluster, or a master watched by sentinels.',
  metadata: redisSchema('state', {
    ttlInSeconds: redisField.int().optional().describe('Lifetime in seconds of values saved without one; default: they stay'),
    queryIndexes: redisField.text().default('').describe('JSON; indexes for the query API, which is not built yet'),
  }),
  open: async ({ connection: settings, ttlInSeconds, queryIndexes }, { log, signal, name }) => {
    const connection = await openRedis(settings, { log, signal, failing: 'redis store: error connecting to redis at' });
    try {
      if (queryIndexes !== '') log.warn(`state store ${name}: queryIndexes has no effect, the query API is not built yet`);
      const state = await openRedisState({ ...connection, script: scriptRunner(connection) }, { ttlInSeconds, textOnly: false, waitForReplicas: true });
      let warned = false;
      return {
        ...state,
        transact: async (operations, metadata, context) => {
          if (!warned) log.warn(`state store ${name}: Redis keeps what a failed transaction has already written, mind that for actors`);
          warned = true;
          await state.transact(operations, metadata, context);
        },
        close: () => connection.close(),
      };
    } catch (error) {
      await connection.close();
      throw error;
    }
  },
});
