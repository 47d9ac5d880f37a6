// Publishing: envelope, scopes, single and bulk publish over any broker (Dapr: pkg/api/http/http.go, pkg/runtime/pubsub/publisher).
import type { CallContext } from '../../core/context.ts';
import { type DaprError, type ErrorName, fail, infoDetail, resourceDetail, textOf } from '../../core/errors.ts';
import { compareBytes } from '../../core/json-exact.ts';
import { parseBool } from '../../core/metadata.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import type { Policy } from '../resiliency/policy.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { publishAll } from './bulk-publish.ts';
import { subscribeInBatches } from './batches.ts';
import { EnvelopeError, envelopeOf } from './envelope.ts';
import { CarriedEntry, CarriedMessage, MadeEvent, type Payload } from './payload.ts';
import type { BulkMessageEntry, BulkMessageHandler, BulkSubscribeRequest, MessageHandler, PubSub, PublishRequest, SubscribeRequest, Subscription } from './port.ts';
import { type StatusFamily, withStatus } from './publish-status.ts';
import { topicScopes, type TopicScopes } from './scopes.ts';

/** The trace an event carries; '' for none. */
export interface EventTrace {
  traceparent: string;
  tracestate: string;
}
export interface Publication {
  data: Uint8Array;
  /** The data as JSON text with its keys in byte order, where it is at hand; `data` is then only looked at with rawPayload. */
  json?: string | undefined;
  /** '' counts as text/plain. */
  contentType: string;
  /** Undefined where the caller sent none at all. */
  metadata: Record<string, string> | undefined;
  trace: EventTrace;
}
export interface BulkEntry extends Publication {
  entryId: string;
}
export interface BulkResult {
  failed: { entryId: string; error: string }[];
  /** Set when any entry failed: the error of the whole request. */
  error: DaprError | undefined;
}

/** One broker with this app's rules applied. */
export interface NamedPubSub {
  readonly name: string;
  /** Whether the caller asked for no envelope; throws pubsubMetadata where `rawPayload` is no boolean. */
  isRaw(metadata: Record<string, string>): boolean;
  /** `family`: which statuses a retry policy's `matching` is about, those of the caller's protocol; default http. */
  publish(topic: string, publication: Publication, raw: boolean, context: CallContext, family?: StatusFamily): Promise<void>;
  /** All entries are wrapped before the first is published. Entries go out at most 100 at once, in no fixed order. */
  bulkPublish(topic: string, entries: readonly BulkEntry[], raw: boolean, context: CallContext, family?: StatusFamily): Promise<BulkResult>;
  /** Bytes that are a message already (dead letters): scopes apply, nothing is wrapped. */
  forward(request: PublishRequest, context: CallContext): Promise<void>;
  maySubscribe(topic: string): boolean;
  /** What deliveries to the app are subject to. */
  readonly inbound: Policy | undefined;
  subscribe(request: SubscribeRequest, handler: MessageHandler): Promise<Subscription>;
  /** In batches of the broker's own, else in such as are gathered here. */
  bulkSubscribe(request: BulkSubscribeRequest, handler: BulkMessageHandler): Promise<Subscription>;
}

export interface PubSubBlock {
  /** Throws pubsubNotFound; `metadata` is what the error shows. */
  component(name: string, metadata: Record<string, string>): NamedPubSub;
  find(name: string): NamedPubSub | undefined;
  /** Errors of the API that need no component's state: their details name the component. */
  refusal(is: PubSubErrorName, pubsub: string, holes: Record<string, string>, info: Record<string, string>): DaprError;
}

export interface PubSubOptions {
  components: ComponentStore;
  appId: string;
  /** Environment NAMESPACE, '' when unset. */
  namespace: string;
  /** Connections one fan-out may use at once. */
  maxParallel: number;
  resiliency?: Resiliency;
}

type PubSubErrorName = ErrorName & `pubsub${string}`;

/** The runtime's own reading of `rawPayload` (exact name); undefined where the value is no boolean. */
export const rawPayloadOf = (metadata: Readonly<Record<string, string>>): boolean | undefined =>
  (!metadata.rawPayload ? false : parseBool(metadata.rawPayload));
export const notABoolean = (value: string): string => `rawPayload value must be a valid boolean: actual is '${value}'`;

const sorted = (texts: Record<string, string>) => Object.fromEntries(Object.keys(texts).sort(compareBytes).map((key) => [key, texts[key] as string]));

function refusal(is: PubSubErrorName, pubsub: string, holes: Record<string, string>, info: Record<string, string>, cause?: unknown): DaprError {
  const all = { pubsub, ...holes };
  const { message, row } = fail(is, all);
  const resource = row.resource === undefined ? [] : [resourceDetail('pubsub', pubsub, message)];
  return fail(is, all, { cause, details: [...resource, infoDetail(row.reason ?? '', sorted(info))] });
}

export function createPubSubBlock(options: PubSubOptions): PubSubBlock {
  const { components } = options;
  const opened = new WeakMap<Loaded, NamedPubSub>();
  const find = (name: string): NamedPubSub | undefined => {
    const loaded = components.pubsub.get(name);
    if (loaded === undefined) return undefined;
    let found = opened.get(loaded);
    if (found === undefined) opened.set(loaded, (found = namedPubSub(loaded, options)));
    return found;
  };
  return {
    find,
    component: (name, metadata) => {
      const found = find(name);
      if (found === undefined) throw refusal('pubsubNotFound', name, {}, metadata);
      return found;
    },
    refusal,
  };
}

function namedPubSub(loaded: Loaded<PubSub>, { appId, namespace, maxParallel, resiliency }: PubSubOptions): NamedPubSub {
  const { name, port } = loaded;
  const policy = resiliency?.outbound(name, 'Pubsub');
  // A component with {namespace} anywhere in its metadata keeps the topics of each namespace apart (dapr/pkg/runtime/meta).
  const prefix = loaded.resource?.metadata.some((item) => typeof item.value === 'string' && item.value.includes('{namespace}')) ? namespace || 'default' : '';
  const scopes: TopicScopes = topicScopes(loaded.properties, appId);
  const nativeTtl = loaded.features.includes('MESSAGE_TTL');

  const wrap = (topic: string, { data, json, contentType, metadata, trace }: Publication): Payload => {
    try {
      const made = envelopeOf({ data, json, contentType, topic, pubsubName: name, appId, traceparent: trace.traceparent, tracestate: trace.tracestate, metadata, nativeTtl });
      return new MadeEvent(made);
    } catch (error) {
      if (error instanceof EnvelopeError) throw refusal('pubsubCloudEvent', name, {}, { appID: appId, error: error.message });
      throw error;
    }
  };
  const guard = (topic: string) => {
    if (scopes.mayPublish(topic)) return;
    throw refusal('pubsubForbidden', name, { topic, appId }, { topic, error: `topic ${topic} is not allowed for app id ${appId}` });
  };
  const failure = (topic: string, error: unknown) => {
    const text = textOf(error);
    return refusal('pubsubPublish', name, { topic, error: text }, { topic, error: text }, error);
  };

  const send = (request: PublishRequest, context: CallContext, family: StatusFamily): Promise<void> =>
    (policy ? policy.run(context, (limited) => port.publish(request, limited).catch((error) => { throw withStatus(error, family); })) : port.publish(request, context));

  const subscribe: NamedPubSub['subscribe'] = (request, handler) => {
    if (prefix === '') return port.subscribe(request, handler);
    return port.subscribe({ ...request, topic: prefix + request.topic }, (message, context) => handler(new CarriedMessage(message.topic.replace(prefix, ''), message.metadata, message, message.contentType), context));
  };

  return {
    name,
    inbound: resiliency?.inbound(name, 'Pubsub'),
    maySubscribe: scopes.maySubscribe,
    subscribe,
    bulkSubscribe: (request, handler) => {
      if (port.bulkSubscribe) return port.bulkSubscribe({ ...request, topic: prefix + request.topic }, handler);
      const { topic, metadata } = request;
      return subscribeInBatches({ request, handler, immediate: loaded.features.includes('BULK_SUBSCRIBE_IMMEDIATE'), subscribe: (gather) => subscribe({ topic, metadata }, gather) });
    },
    isRaw: (metadata) => {
      const raw = rawPayloadOf(metadata);
      if (raw === undefined) throw refusal('pubsubMetadata', name, { error: notABoolean(metadata.rawPayload as string) }, metadata);
      return raw;
    },
    publish: async (topic, publication, raw, context, family = 'http') => {
      const payload: Payload = raw ? { data: publication.data } : wrap(topic, publication);
      guard(topic);
      try {
        await send(new CarriedMessage(prefix + topic, publication.metadata, payload), context, family);
      } catch (error) {
        throw failure(topic, error);
      }
    },
    bulkPublish: async (topic, entries, raw, context, family = 'http') => {
      const messages = entries.map((entry): BulkMessageEntry => {
        const payload: Payload = raw ? { data: entry.data } : wrap(topic, entry);
        return new CarriedEntry(entry.entryId, entry.metadata, payload, entry.contentType);
      });
      guard(topic);
      const { failed, error } = await publishAll(port, prefix + topic, messages, { maxParallel, policy, family }, context);
      return { failed, error: error === undefined ? undefined : failure(topic, error) };
    },
    forward: async (request, context) => {
      guard(request.topic);
      await send(prefix === '' ? request : { ...request, topic: prefix + request.topic }, context, 'grpc');
    },
  };
}
