// Headers an app gets with a message: the message's metadata and its trace (Dapr: pkg/messaging/v1/util.go, InternalMetadataToHTTPHeader).
import { utf8 } from '../../core/go-json.ts';
import type { RawHeaders } from '../../core/host.ts';
import { newSpan, readTraceparent, zeroTraceparent } from '../../core/traceparent.ts';
import { type Span, SpanKind } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { canonical } from '../../blocks/invoke/headers.ts';

/** Never passed on: what belongs to a connection, what this request says itself. */
const dropped = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te', 'trailer', 'proxy-authorization', 'proxy-authenticate',
  'content-type', 'content-length', 'destination-app-id', 'host', 'expect', 'traceparent', 'tracestate', 'grpc-trace-bin',
]);

/** Appends metadata as headers. Throws where a name or value cannot be one: the message then fails. */
export function metadataHeaders(metadata: Readonly<Record<string, string>>, list: RawHeaders): void {
  const hop = connectionNames(metadata);
  for (const name in metadata) {
    if (name === 'pubsubName') {
      list.push('Pubsubname', metadata[name] as string);
      continue;
    }
    const lower = name.toLowerCase();
    if (dropped.has(lower) || lower.endsWith('-bin') || hop?.has(lower)) continue;
    const value = metadata[name] as string;
    const spelled = lower.startsWith('grpc-') ? `dapr-${lower}` : /^:(method|scheme|path|authority)$/.test(lower) ? `dapr-${lower.slice(1)}` : lower;
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(spelled)) throw new Error(`net/http: invalid header field name ${JSON.stringify(name)}`);
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new Error(`net/http: invalid header field value for ${JSON.stringify(name)}`);
    list.push(canonical(spelled), asBytes(value));
  }
}

/** Headers named by a `connection` entry are of this hop only. */
function connectionNames(metadata: Readonly<Record<string, string>>): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (const name in metadata) {
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
    for (const part of (metadata[name] as string).split(',')) (names ??= new Set()).add(part.trim().toLowerCase());
  }
  return names;
}

/** A header value is bytes; beyond ASCII those of UTF-8. */
const asBytes = (text: string): string => (/^[\x00-\x7f]*$/.test(text) ? text : Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join(''));

/**
 * Appends the trace of an event: a span of its own where spans are made, else the event's trace as it is.
 * An event that says it has none (`""`) gets upstream's all-zero traceparent, one that says nothing gets no header; then metadata may name one.
 * Returns the span, named `name`, where somebody wants to see it.
 */
export function traceHeaders(attributes: Readonly<Record<string, unknown>>, metadata: Readonly<Record<string, string>>, { tracing, samplingRate, recorder }: TracingRules, name: string, list: RawHeaders): Span | undefined {
  const said = attributes.traceparent ?? attributes.traceid;
  // What is no text is no trace. (Upstream's process ends here.)
  const known = tracing !== 'off' && typeof said === 'string';
  if (known && tracing === 'spans') {
    const traceparent = newSpan(said, samplingRate);
    list.push('Traceparent', traceparent);
    return recorder?.start(SpanKind.CLIENT, name, traceparent, said, '');
  }
  const given = known ? readTraceparent(said) : undefined;
  if (given !== undefined) {
    list.push('Traceparent', given);
    return undefined;
  }
  const { traceparent, tracestate } = metadata;
  if (traceparent !== undefined && traceparent !== '') {
    list.push('Traceparent', asBytes(traceparent));
    if (tracestate !== undefined && tracestate !== '') list.push('Tracestate', asBytes(tracestate));
  } else if (known) list.push('Traceparent', zeroTraceparent);
  return undefined;
}
