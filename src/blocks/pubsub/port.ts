// What a message broker must provide (Dapr: components-contrib/pubsub/pubsub.go).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';
import type { EventText } from './payload.ts';

export type PubSubFeature = 'MESSAGE_TTL' | 'SUBSCRIBE_WILDCARDS' | 'BULK_PUBSUB' | 'BULK_SUBSCRIBE_IMMEDIATE';

/** `text` and `head` tell of `data` where that is at hand. */
export interface PublishRequest extends EventText {
  topic: string;
  /** The bytes on the broker: a CloudEvent as JSON, or the caller's bytes with rawPayload. */
  data: Uint8Array;
  /** Publish metadata; undefined when the caller sent none at all (gRPC), which some brokers store differently from `{}`. */
  metadata: Record<string, string> | undefined;
  contentType?: string;
  /** Published while one of this component's own handlers runs (dead letters): must not wait for handlers to end. */
  fromHandler?: boolean;
}

/** A message as the broker delivers it. The handler owns `metadata` and may write to it. */
export interface Message extends EventText {
  /** Topic delivered on (with wildcards: the real one where the broker knows it). */
  topic: string;
  data: Uint8Array;
  metadata: Record<string, string>;
  contentType?: string;
}

export interface SubscribeRequest {
  topic: string;
  metadata: Record<string, string>;
}

/**
 * Resolves: acknowledge. Rejects: not processed, redeliver by the broker's own rules.
 * Once the subscription is being closed, a rejection says nothing about the message: leave it for redelivery.
 */
export type MessageHandler = (message: Message, context: CallContext) => Promise<void>;

/** One message among several that travel together. */
export interface BulkMessageEntry extends EventText {
  /** Unique in its batch. */
  entryId: string;
  data: Uint8Array;
  metadata: Record<string, string> | undefined;
  contentType?: string;
}
export interface BulkMessage {
  topic: string;
  entries: BulkMessageEntry[];
  /** What is said of the batch itself; the handler owns it and may write to it. */
  metadata: Record<string, string>;
}
export interface BulkSubscribeRequest extends SubscribeRequest {
  /** As configured; 0: what suits the broker (daprd's own default is 100). */
  maxMessagesCount: number;
  /** As configured; 0: what suits the broker (daprd's own default is 1000). */
  maxAwaitDurationMs: number;
}
/** Why which entries were not processed, by entryId: redeliver these, acknowledge the others. Never rejects. */
export type BulkMessageHandler = (batch: BulkMessage, context: CallContext) => Promise<ReadonlyMap<string, unknown>>;

export interface BulkPublishRequest {
  topic: string;
  entries: BulkMessageEntry[];
  metadata: Record<string, string>;
  fromHandler?: boolean;
}

export interface Subscription {
  /** Stops taking messages and resolves when running handlers have ended. */
  close(): Promise<void>;
}

/** Publish errors: AdapterError `unavailable` when a retry may help (upstream's Unavailable), any other is final. */
export interface PubSub extends Closable {
  publish(request: PublishRequest, context: CallContext): Promise<void>;
  /** Resolves when the subscription is in place; later connection trouble is the adapter's to mend. */
  subscribe(request: SubscribeRequest, handler: MessageHandler): Promise<Subscription>;
  /** Brokers that hand over many messages at once. Without it the runtime gathers batches from `subscribe` (blocks/pubsub/batches.ts). */
  bulkSubscribe?(request: BulkSubscribeRequest, handler: BulkMessageHandler): Promise<Subscription>;
  /** Brokers with the feature BULK_PUBSUB; without it entries are published one by one. Resolves with those that failed; rejects when all did. */
  bulkPublish?(request: BulkPublishRequest, context: CallContext): Promise<ReadonlyMap<string, unknown>>;
  ping?(context: CallContext): Promise<void>;
}

export const definePubSub = <M, const F extends PubSubFeature = never>(definition: Omit<Definition<PubSub, M, F>, 'block'>): Definition<PubSub, M, F> => ({ block: 'pubsub', ...definition });
