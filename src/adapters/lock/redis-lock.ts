// How a lock is kept in Redis, whatever carries the commands: a key with the owner as its value and a lifetime (Dapr: components-contrib/lock/redis).
import type { LockStore, Unlocked } from '../../blocks/lock/port.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { RunScript } from '../redis/scripts.ts';

/** KEYS: the lock. ARGV: who says to own it. Answers 0 where it was released, 1 where nobody holds it, 2 where somebody else does. */
const unlockScript = `
local owner = redis.call('GET', KEYS[1])
if not owner then return 1 end
if owner ~= ARGV[1] then return 2 end
redis.call('DEL', KEYS[1])
return 0
`;
const outcomes: readonly Unlocked[] = ['success', 'missing', 'others'];

export const redisLock = ({ command }: Pick<RedisConnection, 'command'>, script: RunScript): Required<Pick<LockStore, 'tryLock' | 'unlock' | 'ping'>> => ({
  tryLock: async ({ key, owner, seconds }) => (await command('SET', key, owner, 'EX', seconds, 'NX')) !== null,
  unlock: async ({ key, owner }) => outcomes[Number(await script(unlockScript, [key], [owner]))] as Unlocked,
  ping: async () => void (await command('PING')),
});
