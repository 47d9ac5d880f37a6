// From a batch of messages to the app and back (dapr/pkg/runtime/subscription/bulksubscription.go).
import { toBase64 } from '../../core/base64.ts';
import { background, type CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type Meter, now } from '../../core/meter.ts';
import type { Attempt } from '../resiliency/policy.ts';
import { createDeadLetters } from './dead-letters.ts';
import { AppAway, type Outcome } from './delivery.ts';
import { type Attributes, eventOf, textOfPayload } from './events.ts';
import type { BulkMessageEntry, BulkMessageHandler } from './port.ts';
import { type NamedPubSub, notABoolean, rawPayloadOf } from './pubsub.ts';
import type { Routes } from './routes.ts';
import type { SubscriptionSpec } from './subscription-list.ts';
import { hasExpired } from './ttl.ts';

/** An entry on its way to the app. */
export interface DeliveredEntry {
  entryId: string;
  /** JSON text: the event as the broker has it, or the bytes of a raw message in base64. */
  event: string;
  /** undefined: a raw message has none. */
  attributes: Readonly<Attributes> | undefined;
  metadata: Readonly<Record<string, string>> | undefined;
  contentType: string;
}
export interface DeliveredBatch {
  pubsubName: string;
  topic: string;
  /** As configured, `` for the root. */
  path: string;
  entries: readonly DeliveredEntry[];
  metadata: Readonly<Record<string, string>>;
}

/**
 * What became of each entry, by entryId, or why it may be tried again; `done` where all of them are. `refused` entries are done with: unlike
 * dropped ones they are no dead letters. Rejects where none was processed.
 */
export type BulkPostman = (batch: DeliveredBatch, context: CallContext) => Promise<ReadonlyMap<string, Outcome | Error> | 'done'>;

export interface BulkDeliveryOptions {
  spec: SubscriptionSpec;
  routes: Routes;
  broker: NamedPubSub;
  postman: BulkPostman;
  log: Logger;
  /** As in delivery.ts. */
  stop: AbortSignal;
  /** undefined: nobody counts. */
  meter?: Meter | undefined;
}

/** Entries of a batch that nobody will ask for again, but which did not succeed. */
type Tally = { dropped: number };

/** The handler that gets the batches of one subscription. */
export function createBulkDelivery({ spec, routes, broker, postman, log, stop, meter }: BulkDeliveryOptions): BulkMessageHandler {
  const { pubsubName, topic, deadLetterTopic } = spec;
  const raw = rawPayloadOf(spec.metadata);
  const { giveUp, copy } = createDeadLetters(deadLetterTopic, broker, log);
  const counts = meter?.bulkDelivery(pubsubName, topic);
  const letter = ({ data, metadata, contentType }: BulkMessageEntry) => ({ topic, data, metadata: metadata && { ...metadata }, ...(contentType === undefined ? {} : { contentType }) });

  /** Where an entry goes and as what; undefined: nowhere, it is done with. Throws where it has failed. */
  const sort = (entry: BulkMessageEntry, copies: Promise<void>[], tally: Tally): { path: string; delivered: DeliveredEntry } | undefined => {
    const { entryId, metadata } = entry;
    const text = textOfPayload(entry);
    let attributes: Readonly<Attributes> | undefined;
    if (!raw) {
      try {
        attributes = eventOf(entry, routes.readEvents);
      } catch (error) {
        log.error(`error deserializing one of the messages in bulk cloud event in pubsub ${pubsubName} and topic ${topic}: ${textOf(error)}`);
        throw error;
      }
      if (attributes.expiration !== undefined && hasExpired(attributes.expiration)) {
        log.warn(`dropping expired pub/sub event ${String(attributes.id)} as of ${String(attributes.expiration)}`);
        copies.push(copy(letter(entry)));
        tally.dropped++;
        return undefined;
      }
    }
    let path: string | undefined;
    try {
      path = routes.pathOf(attributes ?? text);
    } catch (error) {
      log.error(`Error finding matching route for event in bulk subscribe ${pubsubName} and topic ${topic} for entry id ${entryId}: ${textOf(error)}`);
      throw error;
    }
    if (path === undefined) {
      log.warn(`No matching route for event in pubsub ${pubsubName} and topic ${topic}; skipping`);
      copies.push(copy(letter(entry)));
      tally.dropped++;
      return undefined;
    }
    const contentType = entry.contentType || (raw ? 'application/octet-stream' : 'application/cloudevents+json');
    return { path, delivered: { entryId, event: raw ? `"${toBase64(entry.data)}"` : text, attributes, metadata, contentType } };
  };

  /** Delivers what goes to one path, again under a policy what of it has failed, and notes what became of it. */
  const deliver = async (path: string, entries: DeliveredEntry[], metadata: Record<string, string>, failures: Map<string, unknown>, drops: Set<string>, tally: Tally, context: CallContext): Promise<void> => {
    let left = entries;
    const attempt = async (limited: CallContext, tried?: Attempt): Promise<void> => {
      const outcomes = await postman({ pubsubName, topic, path, entries: left, metadata }, limited);
      if (tried?.late) return; // these entries are at the app again, or were given up
      left = left.filter(({ entryId }) => {
        const outcome = outcomes === 'done' ? outcomes : outcomes.get(entryId);
        if (outcome === 'dropped') drops.add(entryId);
        if (outcome === 'refused') tally.dropped++;
        if (outcome === 'dropped' || outcome === 'refused' || outcome === 'done') {
          if (failures.size > 0) failures.delete(entryId);
          return false;
        }
        failures.set(entryId, outcome ?? new Error(`response not received, RETRY required while processing bulk subscribe event for entry id: ${entryId}`));
        return true;
      });
      if (left.length > 0) throw new Error('few message(s) have failed during bulk subscribe operation');
    };
    try {
      await (broker.inbound === undefined ? attempt(context) : broker.inbound.run(background, attempt, { stop }));
    } catch (error) {
      // by entry where the app has said something about it
      for (const { entryId } of left) if (!failures.has(entryId)) failures.set(entryId, error);
    }
  };

  return async ({ entries, metadata }, context) => {
    metadata.pubsubName = pubsubName;
    const startedAt = counts ? now() : 0;
    const tally: Tally = { dropped: 0 };
    const failures = new Map<string, unknown>();
    const copies: Promise<void>[] = [];
    if (raw === undefined) {
      const error = new Error(notABoolean(spec.metadata.rawPayload as string));
      log.error(`error deserializing pubsub metadata: ${error.message}`);
      for (const { entryId } of entries) failures.set(entryId, error);
    } else {
      const byPath = new Map<string, DeliveredEntry[]>();
      for (const entry of entries) {
        try {
          const sorted = sort(entry, copies, tally);
          if (sorted === undefined) continue;
          const list = byPath.get(sorted.path);
          if (list === undefined) byPath.set(sorted.path, [sorted.delivered]);
          else list.push(sorted.delivered);
        } catch (error) {
          failures.set(entry.entryId, error);
        }
      }
      const drops = new Set<string>();
      for (const [path, list] of byPath) await deliver(path, list, metadata, failures, drops, tally, context);
      tally.dropped += drops.size;
      if (deadLetterTopic !== '') for (const entry of entries) if (drops.has(entry.entryId)) copies.push(copy(letter(entry)));
    }
    await Promise.all(copies);
    // What fails while the subscription ends or the app is away comes again.
    if (failures.size > 0 && deadLetterTopic !== '' && !stop.aborted) await Promise.all(entries.filter(({ entryId }) => failures.has(entryId) && !(failures.get(entryId) instanceof AppAway)).map(async (entry) => {
      try {
        await giveUp(letter(entry), failures.get(entry.entryId));
        failures.delete(entry.entryId);
        tally.dropped++;
      } catch {
        /* stays a failure */
      }
    }));
    if (counts !== undefined) {
      counts.done(startedAt);
      counts.messages('SUCCESS', entries.length - failures.size - tally.dropped);
      counts.messages('DROP', tally.dropped);
      counts.messages('RETRY', failures.size);
    }
    return failures;
  };
}
