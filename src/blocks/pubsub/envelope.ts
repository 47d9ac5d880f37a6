// The CloudEvents envelope of published messages (components-contrib/pubsub/envelope.go, dapr/pkg/runtime/pubsub/cloudevents.go).
import { toBase64 } from '../../core/base64.ts';
import { parseFirst, textOfBytes } from '../../core/go-json.ts';
import { canonical } from '../../core/json-canonical.ts';
import { entriesOf, parseExact, printExact, printObject, quote, quoteKnown } from '../../core/json-exact.ts';
import { uuid } from '../../core/uuid.ts';
import { isBinary, isCloudEvent, isJson, isProtobufEvent, strictText } from './content-type.ts';
import type { Attributes } from './events.ts';
import type { EventText } from './payload.ts';
import { expirationOf, ttlOf } from './ttl.ts';

export interface EnvelopeInput {
  data: Uint8Array;
  /** `data` as JSON text with its keys in byte order, where it is at hand. */
  json?: string | undefined;
  /** As the caller wrote it; '' counts as text/plain. */
  contentType: string;
  topic: string;
  pubsubName: string;
  appId: string;
  /** The trace the event carries, '' for none. */
  traceparent: string;
  tracestate: string;
  /** Publish metadata: `cloudevent.*` overrides and `ttlInSeconds`. */
  metadata: Readonly<Record<string, string>> | undefined;
  /** True where the broker keeps the time to live itself, so that the event needs no `expiration`. */
  nativeTtl: boolean;
}

/** The message claims to be a CloudEvent but is not a JSON object; the text is Go's. */
export class EnvelopeError extends Error {
  override name = 'EnvelopeError';
}

const defaults = { source: 'Dapr', type: 'com.dapr.event.sent', specversion: '1.0' };

export interface Envelope extends EventText {
  /** JSON text of the event, keys in byte order. */
  text: string;
}

/** Throws EnvelopeError. */
export function envelopeOf(input: EnvelopeInput): Envelope {
  const ttl = input.nativeTtl ? undefined : ttlOf(input.metadata);
  const expiration = ttl === undefined ? undefined : expirationOf(ttl);
  return isCloudEvent(input.contentType) ? { text: completed(input, expiration) } : wrapped(input, expiration);
}

function wrapped(input: EnvelopeInput, expiration: string | undefined): Envelope {
  let id = '', source = input.appId, type = '', subject = '', traceid = input.traceparent, traceparent = '', tracestate = input.tracestate;
  const { metadata } = input;
  for (const name in metadata) {
    if (name.length < 13 || name.slice(0, 11).toLowerCase() !== 'cloudevent.') continue;
    const value = metadata[name] as string;
    switch (name.slice(11).toLowerCase()) {
      case 'id': id = value; break;
      case 'source': source = value; break;
      case 'type': type = value; break;
      case 'subject': subject = value; break;
      case 'traceid': traceid = value; break;
      case 'traceparent': traceparent = value; break;
      case 'tracestate': tracestate = value; break;
    }
  }
  const trace = traceparent || traceid;
  const contentType = input.contentType || 'text/plain';
  const [name, data] = input.json !== undefined && isJson(contentType) ? (['data', input.json] as const) : dataAttribute(input.data, contentType);
  const { pubsubName: pubsubname, topic } = input;
  const quotedId = id === '' ? `"${(id = uuid())}"` : quote(id);
  source ||= defaults.source;
  type ||= defaults.type;
  const time = localTime();
  const head: Attributes = { datacontenttype: contentType, id, pubsubname, source, specversion: defaults.specversion, time, topic, traceid: trace, traceparent: trace, tracestate, type };
  if (expiration !== undefined) head.expiration = expiration;
  if (subject !== '') head.subject = subject;
  return { text: `{"${name}":${data},"datacontenttype":${quoteKnown(contentType)}${expiration === undefined ? '' : `,"expiration":"${expiration}"`},"id":${quotedId}${tailOf(pubsubname, source, subject, time, topic, trace, tracestate, type)}`, head };
}

let last = { pubsubname: '', source: '', subject: '', time: '', topic: '', trace: '', tracestate: '', type: '', text: '' };
/** What follows the id, which is the same for most events of a second. */
function tailOf(pubsubname: string, source: string, subject: string, time: string, topic: string, trace: string, tracestate: string, type: string): string {
  if (last.time === time && last.topic === topic && last.trace === trace && last.pubsubname === pubsubname && last.source === source && last.subject === subject && last.tracestate === tracestate && last.type === type) return last.text;
  const quotedTrace = quote(trace);
  const text = `,"pubsubname":${quoteKnown(pubsubname)},"source":${quoteKnown(source)},"specversion":"1.0"${subject === '' ? '' : `,"subject":${quote(subject)}`},"time":"${time}","topic":${quoteKnown(topic)},"traceid":${quotedTrace},"traceparent":${quotedTrace},"tracestate":${quoteKnown(tracestate)},"type":${quoteKnown(type)}}`;
  last = { pubsubname, source, subject, time, topic, trace, tracestate, type, text };
  return text;
}

/** Bytes that are no text travel as base64 whatever they claim to be: upstream puts U+FFFD in their place and so loses them. */
export function dataAttribute(data: Uint8Array, contentType: string): ['data' | 'data_base64', string] {
  if (isJson(contentType)) {
    const text = canonical(textOfBytes(data));
    if (text !== undefined) return ['data', text];
  }
  const text = isBinary(contentType) || isProtobufEvent(contentType, data) ? undefined : strictText(data);
  return text === undefined ? ['data_base64', `"${toBase64(data)}"`] : ['data', quote(text)];
}

/** A finished CloudEvent: kept as it is, with what is missing filled in. */
function completed(input: EnvelopeInput, expiration: string | undefined): string {
  const text = input.json ?? textOfBytes(input.data);
  const event = parseExact(text);
  const entries = event === undefined ? undefined : entriesOf(event);
  if (entries === undefined) throw new EnvelopeError(event === undefined ? whyNotJson(text) : `json: cannot unmarshal ${goKind(event)} into Go value of type map[string]interface {}`);
  const attributes = new Map(entries.map(([name, value]) => [name, printExact(value)]));
  const ifAbsent = (name: string, value: string) => void (attributes.has(name) || attributes.set(name, quote(value)));
  ifAbsent('time', localTime());
  if (!attributes.has('traceid')) {
    attributes.set('traceid', quote(input.traceparent));
    attributes.set('traceparent', quote(input.traceparent));
  }
  ifAbsent('tracestate', input.tracestate);
  attributes.set('topic', quote(input.topic));
  attributes.set('pubsubname', quote(input.pubsubName));
  for (const [name, value] of Object.entries(defaults)) if ((attributes.get(name) ?? 'null') === 'null') attributes.set(name, quote(value));
  if (expiration !== undefined) attributes.set('expiration', quote(expiration));
  return printObject([...attributes]);
}

const goKind = (value: unknown) => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value === 'string' ? 'string' : typeof value === 'boolean' ? 'bool' : 'number');
function whyNotJson(text: string): string {
  try {
    parseFirst(text);
  } catch (error) {
    return (error as Error).message;
  }
  return 'exceeded max depth';
}

/** The event an app gets for bytes that were published raw: no time, a new id each time. */
export function rawEvent(data: Uint8Array, topic: string, pubsubName: string): Record<string, string> {
  return {
    data_base64: toBase64(data), datacontenttype: 'application/octet-stream', id: uuid(), pubsubname: pubsubName,
    source: defaults.source, specversion: defaults.specversion, topic, type: defaults.type,
  };
}

let lastSecond = Number.NaN, lastText = '';
/** Now with the offset of this process, whole seconds, as Go prints RFC 3339. */
export function localTime(now = Date.now()): string {
  const second = Math.floor(now / 1000);
  if (second === lastSecond) return lastText;
  const minutes = -new Date(now).getTimezoneOffset();
  const shifted = new Date(now + minutes * 60_000).toISOString().slice(0, 19);
  const two = (n: number) => String(n).padStart(2, '0');
  lastSecond = second;
  lastText = minutes === 0 ? `${shifted}Z` : `${shifted}${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return lastText;
}
