// Spans to a collector over OTLP/gRPC (Dapr: tracing.otel, protocol grpc): one unary call, framed by hand on the host's HTTP/2.
import { textOf } from '../../../core/errors.ts';
import { headerOf, type Http2Port, type RawHeaders } from '../../../core/host.ts';
import { Retryable, type SpanExporter } from './batch.ts';
import type { OtlpEndpoint } from './otlp-endpoint.ts';
import { packed, userAgent } from './otlp-http.ts';
import { encodeExport } from './otlp-message.ts';
import type { Attributes } from './span.ts';

const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
/** Canceled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss: OTLP lets these be tried again. */
const transient = new Set(['1', '4', '10', '11', '14', '15']);

export function otlpGrpcExporter(http2: Http2Port, endpoint: OtlpEndpoint, resource: Attributes): SpanExporter {
  const { origin, gzip, timeoutMs, tls } = endpoint;
  const headers: RawHeaders = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', userAgent, 'grpc-timeout', `${timeoutMs}m`];
  if (gzip) headers.push('grpc-encoding', 'gzip');
  for (const [name, value] of endpoint.headers) headers.push(name.toLowerCase(), value);
  const connection = http2.connect(origin, tls);
  return {
    name: `OTLP (${origin.replace(/^http/, 'grpc')})`,
    export: async (spans, signal) => {
      const message = encodeExport(resource, spans);
      const body = framed(gzip ? await packed(message) : message, gzip);
      const answer = await connection.post({ path: method, headers, body, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) })
        .catch((error: unknown) => { throw new Retryable(textOf(error), undefined, error); });
      // Without a message the status comes in the head.
      const status = headerOf(answer.trailers, 'grpc-status') ?? headerOf(answer.headers, 'grpc-status');
      if (status === '0') return;
      const text = status === undefined ? `the collector answered HTTP ${answer.status} without a gRPC status` : `the collector answered gRPC status ${status}: ${decoded(headerOf(answer.trailers, 'grpc-message') ?? headerOf(answer.headers, 'grpc-message') ?? '')}`;
      throw transient.has(status ?? '14') ? new Retryable(text) : new Error(text);
    },
    close: () => connection.close(),
  };
}

/** A gRPC message: whether it is packed, its length, its bytes. */
function framed(message: Uint8Array, isPacked: boolean): Uint8Array {
  const frame = new Uint8Array(message.length + 5);
  frame[0] = isPacked ? 1 : 0;
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, 5);
  return frame;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
