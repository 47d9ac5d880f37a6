// lock.upstash.redis: the locks of lock.redis through Upstash's REST API, for runtimes without lasting sockets. Not a component of Dapr.
import { schema } from '../../core/metadata.ts';
import { defineLockStore } from '../../blocks/lock/port.ts';
import { openUpstash, upstashFields } from '../redis/upstash.ts';
import { redisLock } from './redis-lock.ts';

export default defineLockStore({
  type: 'lock.upstash.redis',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Locks in Upstash Redis over HTTP; a sidecar with lock.redis on the same database sees the same locks.',
  metadata: schema(upstashFields),
  open: async (metadata, { signal }) => {
    const connection = await openUpstash(metadata, signal);
    return { ...redisLock(connection, connection.script), close: async () => undefined };
  },
});
