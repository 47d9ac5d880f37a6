// The event of one upsert in a transaction on a store with an outbox (dapr/pkg/runtime/pubsub/outbox.go, PublishInternal).
import { printExact, parseExact, printObject, quote } from '../../core/json-exact.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { dataAttribute, localTime } from '../pubsub/envelope.ts';
import type { EventTrace } from '../pubsub/pubsub.ts';
import type { StateValue } from '../state/port.ts';

/** What of an upsert becomes its event: its own value, or that of its projection. */
export interface Payload {
  value: StateValue;
  /** As the operation says, or its metadata `contentType`; '' where neither does. */
  contentType: string;
}

export interface OutboxEventInput {
  /** Key of the marker, which is the event's id. */
  id: string;
  appId: string;
  pubsubName: string;
  payload: Payload;
  /** Of the operation: every pair becomes an attribute, except `data` and `id`. */
  metadata: Readonly<Record<string, string>>;
  trace: EventTrace;
}

/** JSON text, keys in byte order. It has no topic yet. */
export function outboxEvent({ id, appId, pubsubName, payload, metadata, trace }: OutboxEventInput): string {
  const { data, contentType } = bytesOf(payload);
  const attributes = new Map<string, string>([
    dataAttribute(data, contentType),
    ['datacontenttype', quote(contentType)], ['id', quote(id)], ['pubsubname', quote(pubsubName)], ['source', quote(appId || 'Dapr')], ['specversion', '"1.0"'], ['time', quote(localTime())],
    ['topic', '""'], ['traceid', quote(trace.traceparent)], ['traceparent', '""'], ['tracestate', quote(trace.tracestate)], ['type', '"com.dapr.event.sent"'],
  ]);
  for (const name in metadata) if (name !== 'data' && name !== 'id') attributes.set(name, quote(metadata[name] as string));
  return printObject([...attributes]);
}

/**
 * Texts go out bare, JSON where the content type says so. Without a content type an object or a list is JSON and says so; upstream
 * sends it as Go prints it (`map[a:1]`), and so it does with numbers (`1e+06`).
 */
function bytesOf({ value, contentType }: Payload): { data: Uint8Array; contentType: string } {
  if ('bytes' in value) return { data: value.bytes, contentType: contentType || 'text/plain' };
  const { json } = value;
  if (contentType.toLowerCase() === 'application/json') return { data: utf8(json), contentType };
  if (json.startsWith('"')) return { data: utf8(JSON.parse(json) as string), contentType: contentType || 'text/plain' };
  if (json === 'null') return { data: utf8('<nil>'), contentType: contentType || 'text/plain' };
  return { data: utf8(json), contentType: contentType || (/^[{[]/.test(json) ? 'application/json' : 'text/plain') };
}

/** The event of the internal topic on its way to the final one; undefined where it is no event. */
export function finalEvent(data: Uint8Array, topic: string, pubsubName: string): { id: string; data: Uint8Array; contentType: string; time: string } | undefined {
  const event = parseExact(textOfBytes(data));
  if (event === undefined || event === null || typeof event !== 'object' || Array.isArray(event)) return undefined;
  const attributes = event instanceof Map ? new Map(event) : new Map(Object.entries(event));
  const text = (name: string) => {
    const value: unknown = attributes.get(name);
    return typeof value === 'string' ? value : '';
  };
  attributes.set('topic', topic);
  attributes.set('pubsubname', pubsubName);
  return { id: text('id'), contentType: text('datacontenttype'), time: text('time'), data: utf8(printExact(attributes)) };
}
