// pubsub.redis: messages in Redis streams, one consumer group per consumerID (components-contrib/pubsub/redis/redis.go).
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { printTexts } from '../../core/json-exact.ts';
import type { Logger } from '../../core/log.ts';
import { definePubSub, type Message, type MessageHandler } from '../../blocks/pubsub/port.ts';
import { openRedis } from '../redis/connection.ts';
import { redisField, redisSchema } from '../redis/settings.ts';
import { createGroup, readNew, reclaim, type StreamEntry, type StreamGroup } from '../redis/streams.ts';

const metadata = redisSchema('pubsub', {
  consumerID: redisField.text().default('').describe('Name of the consumer group and of the consumer in it; default: the app id'),
  redeliverInterval: redisField.duration().default(15_000).describe('How often to look for messages that were taken but never acknowledged; 0 never. Default 15s'),
  processingTimeout: redisField.duration().default(60_000).describe('How long a taken message may stay unacknowledged before it is delivered again; 0 for ever. Default 60s'),
  queueDepth: redisField.uint().default(100).describe('Messages taken from Redis ahead of delivery. Default 100'),
  concurrency: redisField.uint().default(10).describe('Messages delivered at once, over all topics of the component. Default 10'),
  readTimeout: redisField.duration().default(0).describe('How long an answer may take, default 3s; also how long one look for new messages lasts, default for ever'),
  maxLenApprox: redisField.int().default(0).describe('Streams are cut to about this many entries when publishing; 0 not at all'),
  streamTTL: redisField.duration().default(0).describe('Entries older than this are cut away when publishing; 0 never. Not together with maxLenApprox'),
});

const longestBlockMs = 60_000;

/** One subscription's part of the queue. */
interface Reader {
  topic: string;
  handler: MessageHandler;
  closing: boolean;
  /** Ids in the queue, not yet with the app. */
  queued: Set<string>;
  running: number;
  /** Called when nothing of it runs any more. */
  idle: (() => void) | undefined;
}
interface Taken {
  entry: StreamEntry;
  from: Reader;
}

export default definePubSub({
  type: 'pubsub.redis',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: [],
  summary: 'Redis streams with consumer groups.',
  metadata,
  open: async (settings, { host, log, appId, properties, signal }) => {
    const redis = await openRedis(settings.connection, { host, log, signal, failing: 'redis streams: error connecting to redis at' });
    const { maxLenApprox, streamTTL, processingTimeout, redeliverInterval } = settings;
    if (maxLenApprox > 0 && streamTTL > 0) log.warn('redis streams: maxLenApprox and streamTTL cannot be used together; only one stream trimming strategy can be active at a time.');
    // The runtime reads this property by its exact name: `consumerId` is another one.
    const group = (properties.consumerID ?? '').trim() || appId;
    // A new token waits until the connection is not blocked, and must not wait for ever.
    const blockMs = settings.connection.entra === undefined ? Math.max(0, settings.readTimeout) : Math.min(longestBlockMs, Math.max(0, settings.readTimeout) || longestBlockMs);
    const redelivers = processingTimeout > 0 && redeliverInterval > 0;
    // Go's unbuffered queue of depth 0 hands over one at a time as well; without a worker nothing is ever delivered.
    const queue = workQueue(settings.concurrency, Math.max(1, settings.queueDepth), deliver);
    // Taken but not delivered when their subscription was stopped; the next one for the topic begins with them.
    const left = new Map<string, { entry: StreamEntry; at: number }[]>();
    let closed = false;

    const leave = ({ entry, from }: Taken): void => {
      const list = left.get(from.topic) ?? [];
      left.set(from.topic, list);
      list.push({ entry, at: Date.now() });
    };
    async function deliver(taken: Taken): Promise<void> {
      const { entry, from } = taken;
      from.queued.delete(entry.id);
      if (from.closing) return leave(taken);
      const started = Date.now();
      from.running++;
      try {
        const failed = await from.handler(messageOf(from.topic, entry, log), background).then(() => false, (error) => {
          log.error(`error processing Redis message ${entry.id}: ${textOf(error)}`);
          return true;
        });
        // A failed message is acknowledged too, except where somebody will see to it again: this subscription ends, or it was reclaimed meanwhile.
        if (failed && from.closing) return leave(taken);
        if (failed && redelivers && Date.now() - started >= processingTimeout) return;
        await redis.command('XACK', from.topic, group, entry.id);
      } catch (error) {
        log.error(`error acknowledging Redis message ${entry.id}: ${textOf(error)}`);
      } finally {
        if (--from.running === 0) from.idle?.();
      }
    }

    return {
      publish: async ({ topic, data, metadata }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const trim = maxLenApprox > 0 ? ['MAXLEN', '~', maxLenApprox] : streamTTL > 0 ? ['MINID', '~', `${Date.now() - streamTTL}-1`] : [];
        try {
          await redis.command('XADD', topic, ...trim, '*', 'data', data, ...(metadata === undefined ? [] : ['metadata', printTexts(metadata)]));
        } catch (error) {
          throw new AdapterError('unavailable', `redis streams: error from publish: ${textOf(error)}`, error);
        }
      },

      subscribe: async ({ topic }, handler) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        await createGroup(redis, topic, group);
        const connection = await redis.another({ blocking: true });
        const from: Reader = { topic, handler, closing: false, queued: new Set(), running: 0, idle: undefined };
        const stream: StreamGroup = {
          stream: topic, group, count: Math.max(1, settings.queueDepth), log, closing: () => from.closing,
          take: async (entries) => {
            for (const entry of entries) {
              from.queued.add(entry.id);
              await queue.push({ entry, from });
            }
          },
        };
        const begun = (left.get(topic) ?? []).filter(({ at }) => !redelivers || Date.now() - at < processingTimeout).map(({ entry }) => entry);
        left.delete(topic);
        void stream.take(begun).then(() => readNew(connection, redis, blockMs, stream));
        const look = () => reclaim(redis, processingTimeout, (id) => from.queued.has(id), stream).catch((error) => {
          if (!from.closing) log.error(`error reclaiming pending Redis messages of stream ${topic}: ${textOf(error)}`);
        });
        const watch = redelivers ? repeat(look, redeliverInterval) : undefined;
        return {
          close: async () => {
            if (from.closing) return;
            from.closing = true;
            watch?.stop();
            // The reader may never hear of it: ioredis forgets commands it was about to send again. What still comes in is left as well.
            connection.client.disconnect();
            for (const taken of queue.withdraw((item) => item.from === from)) leave(taken);
            if (from.running > 0) await new Promise<void>((resolve) => { from.idle = resolve; });
          },
        };
      },

      ping: async () => {
        try {
          await redis.command('PING');
        } catch (error) {
          throw new AdapterError('unavailable', `redis pubsub: error connecting to redis at ${redis.address}: ${textOf(error)}`, error);
        }
      },
      close: async () => {
        closed = true;
        await redis.close();
      },
    };
  },
});

function messageOf(topic: string, { fields }: StreamEntry, log: Logger): Message {
  const stored = fields.get('metadata');
  return { topic, data: fields.get('data') ?? new Uint8Array(0), metadata: stored === undefined ? {} : metadataOf(stored, log) };
}

/** What Go makes of it in a map of texts: other values become empty, other shapes nothing. */
function metadataOf(stored: Uint8Array, log: Logger): Record<string, string> {
  try {
    const value: unknown = JSON.parse(textOfBytes(stored));
    if (value === null) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, typeof text === 'string' ? text : '']));
    log.warn('could not extract metadata of a Redis message: it is no object');
  } catch (error) {
    log.warn(`could not extract metadata of a Redis message: ${textOf(error)}`);
  }
  return {};
}

/** Works off items, `atOnce` at a time; `push` resolves when fewer than `depth` are waiting. */
function workQueue<T>(atOnce: number, depth: number, work: (item: T) => Promise<void>) {
  let items: T[] = [];
  let running = 0;
  let waiting: (() => void)[] = [];
  const room = () => {
    const released = waiting;
    waiting = [];
    for (const release of released) release();
  };
  const pump = () => {
    while (running < atOnce && items.length > 0) {
      running++;
      void work(items.shift() as T).finally(() => {
        running--;
        pump();
      });
    }
    if (items.length < depth && waiting.length > 0) room();
  };
  return {
    push: async (item: T): Promise<void> => {
      items.push(item);
      pump();
      while (items.length >= depth) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    /** Takes back what has not begun. */
    withdraw: (which: (item: T) => boolean): T[] => {
      const taken = items.filter(which);
      items = items.filter((item) => !which(item));
      room();
      return taken;
    },
  };
}

/** Runs at once and then every so often, never twice at a time. */
function repeat(work: () => Promise<void>, everyMs: number): { stop(): void } {
  let running = false;
  const run = async () => {
    if (running) return;
    running = true;
    await work();
    running = false;
  };
  void run();
  const timer = setInterval(run, everyMs);
  return { stop: () => clearInterval(timer) };
}
