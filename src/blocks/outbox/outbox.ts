// The transactional outbox: events of state transactions, published if and only if the transaction is carried out (dapr/pkg/runtime/pubsub/outbox.go).
//
// Before the transaction the event of each upsert goes to an internal topic, and a marker key joins the transaction. Whoever reads the
// internal topic (any replica of this app) publishes an event once its marker is there, and then removes the marker.
import { background, type CallContext } from '../../core/context.ts';
import { AdapterError, fail, infoDetail } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import { isTruthy } from '../../core/metadata.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import type { EventTrace, PubSubBlock } from '../pubsub/pubsub.ts';
import type { StateStore, TransactionOperation } from '../state/port.ts';
import { outboxEvent, type Payload } from './event.ts';
import { createOutboxReader, type OutboxReader } from './reader.ts';
import { type OutboxSettings, outboxSettings } from './settings.ts';

/** An operation of a transaction with what only the outbox wants to know. Its key is the store's. */
export type OutboxOperation = TransactionOperation & { contentType?: string | undefined };

export interface PreparedTransaction {
  /** Without projections, with markers. */
  operations: TransactionOperation[];
  /** The transaction has failed: what was published for it must never reach the final topic, as far as that is known. */
  failed(error: unknown): Promise<void>;
}

export interface Outbox {
  /** Publishes to the internal topic. Throws outboxPublish; nothing may then be written. undefined: the store has no outbox. */
  prepare(store: Loaded<StateStore>, operations: readonly OutboxOperation[], trace: EventTrace, context: CallContext): Promise<PreparedTransaction> | undefined;
  /** Where events of committed transactions are passed on. */
  readonly reader: OutboxReader;
}

export interface OutboxOptions {
  components: ComponentStore;
  pubsub: PubSubBlock;
  appId: string;
  /** Environment NAMESPACE, '' when unset. */
  namespace: string;
  log: Logger;
}

const projection = 'outbox.projection';
/** Markers of failed transactions that are remembered, so that nobody waits for them. */
const mostAbandoned = 10_000;

export function createOutbox({ components, pubsub, appId, namespace, log }: OutboxOptions): Outbox {
  const settingsOf = new WeakMap<Loaded, OutboxSettings | null>();
  const settings = (store: Loaded): OutboxSettings | undefined => {
    let known = settingsOf.get(store);
    if (known === undefined) settingsOf.set(store, (known = outboxSettings(store.name, store.properties) ?? null));
    return known ?? undefined;
  };
  const internalTopic = ({ publishTopic }: OutboxSettings) => `${namespace || 'default'}${appId}${publishTopic}outbox`;
  const abandoned = new Set<string>();
  const abandon = (id: string) => {
    abandoned.add(id);
    if (abandoned.size > mostAbandoned) for (const oldest of abandoned) return void abandoned.delete(oldest);
  };

  const publish = async (to: OutboxSettings, data: Uint8Array, context: CallContext): Promise<void> => {
    try {
      const broker = pubsub.find(to.outboxPubsub);
      if (broker === undefined) throw new Error(`pubsub '${to.outboxPubsub}' not found`);
      // never waits for its own reader, which waits for this transaction
      await broker.forward({ topic: internalTopic(to), data, metadata: undefined, fromHandler: true }, context);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw fail('outboxPublish', { error: text }, { details: [infoDetail('DAPR_PUBSUB_OUTBOX', { appID: appId, error: text })], cause: error });
    }
  };

  const prepare = async (to: OutboxSettings, store: Loaded<StateStore>, operations: readonly OutboxOperation[], trace: EventTrace, context: CallContext): Promise<PreparedTransaction> => {
    /** By key, the first one of each. */
    const projections = new Map<string, Payload>();
    const kept: OutboxOperation[] = [];
    for (const operation of operations) {
      if (operation.operation !== 'upsert' || !isTruthy(operation.metadata[projection])) kept.push(operation);
      else if (!projections.has(operation.key)) projections.set(operation.key, payloadOf(operation));
    }
    const markers: string[] = [];
    const failed = async (error: unknown): Promise<void> => {
      // Only where the store has said no: a connection that broke may have carried it out.
      if (!(error instanceof AdapterError) || error.kind === 'unavailable') return;
      for (const key of markers) abandon(key);
      // Redis keeps what a failed transaction has written before, these among it.
      await Promise.allSettled(markers.map(async (key) => store.port.delete({ key, metadata: {}, concurrency: '', consistency: '' }, background)));
    };
    try {
      for (const operation of kept) {
        if (operation.operation !== 'upsert') continue;
        const id = `outbox-${crypto.randomUUID()}`;
        const payload = projections.get(operation.key) ?? payloadOf(operation);
        await publish(to, utf8(outboxEvent({ id, appId, pubsubName: to.outboxPubsub, payload, metadata: operation.metadata, trace })), context);
        markers.push(id);
      }
    } catch (error) {
      for (const key of markers) abandon(key);
      throw error;
    }
    const marks = markers.map((key): TransactionOperation => ({ operation: 'upsert', key, value: { json: '"0"' }, metadata: {}, concurrency: '', consistency: '' }));
    return { operations: [...kept, ...marks], failed };
  };

  return {
    prepare: (store, operations, trace, context) => {
      const to = settings(store);
      return to && prepare(to, store, operations, trace, context);
    },
    reader: createOutboxReader({
      pubsub, log, internalTopic, isAbandoned: (id) => abandoned.delete(id),
      store: (name) => components.state.get(name)?.port,
      wanted: () => [...components.state.values()].flatMap((store) => settings(store) ?? []),
    }),
  };
}

const payloadOf = (operation: OutboxOperation & { operation: 'upsert' }): Payload => ({ value: operation.value, contentType: operation.contentType ?? operation.metadata.contentType ?? '' });
