// Passes on the events of an outbox whose transaction was carried out (dapr/pkg/runtime/pubsub/outbox.go, SubscribeToInternalTopics).
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import type { Message, Subscription } from '../pubsub/port.ts';
import type { PubSubBlock } from '../pubsub/pubsub.ts';
import type { StateStore } from '../state/port.ts';
import { finalEvent } from './event.ts';
import type { OutboxSettings } from './settings.ts';

export interface OutboxReader {
  /** Reads the internal topics of all stores that are open; what it could not subscribe to is tried again. Again after components came. */
  start(): Promise<void>;
  /** A pub/sub component is about to be closed. */
  release(pubsubName: string): Promise<void>;
  /** Takes no more events and waits for those in hand, which are left to redelivery where they would wait. */
  stop(): Promise<void>;
}

export interface OutboxReaderOptions {
  pubsub: PubSubBlock;
  log: Logger;
  internalTopic(settings: OutboxSettings): string;
  /** The transaction of this marker has failed; asked once. */
  isAbandoned(id: string): boolean;
  store(name: string): StateStore | undefined;
  /** Outboxes of the stores that are open now. */
  wanted(): OutboxSettings[];
}

/** A transaction gets this long before its marker is looked for. */
const graceMs = 1000;
/** The search for a marker, and its removal: pauses and their sum. */
const search = { firstMs: 500, factor: 3, longestMs: 3000, allMs: 10_000 };
const drainMs = 30_000;
const againMs = { first: 500, longest: 60_000 };

interface Reading {
  settings: OutboxSettings;
  closing: AbortController;
  subscription: Subscription | undefined;
}

export function createOutboxReader({ pubsub, log: parent, internalTopic, isAbandoned, store, wanted }: OutboxReaderOptions): OutboxReader {
  const log = parent.scope('dapr.runtime.outbox');
  const readings = new Map<string, Reading>();
  let stopped = false;

  /** Rejects with the last failure, or when the reading ends. */
  const insist = async (work: () => Promise<void>, stop: AbortSignal): Promise<void> => {
    const begun = Date.now();
    for (let ms = search.firstMs; ; ms = Math.min(search.longestMs, ms * search.factor)) {
      try {
        return await work();
      } catch (error) {
        const wait = ms * (0.9 + Math.random() * 0.2);
        if (stop.aborted || Date.now() + wait - begun > search.allMs) throw error;
        await pause(wait, stop);
      }
    }
  };

  const passOn = async ({ settings, closing: { signal: stop } }: Reading, message: Message): Promise<void> => {
    const { publishPubsub, publishTopic, discardWhenMissingState } = settings;
    const event = finalEvent(message.data, publishTopic, publishPubsub);
    if (event === undefined) throw new Error('outbox message is no CloudEvent');
    if (isAbandoned(event.id)) return;
    await pause(graceOf(event.time), stop);
    const leave = () => {
      if (stop.aborted) throw new Error('outbox reader is stopping');
    };
    leave();
    const port = store(settings.store);
    if (port === undefined) throw new Error(`cannot get outbox state: state store ${settings.store} not found`);
    let abandoned = false;
    try {
      await insist(async () => {
        abandoned = isAbandoned(event.id); // the transaction may be failing only now
        if (abandoned) return;
        const { data } = await port.get({ key: event.id, metadata: {}, consistency: '' }, background);
        if (data === null || data.length === 0) throw new Error(`cannot publish outbox message to topic ${publishTopic} with pubsub ${publishPubsub}: outbox state not found`);
      }, stop);
    } catch (error) {
      leave();
      const why = `failed to publish outbox topic to pubsub ${publishPubsub}: ${textOf(error)}`;
      if (discardWhenMissingState) return log.error(`${why}, discarding message`);
      log.error(`${why}, rejecting for later processing`);
      throw error;
    }
    if (abandoned) return;
    const broker = pubsub.find(publishPubsub);
    if (broker === undefined) throw new Error(`pubsub '${publishPubsub}' not found`);
    await broker.forward({ topic: publishTopic, data: event.data, metadata: undefined, ...(event.contentType === '' ? {} : { contentType: event.contentType }) }, background);
    await insist(async () => port.delete({ key: event.id, metadata: {}, concurrency: '', consistency: '' }, background), stop);
  };

  /** False where it is worth another try. */
  const begin = async (reading: Reading): Promise<boolean> => {
    const { settings, closing } = reading;
    const broker = pubsub.find(settings.outboxPubsub);
    if (broker === undefined) {
      log.warn(`could not subscribe to internal outbox topic: outbox pubsub ${settings.outboxPubsub} not loaded`);
      readings.delete(keyOf(settings));
      return true;
    }
    try {
      const subscription = await broker.subscribe({ topic: internalTopic(settings), metadata: {} }, (message) => passOn(reading, message));
      if (closing.signal.aborted) await subscription.close();
      else reading.subscription = subscription;
      return true;
    } catch (error) {
      log.error(`could not subscribe to internal outbox topic ${internalTopic(settings)} of pubsub ${settings.outboxPubsub}: ${textOf(error)}. Will retry.`);
      return false;
    }
  };
  const retry = async (reading: Reading): Promise<void> => {
    for (let ms = againMs.first; ; ms = Math.min(againMs.longest, ms * 1.5)) {
      await pause(ms, reading.closing.signal);
      if (reading.closing.signal.aborted || (await begin(reading))) return;
    }
  };
  const end = async (some: readonly Reading[]): Promise<void> => {
    for (const { settings, closing } of some) {
      readings.delete(keyOf(settings));
      closing.abort();
    }
    const over = new AbortController();
    const closed = Promise.allSettled(some.map(({ subscription }) => subscription?.close())).finally(() => over.abort());
    await Promise.race([closed, pause(drainMs, over.signal)]);
  };

  return {
    start: async () => {
      if (stopped) return;
      const now = new Map(wanted().map((settings) => [keyOf(settings), settings]));
      await end([...readings.values()].filter(({ settings }) => !now.has(keyOf(settings))));
      await Promise.all([...now].map(async ([key, settings]) => {
        if (readings.has(key)) return;
        const reading: Reading = { settings, closing: new AbortController(), subscription: undefined };
        readings.set(key, reading);
        if (!(await begin(reading))) void retry(reading);
      }));
    },
    release: (name) => end([...readings.values()].filter(({ settings }) => settings.outboxPubsub === name)),
    stop: () => {
      stopped = true;
      return end([...readings.values()]);
    },
  };
}

const keyOf = (settings: OutboxSettings): string => JSON.stringify(settings);

/**
 * How long an event still has to wait. Its time has whole seconds, so it may be up to a second older; one that came late, because the
 * broker hands over one at a time, waits no more.
 */
export function graceOf(time: string, now = Date.now()): number {
  const published = Date.parse(time);
  if (Number.isNaN(published)) return graceMs;
  return Math.min(graceMs, Math.max(0, published + 1.5 * graceMs - now));
}
