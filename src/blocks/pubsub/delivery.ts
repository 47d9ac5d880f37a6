// From a broker's message to the app and back: decoding, expiry, route, dead letters (dapr/pkg/runtime/subscription/subscription.go).
import { background, type CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { printTexts } from '../../core/json-exact.ts';
import type { Logger } from '../../core/log.ts';
import { bound, type Meter, now } from '../../core/meter.ts';
import { isBinary } from './content-type.ts';
import { AttemptEnded } from '../resiliency/failures.ts';
import { createDeadLetters } from './dead-letters.ts';
import { rawEvent } from './envelope.ts';
import { type Attributes, binaryEvent, eventOf, inheritTrace } from './events.ts';
import type { Message, MessageHandler } from './port.ts';
import { type NamedPubSub, notABoolean, rawPayloadOf } from './pubsub.ts';
import type { Routes } from './routes.ts';
import type { SubscriptionSpec } from './subscription-list.ts';
import { hasExpired } from './ttl.ts';

/** An event on its way to the app. */
export interface DeliveredEvent {
  pubsubName: string;
  topic: string;
  /** As configured, `` for the root. */
  path: string;
  /** What the app gets: the broker's own bytes (as text where that is at hand), or the envelope made for a raw message. */
  body: Uint8Array | string;
  /** Attributes of the event, for matching and tracing. */
  attributes: Readonly<Attributes>;
  metadata: Readonly<Record<string, string>>;
}

/** `dropped`: the app does not want it, now or later; `refused`: it has no such path, which comes to the same. */
export type Outcome = 'done' | 'dropped' | 'refused';
/** Rejects with why where it may be tried again. */
export type Postman = (event: DeliveredEvent, context: CallContext) => Promise<Outcome>;

/** There is no app to take messages now: no fault of the message, which is left to redelivery and no dead letter. */
export class AppAway extends Error {
  override name = 'AppAway';
}

export interface DeliveryOptions {
  spec: SubscriptionSpec;
  routes: Routes;
  broker: NamedPubSub;
  postman: Postman;
  log: Logger;
  /** Aborted once the subscription is being stopped: failures then mean nothing and are left to redelivery. */
  stop: AbortSignal;
  /** undefined: nobody counts. */
  meter?: Meter | undefined;
}

/** The handler a broker calls for each message of one subscription. */
export function createDelivery({ spec, routes, broker, postman, log, stop, meter }: DeliveryOptions): MessageHandler {
  const { pubsubName, topic: subscribed, deadLetterTopic } = spec;
  const raw = rawPayloadOf(spec.metadata);
  const { giveUp, copy } = createDeadLetters(deadLetterTopic, broker, log);
  const { inbound } = broker;

  const countsOf = meter && bound((topic) => meter.delivery(pubsubName, topic));

  const attempt = (event: DeliveredEvent, context: CallContext): Promise<Outcome> => {
    const startedAt = countsOf ? now() : 0;
    const failed = (error: unknown) => {
      countsOf?.(event.topic)('retry', 'retry', startedAt);
      const reason: unknown = context.signal?.reason;
      log.warn(`encountered a retriable error while publishing a subscribed message to topic ${subscribed}, err: ${textOf(reason instanceof AttemptEnded ? reason : error)}`);
      throw error;
    };
    const outcome = postman(event, context);
    if (countsOf === undefined) return outcome.catch(failed);
    return outcome.then((is) => {
      countsOf(event.topic)(is === 'done' ? 'success' : 'drop', is === 'refused' ? 'drop' : 'success', startedAt);
      return is;
    }, failed);
  };
  /** The app never saw it. */
  const giveUpUnseen = async (message: Message, error: unknown): Promise<void> => {
    let end: 'drop' | 'retry' = 'retry';
    try {
      await giveUp(message, error);
      end = 'drop';
    } finally {
      countsOf?.(message.topic)(end, end, undefined);
    }
  };

  return async (message, context) => {
    const { metadata } = message;
    if (message.contentType !== undefined) metadata['content-type'] = message.contentType;
    metadata.pubsubName = pubsubName;
    if (raw === undefined) {
      const error = new Error(notABoolean(spec.metadata.rawPayload as string));
      log.error(`error deserializing pubsub metadata: ${error.message}`);
      return giveUpUnseen(message, error);
    }
    let body: Uint8Array | string;
    let attributes: Attributes;
    if (raw) {
      const event = rawEvent(message.data, message.topic, pubsubName);
      inheritTrace(event, metadata, true);
      attributes = event;
      body = printTexts(event);
    } else if (metadata['content-type'] !== undefined && isBinary(metadata['content-type'])) {
      attributes = binaryEvent(message);
      body = message.data;
    } else {
      try {
        attributes = { ...eventOf(message, routes.readEvents) };
      } catch (error) {
        log.error(`error deserializing cloud event in pubsub ${pubsubName} and topic ${message.topic}: ${textOf(error)}`);
        return giveUpUnseen(message, error);
      }
      inheritTrace(attributes, metadata, false);
      body = message.text ?? message.data;
    }
    if (attributes.expiration !== undefined && hasExpired(attributes.expiration)) {
      log.warn(`dropping expired pub/sub event ${String(attributes.id)} as of ${String(attributes.expiration)}`);
      countsOf?.(message.topic)('drop', 'drop', undefined);
      return copy(message);
    }
    let path: string | undefined;
    try {
      path = routes.pathOf(attributes);
    } catch (error) {
      log.error(`error finding matching route for event ${String(attributes.id)} in pubsub ${pubsubName} and topic ${message.topic}: ${textOf(error)}`);
      return giveUpUnseen(message, error);
    }
    if (path === undefined) {
      log.debug(`no matching route for event ${String(attributes.id)} in pubsub ${pubsubName} and topic ${message.topic}; skipping`);
      countsOf?.(message.topic)('drop', 'success', undefined);
      return copy(message);
    }
    const event: DeliveredEvent = { pubsubName, topic: message.topic, path, body, attributes, metadata };
    try {
      // under a policy the broker's own deadline does not end the call of the app
      const outcome = await (inbound === undefined ? attempt(event, context) : inbound.run(background, (limited) => attempt(event, limited), { stop }));
      if (outcome === 'done') return;
    } catch (error) {
      if (stop.aborted || error instanceof AppAway) throw error;
      await giveUp(message, error);
      countsOf?.(message.topic)('drop', 'drop', undefined);
      return;
    }
    if (deadLetterTopic !== '') await giveUp(message, new Error('pubsub message dropped'));
  };
}
