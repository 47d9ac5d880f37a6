// From a broker's message to the app and back: decoding, expiry, route, dead letters (dapr/pkg/runtime/subscription/subscription.go).
import type { CallContext } from '../../core/context.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { parseWhole, textOfBytes, utf8 } from '../../core/go-json.ts';
import { printTexts } from '../../core/json-exact.ts';
import type { Logger } from '../../core/log.ts';
import { isBinary } from './content-type.ts';
import { rawEvent } from './envelope.ts';
import type { Message, MessageHandler } from './port.ts';
import { type NamedPubSub, notABoolean, rawPayloadOf } from './pubsub.ts';
import type { SubscriptionSpec } from './subscription-list.ts';
import { hasExpired } from './ttl.ts';

/** An event on its way to the app. */
export interface DeliveredEvent {
  pubsubName: string;
  topic: string;
  /** As configured, `` for the root. */
  path: string;
  /** What the app gets: the broker's own bytes, or the envelope made for a raw message. */
  data: Uint8Array;
  /** Attributes of the event, for matching and tracing. */
  attributes: Readonly<Record<string, unknown>>;
  metadata: Readonly<Record<string, string>>;
}

/** `dropped`: the app does not want it, now or later. Rejects with why where it may be tried again. */
export type Postman = (event: DeliveredEvent, context: CallContext) => Promise<'done' | 'dropped'>;

export interface DeliveryOptions {
  spec: SubscriptionSpec;
  broker: NamedPubSub;
  postman: Postman;
  log: Logger;
  /** True once the subscription is being stopped: failures then mean nothing and are left to redelivery. */
  closing(): boolean;
}

const deadLetterTimeoutMs = 30_000;

/** The handler a broker calls for each message of one subscription. */
export function createDelivery({ spec, broker, postman, log, closing }: DeliveryOptions): MessageHandler {
  const { pubsubName, topic: subscribed, deadLetterTopic } = spec;
  const raw = rawPayloadOf(spec.metadata);
  const route = spec.rules.find((rule) => rule.match === '');

  const deadLetter = async (message: Message): Promise<void> => {
    const context: CallContext = { ...background, signal: AbortSignal.timeout(deadLetterTimeoutMs) };
    const { topic, data, metadata, contentType } = message;
    try {
      const sent = broker.forward({ topic: deadLetterTopic, data, metadata, fromHandler: true, ...(contentType === undefined ? {} : { contentType }) }, context);
      await orAborted(sent, context.signal as AbortSignal);
    } catch (error) {
      log.error(`error sending message to dead letter, origin topic: ${topic} dead letter topic ${deadLetterTopic} err: ${textOf(error)}`);
      throw error;
    }
  };
  /** A message that failed for good: to the dead letters, else back to the broker. */
  const giveUp = async (message: Message, error: unknown): Promise<void> => {
    if (deadLetterTopic === '') throw error;
    try {
      await deadLetter(message);
    } catch {
      throw error;
    }
  };
  /** Nothing hangs on this copy. */
  const copyToDeadLetters = async (message: Message): Promise<void> => {
    if (deadLetterTopic !== '') await deadLetter(message).catch(() => undefined);
  };

  return async (message, context) => {
    const { metadata } = message;
    if (message.contentType !== undefined) metadata['content-type'] = message.contentType;
    metadata.pubsubName = pubsubName;
    if (raw === undefined) {
      const error = new Error(notABoolean(spec.metadata.rawPayload as string));
      log.error(`error deserializing pubsub metadata: ${error.message}`);
      return giveUp(message, error);
    }
    let data = message.data;
    let attributes: Record<string, unknown>;
    if (raw) {
      const event = rawEvent(data, message.topic, pubsubName);
      inheritTrace(event, metadata, true);
      attributes = event;
      data = utf8(printTexts(event));
    } else if (metadata['content-type'] !== undefined && isBinary(metadata['content-type'])) {
      attributes = binaryEvent(message);
    } else {
      try {
        attributes = parseEvent(data);
      } catch (error) {
        log.error(`error deserializing cloud event in pubsub ${pubsubName} and topic ${message.topic}: ${textOf(error)}`);
        return giveUp(message, error);
      }
      inheritTrace(attributes, metadata, false);
    }
    if (attributes.expiration !== undefined && hasExpired(attributes.expiration)) {
      log.warn(`dropping expired pub/sub event ${String(attributes.id)} as of ${String(attributes.expiration)}`);
      return copyToDeadLetters(message);
    }
    if (route === undefined) {
      log.debug(`no matching route for event ${String(attributes.id)} in pubsub ${pubsubName} and topic ${message.topic}; skipping`);
      return copyToDeadLetters(message);
    }
    try {
      const outcome = await postman({ pubsubName, topic: message.topic, path: route.path, data, attributes, metadata }, context);
      if (outcome === 'done') return;
    } catch (error) {
      log.warn(`encountered a retriable error while publishing a subscribed message to topic ${subscribed}, err: ${textOf(error)}`);
      if (closing()) throw error;
      return giveUp(message, error);
    }
    if (deadLetterTopic !== '') await giveUp(message, new Error('pubsub message dropped'));
  };
}

/** A JSON object, or `null`, which counts as an empty one. Throws. */
function parseEvent(data: Uint8Array): Record<string, unknown> {
  const event = parseWhole(textOfBytes(data));
  if (event === null) return {};
  if (typeof event !== 'object' || Array.isArray(event)) throw new Error(`json: cannot unmarshal ${Array.isArray(event) ? 'array' : typeof event === 'boolean' ? 'bool' : typeof event} into Go value of type map[string]interface {}`);
  return event as Record<string, unknown>;
}

/** Message metadata says which trace the event belongs to, where the event does not (or, made for a raw message, cannot). */
function inheritTrace(event: Record<string, unknown>, metadata: Readonly<Record<string, string>>, overwrite: boolean): void {
  const { traceid, traceparent, tracestate } = metadata;
  const may = (name: string) => overwrite || !Object.hasOwn(event, name);
  if (traceid !== undefined && may('traceid')) event.traceid = traceid;
  if (traceparent !== undefined && may('traceparent')) event.traceid = event.traceparent = traceparent;
  if (tracestate !== undefined && may('tracestate')) event.tracestate = tracestate;
}

/** CloudEvents in binary mode: the attributes are `ce_*` metadata, the message is the data. */
function binaryEvent({ data, metadata }: Message): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const name in metadata) if (name.slice(0, 3).toLowerCase() === 'ce_') event[name.slice(3).toLowerCase()] = metadata[name];
  event.data = data;
  event.datacontenttype = metadata['content-type'];
  return event;
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error('context deadline exceeded'));
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
