// HTTP routes of publishing, single and bulk.
import { BodyBroken, BodyTooLarge, type RawHeaders } from '../../core/host.ts';
import { DaprError } from '../../core/errors.ts';
import { fromBase64 } from '../../core/base64.ts';
import { GoJsonError, goStringify, parseFirst, stringMap, struct, string, textOfBytes, utf8 } from '../../core/go-json.ts';
import { type Members, membersOf } from '../../core/json-canonical.ts';
import { entriesOf, type Exact, parseExact, printExact } from '../../core/json-exact.ts';
import { newSpan } from '../../core/traceparent.ts';
import { errorOfStatus, type Span, SpanKind } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { isBinary, isCloudEvent, isJson, isText } from '../../blocks/pubsub/content-type.ts';
import type { BulkEntry, EventTrace, PubSubBlock } from '../../blocks/pubsub/pubsub.ts';
import { answer, bodyBytes, empty, type Handler, header, type HttpCall, rest, type Route, segment } from './call.ts';
import { callerTrace, untraced } from './event-trace.ts';
import { decodedPath, queryMetadata } from './path.ts';

export interface PublishOptions extends TracingRules {
  appId: string;
}

export function publishRoutes(pubsub: PubSubBlock, options: PublishOptions): Route[] {
  const { appId, tracing, samplingRate, recorder } = options;

  const traceOf = (call: HttpCall): EventTrace => callerTrace(call, tracing);
  /** Entries of a bulk request have spans of their own, even where tracing is off (dapr/pkg/diagnostics StartProducerSpanChildFromParent). */
  const entryTrace = (caller: EventTrace, name: string, spans: Span[]): EventTrace => {
    if (tracing === 'echo') return caller;
    const traceparent = newSpan(caller.traceparent, tracing === 'off' ? 0 : samplingRate);
    const span = recorder?.start(SpanKind.PRODUCER, name, traceparent, caller.traceparent, caller.tracestate);
    if (span !== undefined) spans.push(span);
    return { traceparent, tracestate: caller.tracestate };
  };

  const publish: Handler = async (call) => {
    const name = segment(call, 2);
    const metadata = queryMetadata(call.query);
    const broker = pubsub.component(name, metadata);
    const topic = rest(call, 3);
    let data: Uint8Array;
    try {
      data = await bodyBytes(call);
    } catch (error) {
      if (!(error instanceof BodyTooLarge || error instanceof BodyBroken)) throw error;
      throw pubsub.refusal('pubsubPublish', name, { topic, error: error.message }, { topic, error: error.message });
    }
    const raw = broker.isRaw(metadata);
    await broker.publish(topic, { data, contentType: header(call, 'content-type') ?? '', metadata, trace: raw ? untraced : traceOf(call) }, raw, call.context);
    return empty(call);
  };

  const bulkPublish: Handler = async (call) => {
    const name = segment(call, 3);
    const metadata = queryMetadata(call.query);
    const broker = pubsub.component(name, metadata);
    const topic = rest(call, 4);
    const raw = broker.isRaw(metadata);
    const refuse = (is: 'pubsubEnvelope' | 'pubsubEntryId', error: string) => pubsub.refusal(is, name, { topic, error }, { appID: appId, error });
    let incoming: IncomingEntry[];
    try {
      incoming = await entriesFrom(call);
    } catch (error) {
      if (!(error instanceof GoJsonError || error instanceof BodyTooLarge || error instanceof BodyBroken)) throw error;
      throw pubsub.refusal('pubsubBulkBody', name, { topic, error: error.message }, { appID: appId });
    }
    const caller = raw ? untraced : traceOf(call);
    const path = decodedPath(call.incoming.target);
    const ids = new Set<string>();
    const spans: Span[] = [];
    const ended = (status: number) => { for (const span of spans) span.end({ attributes: [], error: errorOfStatus(status) }); };
    const entries = incoming.map((entry): BulkEntry => {
      const found = eventData(entry, raw);
      if (typeof found === 'string') throw refuse('pubsubEnvelope', found);
      if (entry.entryId === '' || ids.has(entry.entryId)) throw refuse('pubsubEntryId', 'entryId is duplicated or not present for entry');
      ids.add(entry.entryId);
      return { entryId: entry.entryId, data: found.data, json: found.json, contentType: entry.contentType, metadata: entryMetadata(metadata, entry.metadata), trace: raw ? untraced : entryTrace(caller, path, spans) };
    });
    const { failed, error } = await broker.bulkPublish(topic, entries, raw, call.context).catch((thrown: unknown) => {
      ended(thrown instanceof DaprError ? thrown.http : 500);
      throw thrown;
    });
    ended(error === undefined ? 204 : error.http);
    if (error === undefined) return empty(call);
    const body = goStringify({ failedEntries: failed, errorCode: error.row.code });
    const headers: RawHeaders = ['Content-Type', 'application/json', 'Metadata.responsedata', headerValue(body), 'Metadata.error', headerValue(error.goText)];
    return answer(call, error.http, headers, body);
  };

  const write = ['POST', 'PUT'];
  // The bulk routes come first: a topic `bulk` of a component is found all the same, a component named `bulk` only with one topic segment.
  return [
    { methods: write, path: 'v1.0/publish/bulk/:pubsubname/:topic{.+}', name: 'BulkPublishEvent', group: 'publish/v1', handler: bulkPublish },
    { methods: write, path: 'v1.0-alpha1/publish/bulk/:pubsubname/:topic{.+}', name: 'BulkPublishEvent', group: 'publish/v1alpha1', handler: bulkPublish },
    { methods: write, path: 'v1.0/publish/:pubsubname/:topic{.+}', name: 'PublishEvent', group: 'publish/v1', handler: publish },
  ];
}

/**
 * Metadata of the request counts for every entry, what an entry says itself wins. (Upstream leaves it out of entries without metadata.)
 * Undefined where neither says anything to the broker: it then stores none.
 */
function entryMetadata(request: Record<string, string>, own: Record<string, string> | undefined): Record<string, string> | undefined {
  if (own !== undefined) return { ...request, ...own };
  return Object.keys(request).some((name) => name !== 'rawPayload') ? { ...request } : undefined;
}

interface IncomingEntry {
  entryId: string;
  /** The event as printExact prints it. */
  event: string;
  contentType: string;
  metadata: Record<string, string> | undefined;
}

/** As with every JSON body, what follows the first value is never seen, not even that it is too much. */
async function entriesFrom(call: HttpCall): Promise<IncomingEntry[]> {
  try {
    return readEntries(textOfBytes(await bodyBytes(call)));
  } catch (error) {
    if (!(error instanceof BodyTooLarge) || error.received === undefined) throw error;
    try {
      return readEntries(textOfBytes(error.received));
    } catch (inner) {
      throw inner instanceof GoJsonError && inner.message.endsWith('EOF') ? error : inner;
    }
  }
}

/** As they are mostly written; others count without regard to case, as in Go. */
const entryFields = new Map([['entryId', 'entryid'], ['contentType', 'contenttype'], ['event', 'event'], ['metadata', 'metadata']]);
const fields = struct('http.bulkPublishMessageEntry', { entryId: string, contentType: string });

/** Reads the list with the digits of its numbers; a `null` is no entries. Throws GoJsonError. */
const readEntries = (text: string): IncomingEntry[] => (membersOf(text) ?? printedMembersOf(text)).map(readEntry);

function printedMembersOf(text: string): Members[] {
  const list = parseExact(text);
  if (list === undefined) {
    parseFirst(text); // says what is wrong in Go's words
    throw new GoJsonError('exceeded max depth');
  }
  if (list === null) return [];
  if (!Array.isArray(list)) throw new GoJsonError(`json: cannot unmarshal ${kindOf(list)} into Go value of type []http.bulkPublishMessageEntry`);
  return (list as readonly Exact[]).map((item) => {
    const entries = item === null ? [] : entriesOf(item);
    if (entries === undefined) throw new GoJsonError(`json: cannot unmarshal ${kindOf(item)} into Go value of type http.bulkPublishMessageEntry`);
    return { names: entries.map(([name]) => name), values: entries.map(([, value]) => printExact(value)) };
  });
}

/** undefined: the JSON is no string. */
const stringIn = (json: string): string | undefined => (!json.startsWith('"') ? undefined : json.includes('\\') ? (JSON.parse(json) as string) : json.slice(1, -1));

function readEntry({ names, values }: Members): IncomingEntry {
  const entry: IncomingEntry = { entryId: '', event: 'null', contentType: '', metadata: undefined };
  for (let i = 0; i < names.length; i++) {
    const name = names[i] as string;
    const text = values[i] as string;
    switch (entryFields.get(name) ?? name.toLowerCase()) {
      case 'entryid': entry.entryId = stringIn(text) ?? fields.read({ entryId: JSON.parse(text) }, '').entryId; break;
      case 'contenttype': entry.contentType = stringIn(text) ?? fields.read({ contentType: JSON.parse(text) }, '').contentType; break;
      case 'event': entry.event = text; break;
      case 'metadata': entry.metadata = text === 'null' ? undefined : stringMap.read(JSON.parse(text), 'bulkPublishMessageEntry.metadata'); break;
    }
  }
  return entry;
}

const kindOf = (value: Exact) => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value === 'string' ? 'string' : entriesOf(value) ? 'object' : 'number');

const mismatch = 'error: mismatch between contentType and event';
/** The bytes an entry stands for (JSON as text, as bytes too where it goes out raw), or what is wrong with it. Source: dapr/pkg/api/http/util.go. */
function eventData({ event, contentType }: IncomingEntry, raw: boolean): Pick<BulkEntry, 'data' | 'json'> | string {
  const binary = isBinary(contentType);
  if (binary || isText(contentType)) {
    const string = stringIn(event);
    if (string === undefined) return mismatch;
    if (!binary) return { data: utf8(string) };
    // The decoder must not accept what Go refuses: blanks and missing padding. It does accept line breaks.
    const text = string.replace(/[\r\n]/g, '');
    if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return { data: fromBase64(text) };
    return 'error: unable to decode base64 application/octect-stream data: illegal base64 data';
  }
  if (!isJson(contentType) && !isCloudEvent(contentType)) return mismatch;
  return { json: event, data: raw ? utf8(event) : none };
}
const none = new Uint8Array(0);

/** A header carries bytes: UTF-8, line breaks as blanks. */
const headerValue = (text: string): string => Array.from(utf8(text), (byte) => (byte < 0x20 || byte === 0x7f ? ' ' : String.fromCharCode(byte))).join('');
