// lock.redis: a lock is a key with the owner as its value and a lifetime (Dapr: components-contrib/lock/redis/standalone.go).
import { textOfBytes } from '../../core/go-json.ts';
import { property } from '../../core/metadata.ts';
import { defineLockStore, type Unlocked } from '../../blocks/lock/port.ts';
import { openRedis } from '../redis/connection.ts';
import { scriptRunner } from '../redis/scripts.ts';
import { redisSchema } from '../redis/settings.ts';

/** KEYS: the lock. ARGV: who says to own it. Answers 0 where it was released, 1 where nobody holds it, 2 where somebody else does. */
const unlockScript = `
local owner = redis.call('GET', KEYS[1])
if not owner then return 1 end
if owner ~= ARGV[1] then return 2 end
redis.call('DEL', KEYS[1])
return 0
`;
const outcomes: readonly Unlocked[] = ['success', 'missing', 'others'];

export default defineLockStore({
  type: 'lock.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Locks in one Redis, or in the master that sentinels watch. A cluster or replicas could lose a lock and are refused.',
  metadata: redisSchema('lock', {}),
  open: async ({ connection: settings }, { log, signal, properties }) => {
    if ((property(properties, 'redisHost') ?? '') === '') throw new Error('metadata property redisHost is empty');
    if (property(properties, 'redisType') === 'cluster') throw new Error('this component does not support connecting to Redis Cluster');
    const connection = await openRedis(settings, { log, signal, failing: 'error connecting to Redis' });
    const { command } = connection;
    // Some servers that are nearly Redis have no INFO; they pass, as upstream.
    const info = await command('INFO', 'replication').then((reply) => (reply instanceof Uint8Array ? textOfBytes(reply) : ''), () => '');
    if (settings.mode !== 'sentinel' && Number(/^connected_slaves:(\d+)/m.exec(info)?.[1] ?? 0) > 0) {
      await connection.close();
      throw new Error('replication is not supported');
    }
    const script = scriptRunner(connection);
    return {
      tryLock: async ({ key, owner, seconds }) => (await command('SET', key, owner, 'EX', seconds, 'NX')) !== null,
      unlock: async ({ key, owner }) => outcomes[Number(await script(unlockScript, [key], [owner]))] as Unlocked,
      ping: async () => void (await command('PING')),
      close: () => connection.close(),
    };
  },
});
