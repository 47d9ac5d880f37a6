// state.redis: one hash per key in Redis, with a version as etag.
import { defineStateStore } from '../../blocks/state/port.ts';
import { openRedis } from '../redis/connection.ts';
import { scriptRunner } from '../redis/scripts.ts';
import { createQueryIndexes, parseQueryIndexes, redisQuery } from '../redis/query.ts';
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
    queryIndexes: redisField.text().default('').describe('Indexes for the query API, a JSON list of `{"name": …, "indexes": [{"key": "person.id", "type": "NUMERIC"}]}`; needs RedisJSON and RediSearch'),
  }),
  open: async ({ connection: settings, ttlInSeconds, queryIndexes }, { host, log, signal, name }) => {
    const indexes = parseQueryIndexes(queryIndexes);
    const connection = await openRedis(settings, { host, log, signal, failing: 'redis store: error connecting to redis at' });
    try {
      await createQueryIndexes(connection.command, indexes, log);
      const { hasJson, ...state } = await openRedisState({ ...connection, script: scriptRunner(connection) }, { ttlInSeconds, textOnly: false, waitForReplicas: true });
      let warned = false;
      return {
        ...state,
        ...(hasJson ? { features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'QUERY_API', 'KEYS_LIKE'] } : {}),
        query: redisQuery(connection.command, indexes, hasJson),
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
