// bindings.redis: plain keys of a Redis database.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError } from '../../core/errors.ts';
import { openRedis } from '../redis/connection.ts';
import { redisSchema } from '../redis/settings.ts';
import { ttlOf } from './ttl.ts';

export default defineBinding({
  type: 'bindings.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['OUTPUT_BINDING'],
  summary: 'Writes, reads, counts and deletes plain keys in Redis.',
  metadata: redisSchema('bindings', {}),
  open: async ({ connection: settings }, { host, log, signal }) => {
    const connection = await openRedis(settings, { host, log, signal, failing: 'redis binding: error connecting to redis at' });
    const { command } = connection;
    return {
      operations: ['create', 'delete', 'get', 'increment'],
      invoke: async ({ operation, data, metadata }) => {
        const { key } = metadata;
        if (!key) throw new AdapterError('invalid', 'redis binding: missing key in request metadata');
        if (operation === 'get') {
          const value = await command(metadata.delete === 'true' ? 'GETDEL' : 'GET', key);
          return { data: value instanceof Uint8Array ? value : new Uint8Array(0), metadata: {} };
        }
        if (operation === 'delete') await command('DEL', key);
        else {
          const ttl = ttlOf(metadata);
          if (operation === 'increment') await command('INCR', key);
          // One command where it can be: no value is ever left without the lifetime it was given.
          else if (typeof ttl === 'number' && ttl > 0) await command('SET', key, data, 'EX', ttl);
          else await command('SET', key, data);
          if (ttl instanceof AdapterError) throw ttl; // what was written stays, as upstream
          if (ttl !== undefined && (operation === 'increment' || ttl === 0)) await command('EXPIRE', key, ttl);
        }
        return null;
      },
      close: () => connection.close(),
    };
  },
});
