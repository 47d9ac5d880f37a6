// Spans to Zipkin as its JSON, version 2 (Dapr: tracing.zipkin; the fields are those of OpenTelemetry's Zipkin exporter for Go).
import { textOf } from '../../../core/errors.ts';
import type { HttpPort } from '../../../core/host.ts';
import { type SpanExporter, Retryable } from './batch.ts';
import { isTransientStatus } from './otlp-http.ts';
import { scopeName } from './otlp-message.ts';
import { type Attributes, type FinishedSpan, SpanKind } from './span.ts';

/** `url` is the whole address of the collector's API, as a rule `http://host:9411/api/v2/spans`. */
export function zipkinExporter(http: HttpPort, url: string, resource: Attributes): SpanExporter {
  const { origin, pathname, search } = new URL(url);
  const service = (resource.find(([name]) => name === 'service.name')?.[1] ?? '').toLowerCase();
  return {
    name: `Zipkin (${origin})`,
    export: async (spans, signal) => {
      const body = new TextEncoder().encode(JSON.stringify(spans.map((span) => zipkinSpan(span, service, resource))));
      const { status, body: answer } = await http.send({ method: 'POST', origin, path: pathname + search, headers: ['Content-Type', 'application/json'], body, signal })
        .catch((error: unknown) => { throw new Retryable(textOf(error), undefined, error); });
      if (answer instanceof ReadableStream) await answer.cancel();
      if (status >= 200 && status <= 299) return;
      const text = `the collector answered ${status}`;
      throw isTransientStatus(status) ? new Retryable(text) : new Error(text);
    },
  };
}

const kinds: Partial<Record<SpanKind, string>> = { [SpanKind.SERVER]: 'SERVER', [SpanKind.CLIENT]: 'CLIENT', [SpanKind.PRODUCER]: 'PRODUCER', [SpanKind.CONSUMER]: 'CONSUMER' };

/** Zipkin shows whom a span talked to; the first of these attributes says it. Only calls and sent messages talk to somebody. */
const peers = ['server.address', 'net.peer.name', 'db.name'];

export function zipkinSpan(span: FinishedSpan, service: string, resource: Attributes): Record<string, unknown> {
  const tags: Record<string, string> = { ...Object.fromEntries(span.attributes), ...Object.fromEntries(resource) };
  delete tags.error;
  if (span.error !== '') Object.assign(tags, { 'otel.status_code': 'ERROR', error: span.error });
  tags['otel.scope.name'] = scopeName;
  const talks = span.kind === SpanKind.CLIENT || span.kind === SpanKind.PRODUCER;
  const peer = talks ? peers.map((name) => span.attributes.find(([own]) => own === name)?.[1]).find((value) => value !== undefined) : undefined;
  return {
    timestamp: Math.round(span.startMs * 1000),
    duration: Math.max(1, Math.round((span.endMs - span.startMs) * 1000)),
    traceId: span.traceId,
    id: span.spanId,
    ...(span.parentId === '' ? {} : { parentId: span.parentId }),
    name: span.name.toLowerCase(),
    kind: kinds[span.kind],
    ...(service === '' ? {} : { localEndpoint: { serviceName: service } }),
    ...(peer === undefined ? {} : { remoteEndpoint: { serviceName: peer.toLowerCase() } }),
    tags,
  };
}
