// pubsub.sqlite: a durable broker in one SQLite file, shared by the sidecars of one machine. Not a component of Dapr.
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { printTexts } from '../../core/json-exact.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { field, schema } from '../../core/metadata.ts';
import { subscribeInBatches } from '../../blocks/pubsub/batches.ts';
import { definePubSub, type Message, type MessageHandler, type Subscription } from '../../blocks/pubsub/port.ts';
import { ttlOf } from '../../blocks/pubsub/ttl.ts';
import { locationOf, sqliteConnectionAliases, sqliteConnectionFields } from '../sqlite/connection.ts';
import { openSqlite, type SharedDatabase } from '../sqlite/database.ts';
import { type Consumer, startConsumer } from '../sqlite/message-consumer.ts';
import { createMessageLog, groupReader, type LoggedMessage, messageCleaner, messageWriter, type Rules } from '../sqlite/message-log.ts';

const longestPauseMs = 60_000;
// In order nothing is gained by leaving messages to others: one transaction takes so many.
const takenAhead = 20;
// A bulk subscription has one batch at the app while the next one gathers.
const batchesAtOnce = 2;
const usualBatch = 100;
// Consumed messages are removed soon after, the rest is looked through once a minute.
const tidyMs = 1000;
const sweepMs = 60_000;
// Where the directory can be watched, looking is only a safety net.
const watchedLookMs = 250;
const unwatchedLookMs = 25;

export default definePubSub({
  type: 'pubsub.sqlite',
  aliases: ['pubsub.sqlite3'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['MESSAGE_TTL'],
  summary: 'A durable broker in a SQLite file: groups, order, redelivery; for the sidecars of one machine.',
  metadata: schema(
    {
      ...sqliteConnectionFields({ timeoutMs: 20_000, busyTimeoutMs: 10_000 }),
      consumerID: field.text().default('').describe('Group whose members share the messages of a topic; default is the app id. A new group gets what is published from its first subscription on, and keeps its place while nobody is there.'),
      concurrencyMode: field.text().default('single').describe('`single`: a group has one message at a time in hand, in the order of publishing. `parallel`: as many as `concurrency` says for each subscription, so that they may overtake each other.'),
      concurrency: field.integer().default(10).describe('Messages that one subscription has in hand at once, with `concurrencyMode: parallel`.'),
      redeliverInterval: field.duration().default(100).describe('Pause before a failed message comes again; doubled with every failure, up to a minute. Default 100ms.'),
      orderedRetryTime: field.duration().default(15_000).describe('How long the messages behind a failed one wait for it, with `concurrencyMode: single`, so that a restart of the app does not change the order. After that they go on, and it comes again later. Default 15s.'),
      maxDeliveryAttempts: field.integer().default(0).describe('Failures after which a message is removed; 0: never. A dead-letter topic takes it at the first one.'),
      leaseTime: field.duration().default(10_000).describe('When messages of a consumer that was killed go to the others. A slow handler of a living one keeps its message. Default 10s, at least 1s.'),
      retention: field.duration().default(7 * 24 * 3600_000).describe('Messages older than this are removed, also where a group has not had them; so are groups that nobody used for so long. Default 168h; 0: never.'),
      maxLength: field.integer().default(1_000_000).describe('Messages a topic may hold; the oldest are removed. 0: no limit.'),
      ttlInSeconds: field.integer().default(0).describe('How long a message lives that brings no ttlInSeconds of its own; 0: until it is consumed.'),
    },
    sqliteConnectionAliases,
  ),
  open: async (metadata, { host, log, appId, properties }) => {
    const { concurrencyMode, retention, maxLength } = metadata;
    const location = locationOf(metadata, log);
    if (location.memory) throw new Error('pubsub.sqlite needs a file; use pubsub.in-memory for messages that never leave the process');
    if (concurrencyMode !== 'single' && concurrencyMode !== 'parallel') throw new Error(`invalid concurrencyMode ${concurrencyMode}: must be single or parallel`);
    const rules: Rules = {
      ordered: concurrencyMode === 'single', lease: Math.max(1000, metadata.leaseTime), firstPause: Math.max(1, metadata.redeliverInterval), longestPause: longestPauseMs,
      holdBack: concurrencyMode === 'single' ? Math.max(0, metadata.orderedRetryTime) : 0, mostAttempts: metadata.maxDeliveryAttempts,
    };
    const name = (properties.consumerID ?? '').trim() || appId;

    // A message is on the disk when publish() resolves. What a consumer notes may be lost with the machine's power, not with a process:
    // then messages come twice, and no delivery has to wait for the disk.
    const writing = await openSqlite(host, location, metadata, createMessageLog);
    const reading = await openSqlite(host, { ...location, pragmas: [...location.pragmas, 'synchronous = NORMAL', 'journal_size_limit = 16777216'] }, metadata, () => undefined).catch(async (error) => {
      await writing.close();
      throw error;
    });
    const writer = messageWriter(writing);
    const consumers = new Map<Consumer, { topic: string; reader: ReturnType<typeof groupReader> }>();
    const wakeAll = (topic?: string) => {
      for (const [consumer, of] of consumers) if (topic === undefined || of.topic === topic) consumer.wake();
    };
    const bell = await openBell(host, metadata.connectionString.replace(/\?.*$/s, '').replace(/^file:(\/\/)?/i, ''), reading, () => wakeAll());
    const tidying = tidy(reading, { host, log, retention, maxLength, seen: () => [...consumers.values()].map(({ reader }) => reader) });
    const concurrency = Math.max(1, metadata.concurrency);
    let closed = false;

    const subscribe = async (topic: string, handler: MessageHandler, { atOnce, inHand }: { atOnce: number; inHand: number }): Promise<Subscription> => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
      const reader = groupReader(reading, { topic, name }, rules);
      await reading.write(() => reader.join());
      const consumer = startConsumer({
        database: reading, reader, owner: crypto.randomUUID(), atOnce, inHand, lease: rules.lease, title: `pubsub.sqlite: topic ${topic}, group ${name}`, log,
        handle: (message) => handler(messageOf(topic, message), background),
        onFinished: () => tidying.soon(topic),
      });
      consumers.set(consumer, { topic, reader });
      bell.listen();
      return {
        close: async () => {
          await consumer.close();
          consumers.delete(consumer);
          // Another member of the group may go on with what was given back.
          wakeAll(topic);
          void bell.ring();
          if (consumers.size === 0) bell.stop();
        },
      };
    };

    return {
      publish: async ({ topic, data, metadata: given }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const ttl = ttlOf(given) ?? (metadata.ttlInSeconds > 0 ? metadata.ttlInSeconds * 1000 : undefined);
        const message = { topic, data, metadata: given === undefined ? null : printTexts(given), expiresAt: ttl === undefined ? null : Date.now() + ttl };
        await writing.write(() => writer.add(message));
        wakeAll(topic);
        void bell.ring();
      },
      subscribe: ({ topic }, handler) => subscribe(topic, handler, rules.ordered ? { atOnce: 1, inHand: takenAhead } : { atOnce: concurrency, inHand: concurrency }),
      bulkSubscribe: (request, handler) => {
        const inHand = batchesAtOnce * (request.maxMessagesCount > 0 ? request.maxMessagesCount : usualBatch);
        return subscribeInBatches({ request, handler, immediate: false, subscribe: (gather) => subscribe(request.topic, gather, { atOnce: inHand, inHand }) });
      },
      ping: async () => void (await reading.read(() => reading.prepare('SELECT 1').get())),
      close: async () => {
        if (closed) return;
        closed = true;
        bell.stop();
        tidying.stop();
        await Promise.all([...consumers.keys()].map((consumer) => consumer.close()));
        await Promise.all([writing.close(), reading.close()]);
      },
    };
  },
});

const messageOf = (topic: string, { data, metadata }: LoggedMessage): Message => ({ topic, data, metadata: metadata === null ? {} : (JSON.parse(metadata) as Record<string, string>) });

/**
 * Tells the other sidecars that there is something new, and hears of it from them: by a file in a folder beside the database, touched
 * after each publish and watched by consumers. (To watch the database itself would be to hear of a commit before it can be read.)
 * Where folders cannot be watched, and in case a change goes unheard, consumers look by themselves.
 */
async function openBell({ files, disk }: Host, databasePath: string, database: SharedDatabase, onRing: () => void) {
  const folder = `${databasePath}-wake`;
  const watchable = disk !== undefined && files?.watch !== undefined && (await disk.makeFolder(folder).then(() => true, () => false));
  const nothing = new Uint8Array(0);
  const version = database.prepare('PRAGMA data_version');
  let last: unknown;
  let timer: ReturnType<typeof setInterval> | undefined;
  let watch: { close(): void } | undefined;
  let ringing = false, ringAgain = false;
  const look = () =>
    void database.read(() => version.get()?.data_version).then((now) => {
      if (now !== last) onRing();
      last = now;
    }, onRing);
  const ring = async (): Promise<void> => {
    if (!watchable) return;
    ringAgain = true;
    if (ringing) return;
    ringing = true;
    while (ringAgain) {
      ringAgain = false;
      await disk.write(`${folder}/published`, nothing).catch(() => undefined);
    }
    ringing = false;
  };
  return {
    ring,
    listen: () => {
      if (timer !== undefined) return;
      try {
        watch = watchable ? files?.watch?.(folder, onRing) : undefined;
      } catch {
        watch = undefined; // the system's watches are used up
      }
      timer = setInterval(look, watch === undefined ? unwatchedLookMs : watchedLookMs);
      (timer as { unref?(): void }).unref?.();
    },
    stop: () => {
      clearInterval(timer);
      timer = undefined;
      watch?.close();
    },
  };
}

interface TidyOptions {
  host: Host;
  log: Logger;
  retention: number;
  maxLength: number;
  /** The groups in use here. */
  seen(): { join(): void }[];
}
/** Keeps the file small: what everybody has had, what is too old, what is too much. */
function tidy(database: SharedDatabase, { host, log, retention, maxLength, seen }: TidyOptions): { soon(topic: string): void; stop(): void } {
  const cleaner = messageCleaner(database);
  const finished = new Set<string>();
  let stopped = false;
  let soon: ReturnType<typeof setTimeout> | undefined;
  const quietly = (work: Promise<unknown>) => work.catch((error) => (stopped ? undefined : log.warn(`pubsub.sqlite: messages could not be tidied up: ${textOf(error)}`)));
  /** In small pieces: deliveries go on between them. */
  const all = async (remove: () => number): Promise<number> => {
    let count = 0;
    for (let last = cleaner.batch; last >= cleaner.batch && !stopped; count += last) last = await database.write(remove);
    return count;
  };
  const sweep = async () => {
    await database.write(() => {
      for (const group of seen()) group.join();
      if (retention > 0) cleaner.groupsNotSeenSince(Date.now() - retention);
    });
    await all(() => cleaner.expired());
    const unread = retention > 0 ? await all(() => cleaner.olderThan(Date.now() - retention)) : 0;
    if (unread > 0) log.warn(`pubsub.sqlite: ${unread} messages were older than the retention and removed`);
    for (const topic of cleaner.topics()) {
      await all(() => cleaner.consumed(topic));
      const more = maxLength > 0 ? await all(() => cleaner.beyond(topic, maxLength)) : 0;
      if (more > 0) log.warn(`pubsub.sqlite: topic ${topic} held more than ${maxLength} messages: the ${more} oldest were removed`);
    }
    await all(() => cleaner.unread());
    await database.write(() => cleaner.deliveries());
  };
  const timer = host.background ? setInterval(() => void quietly(sweep()), sweepMs) : undefined;
  (timer as { unref?(): void } | undefined)?.unref?.();
  return {
    soon: (topic) => {
      finished.add(topic);
      soon ??= setTimeout(() => {
        soon = undefined;
        const topics = [...finished];
        finished.clear();
        for (const one of topics) void quietly(all(() => cleaner.consumed(one)));
      }, tidyMs);
      (soon as { unref?(): void }).unref?.();
    },
    stop: () => {
      stopped = true;
      clearInterval(timer);
      clearTimeout(soon);
    },
  };
}
