// configuration.redis: an item is a text `value||version` under its plain key; changes are told by keyspace notifications.
import type { Redis } from 'ioredis';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { type ConfigurationItem, type ConfigurationItems, defineConfigurationStore } from '../../blocks/configuration/port.ts';
import { createSubscribers } from '../../blocks/configuration/subscribers.ts';
import { openRedis, type RedisConnection, type RedisReply } from '../redis/connection.ts';
import { redisSchema } from '../redis/settings.ts';

/** Keyspace events of generic commands, texts, expiry and eviction, as upstream asks for them. */
const wantedEvents = 'Kg$xe';
/** How long a subscription waits for Redis to confirm it; later ones are confirmed when the connection is back. */
const patienceMs = 3000;
const keysPerCommand = 1000;

export default defineConfigurationStore({
  type: 'configuration.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Configuration items as texts in Redis, `value||version`; every key of the database is one.',
  metadata: redisSchema('configuration', {}),
  open: async ({ connection: settings }, { host, log, signal }) => {
    const redis = await openRedis(settings, { host, log, signal, failing: 'redis store: error connecting to redis at' });
    const subscribers = createSubscribers(log);
    const channelPrefix = `__keyspace@${settings.database}__:`;
    const everything = `${channelPrefix}*`;
    let listener: Promise<RedisConnection> | undefined;
    let closed = false;

    const get = async (keys: readonly string[]): Promise<Map<string, ConfigurationItem>> => {
      const wanted = keys.length === 0 ? await allKeys(redis) : [...new Set(keys)];
      const items = new Map<string, ConfigurationItem>();
      for (let from = 0; from < wanted.length; from += keysPerCommand) {
        const some = wanted.slice(from, from + keysPerCommand);
        for (const [i, stored] of (await valuesOf(redis, some)).entries()) {
          const item = stored instanceof Uint8Array ? itemOf(textOfBytes(stored)) : undefined;
          if (item !== undefined) items.set(some[i] as string, item);
        }
      }
      return items;
    };
    const changed = (channel: string, forAll: boolean): void => {
      if (!channel.startsWith(channelPrefix)) return;
      const key = channel.slice(channelPrefix.length);
      const read = async (): Promise<ConfigurationItems> => {
        const items = await get([key]);
        return items.size > 0 ? items : new Map([[key, { value: '', version: '', metadata: {} }]]);
      };
      subscribers.notify(key, read, ({ keys }) => (keys.size === 0) === forAll);
    };
    // replaces what the server published before, as upstream: nobody else may use this setting
    const askForEvents = () => redis.command('CONFIG', 'SET', 'notify-keyspace-events', wantedEvents).catch((error) => log.warn(`redis at ${redis.address} cannot be told to publish key events (notify-keyspace-events ${wantedEvents}): ${textOf(error)}`));
    /** The one connection that listens, for all subscriptions; ioredis subscribes again by itself when it was lost. */
    const listening = async (): Promise<Redis> => {
      listener ??= redis.another({ blocking: true, listening: true }).then((connection) => {
        const client = connection.client as Redis;
        client.on('message', (channel: string) => changed(channel, false));
        client.on('pmessage', (_pattern: string, channel: string) => changed(channel, true));
        // a server that was restarted has forgotten what it should publish
        client.on('ready', () => void askForEvents());
        return connection;
      });
      return (await listener).client as Redis;
    };
    const channelsOf = (keys: Iterable<string>): string[] => [...keys].map((key) => channelPrefix + key);

    return {
      get: ({ keys }) => get(keys),
      subscribe: async ({ keys }, handler) => {
        if (closed) throw new AdapterError('invalid', 'configuration store is closed');
        if (redis.clustered) throw new AdapterError('invalid', 'a Redis cluster tells changes per node; subscribing is supported on one node or behind sentinels');
        await askForEvents();
        const client = await listening();
        const subscriber = subscribers.add({ keys }, handler);
        try {
          await confirmed(keys.length === 0 ? client.psubscribe(everything) : client.subscribe(...channelsOf(subscriber.keys)));
        } catch (error) {
          subscribers.remove(subscriber.id);
          throw new AdapterError('internal', textOf(error), error);
        }
        return subscriber.id;
      },
      unsubscribe: async (id) => {
        const gone = subscribers.remove(id);
        if (gone === undefined) throw new AdapterError('invalid', `subscription with id ${id} does not exist`);
        const client = await listening();
        const others = [...subscribers.all()];
        const left = new Set(others.flatMap(({ keys }) => [...keys]));
        const unused = [...gone.keys].filter((key) => !left.has(key));
        if (unused.length > 0) await confirmed(client.unsubscribe(...channelsOf(unused)));
        else if (gone.keys.size === 0 && !others.some(({ keys }) => keys.size === 0)) await confirmed(client.punsubscribe(everything));
      },
      ping: async () => void (await redis.command('PING')),
      close: async () => {
        closed = true;
        subscribers.clear();
        (await listener?.catch(() => undefined))?.client.disconnect();
        await redis.close();
      },
    };
  },
});

/** The value stands before the first `||`, the version before the second; an item without a value is none. */
function itemOf(stored: string): ConfigurationItem | undefined {
  const [value = '', version = ''] = stored.split('||');
  return value === '' ? undefined : { value, version, metadata: {} };
}

/** Bytes for texts; missing keys and those of other types are null. */
async function valuesOf(redis: RedisConnection, keys: readonly string[]): Promise<RedisReply[]> {
  if (!redis.clustered) return (await redis.command('MGET', ...keys)) as RedisReply[];
  return Promise.all(
    keys.map((key) =>
      redis.command('GET', key).catch((error: unknown) => {
        if (/WRONGTYPE/.test(textOf(error))) return null;
        throw error;
      }),
    ),
  );
}

async function allKeys(redis: RedisConnection): Promise<string[]> {
  const keys = new Set<string>();
  for (const server of await redis.masters()) {
    let cursor = '0';
    do {
      const [next, some] = (await server.command('SCAN', cursor, 'COUNT', keysPerCommand)) as [Uint8Array, Uint8Array[]];
      for (const key of some) keys.add(textOfBytes(key));
      cursor = textOfBytes(next);
    } while (cursor !== '0');
  }
  return [...keys];
}

async function confirmed(work: Promise<unknown> | undefined): Promise<void> {
  if (work === undefined) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([work, new Promise((resolve) => (timer = setTimeout(resolve, patienceMs)))]).finally(() => clearTimeout(timer));
}
