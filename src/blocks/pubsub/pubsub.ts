// Publishing: envelope, scopes, single and bulk publish over any broker (Dapr: pkg/api/http/http.go, pkg/runtime/pubsub/publisher).
import type { CallContext } from '../../core/context.ts';
import { type DaprError, type ErrorName, fail, infoDetail, resourceDetail, textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import { compareBytes } from '../../core/json-exact.ts';
import { parseBool } from '../../core/metadata.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import { EnvelopeError, envelopeOf } from './envelope.ts';
import type { MessageHandler, PubSub, PublishRequest, SubscribeRequest, Subscription } from './port.ts';
import { topicScopes, type TopicScopes } from './scopes.ts';

/** The trace an event carries; '' for none. */
export interface EventTrace {
  traceparent: string;
  tracestate: string;
}
export interface Publication {
  data: Uint8Array;
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
  publish(topic: string, publication: Publication, raw: boolean, context: CallContext): Promise<void>;
  /** All entries are wrapped before the first is published. Entries go out at most 100 at once, in no fixed order. */
  bulkPublish(topic: string, entries: readonly BulkEntry[], raw: boolean, context: CallContext): Promise<BulkResult>;
  /** Bytes that are a message already (dead letters): scopes apply, nothing is wrapped. */
  forward(request: PublishRequest, context: CallContext): Promise<void>;
  maySubscribe(topic: string): boolean;
  subscribe(request: SubscribeRequest, handler: MessageHandler): Promise<Subscription>;
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
}

type PubSubErrorName = ErrorName & `pubsub${string}`;
const bulkAtOnce = 100;

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

function namedPubSub(loaded: Loaded<PubSub>, { appId, namespace, maxParallel }: PubSubOptions): NamedPubSub {
  const { name, port } = loaded;
  // A component with {namespace} anywhere in its metadata keeps the topics of each namespace apart (dapr/pkg/runtime/meta).
  const prefix = loaded.resource?.metadata.some((item) => typeof item.value === 'string' && item.value.includes('{namespace}')) ? namespace || 'default' : '';
  const scopes: TopicScopes = topicScopes(loaded.properties, appId);
  const nativeTtl = loaded.features.includes('MESSAGE_TTL');

  const wrap = (topic: string, { data, contentType, metadata, trace }: Publication): Uint8Array => {
    try {
      return utf8(envelopeOf({ data, contentType, topic, pubsubName: name, appId, traceparent: trace.traceparent, tracestate: trace.tracestate, metadata, nativeTtl }));
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

  return {
    name,
    maySubscribe: scopes.maySubscribe,
    subscribe: (request, handler) => {
      if (prefix === '') return port.subscribe(request, handler);
      return port.subscribe({ ...request, topic: prefix + request.topic }, (message, context) => handler({ ...message, topic: message.topic.replace(prefix, '') }, context));
    },
    isRaw: (metadata) => {
      const raw = rawPayloadOf(metadata);
      if (raw === undefined) throw refusal('pubsubMetadata', name, { error: notABoolean(metadata.rawPayload as string) }, metadata);
      return raw;
    },
    publish: async (topic, publication, raw, context) => {
      const data = raw ? publication.data : wrap(topic, publication);
      guard(topic);
      try {
        await port.publish({ topic: prefix + topic, data, metadata: publication.metadata }, context);
      } catch (error) {
        throw failure(topic, error);
      }
    },
    bulkPublish: async (topic, entries, raw, context) => {
      const data = entries.map((entry) => (raw ? entry.data : wrap(topic, entry)));
      guard(topic);
      const failed: BulkResult['failed'] = [];
      let first: unknown;
      let next = 0;
      const worker = async () => {
        for (let i = next++; i < entries.length; i = next++) {
          const entry = entries[i] as BulkEntry;
          try {
            await port.publish({ topic: prefix + topic, data: data[i] as Uint8Array, metadata: entry.metadata, contentType: entry.contentType }, context);
          } catch (error) {
            if (failed.length === 0) first = error;
            failed.push({ entryId: entry.entryId, error: textOf(error) });
          }
        }
      };
      await Promise.all(Array.from({ length: Math.min(entries.length, bulkAtOnce, maxParallel) }, worker));
      return { failed, error: failed.length === 0 ? undefined : failure(topic, first) };
    },
    forward: async (request, context) => {
      guard(request.topic);
      await port.publish(prefix === '' ? request : { ...request, topic: prefix + request.topic }, context);
    },
  };
}
