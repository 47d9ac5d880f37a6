// lock.redis: locks in one Redis, as daprd keeps them (Dapr: components-contrib/lock/redis/standalone.go).
import { textOfBytes } from '../../core/go-json.ts';
import { property } from '../../core/metadata.ts';
import { defineLockStore } from '../../blocks/lock/port.ts';
import { openRedis } from '../redis/connection.ts';
import { scriptRunner } from '../redis/scripts.ts';
import { redisSchema } from '../redis/settings.ts';
import { redisLock } from './redis-lock.ts';

export default defineLockStore({
  type: 'lock.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Locks in one Redis, or in the master that sentinels watch. A cluster or replicas could lose a lock and are refused.',
  metadata: redisSchema('lock', {}),
  open: async ({ connection: settings }, { host, log, signal, properties }) => {
    if ((property(properties, 'redisHost') ?? '') === '') throw new Error('metadata property redisHost is empty');
    if (property(properties, 'redisType') === 'cluster') throw new Error('this component does not support connecting to Redis Cluster');
    const connection = await openRedis(settings, { host, log, signal, failing: 'error connecting to Redis' });
    const { command } = connection;
    // Some servers that are nearly Redis have no INFO; they pass, as upstream.
    const info = await command('INFO', 'replication').then((reply) => (reply instanceof Uint8Array ? textOfBytes(reply) : ''), () => '');
    if (settings.mode !== 'sentinel' && Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0) > 0) {
      await connection.close();
      throw new Error('replication is not supported');
    }
    return { ...redisLock(connection, scriptRunner(connection)), close: () => connection.close() };
  },
});
