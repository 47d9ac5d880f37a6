// lock.in-memory: locks in the memory of this process. Not a component of Dapr.
import { schema } from '../../core/metadata.ts';
import { defineLockStore } from '../../blocks/lock/port.ts';

interface Held {
  owner: string;
  /** Milliseconds since 1970. */
  expires: number;
}

const sweepEvery = 60_000; // milliseconds

export default defineLockStore({
  type: 'lock.in-memory',
  status: 'stable',
  // not on Workers: each isolate would have locks of its own
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Locks in the memory of this process; they exclude nobody outside it. For tests and first steps.',
  metadata: schema({}),
  open: async (_metadata, { host }) => {
    const locks = new Map<string, Held>();
    const held = (key: string): Held | undefined => {
      const lock = locks.get(key);
      if (lock === undefined || lock.expires > Date.now()) return lock;
      locks.delete(key);
      return undefined;
    };
    const sweep = host.background ? setInterval(() => { for (const key of locks.keys()) held(key); }, sweepEvery) : undefined;
    (sweep as { unref?(): void } | undefined)?.unref?.();
    return {
      tryLock: async ({ key, owner, seconds }) => {
        if (held(key) !== undefined) return false;
        locks.set(key, { owner, expires: Date.now() + seconds * 1000 });
        return true;
      },
      unlock: async ({ key, owner }) => {
        const lock = held(key);
        if (lock === undefined) return 'missing';
        if (lock.owner !== owner) return 'others';
        locks.delete(key);
        return 'success';
      },
      close: async () => {
        clearInterval(sweep);
        locks.clear();
      },
    };
  },
});
