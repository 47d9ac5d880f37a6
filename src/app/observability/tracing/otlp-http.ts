// Spans to a collector over OTLP/HTTP in protobuf (Dapr: tracing.otel, protocol http).
import { textOf } from '../../../core/errors.ts';
import { headerOf, type HttpPort, type HttpResponse, type RawHeaders } from '../../../core/host.ts';
import { Retryable, type SpanExporter } from './batch.ts';
import type { OtlpEndpoint } from './otlp-endpoint.ts';
import { encodeExport } from './otlp-message.ts';
import type { Attributes } from './span.ts';

export const userAgent = 'OTel-OTLP-Exporter-Outrigger';

export function otlpHttpExporter(http: HttpPort, endpoint: OtlpEndpoint, resource: Attributes): SpanExporter {
  const { origin, path, gzip, timeoutMs, tls } = endpoint;
  const headers: RawHeaders = ['User-Agent', userAgent];
  for (const [name, value] of endpoint.headers) if (name.toLowerCase() !== 'content-type') headers.push(name, value);
  headers.push('Content-Type', 'application/x-protobuf');
  if (gzip) headers.push('Content-Encoding', 'gzip');
  return {
    name: `OTLP (${origin}${path})`,
    export: async (spans, signal) => {
      const message = encodeExport(resource, spans);
      const body = gzip ? await packed(message) : message;
      const response = await http.send({ method: 'POST', origin, path, headers, body, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]), ...(tls === undefined ? {} : { tls }) })
        .catch((error: unknown) => { throw new Retryable(textOf(error), undefined, error); });
      const text = await shortText(response);
      const { status } = response;
      if (status >= 200 && status <= 299) return;
      const what = `the collector answered ${status}${text === '' ? '' : `: ${text}`}`;
      throw isTransientStatus(status) ? new Retryable(what, secondsOf(headerOf(response.headers, 'retry-after'))) : new Error(what);
    },
  };
}

/** Too many requests, or a gateway in front of a collector that is away. */
export const isTransientStatus = (status: number): boolean => status === 429 || (status >= 502 && status <= 504);

const secondsOf = (text: string | undefined): number | undefined => (text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) * 1000 : undefined);

export async function packed(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new CompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
  return new Uint8Array(await new Response(stream as BodyInit).arrayBuffer());
}

/** What the answer says, read in any case so that the connection can be used again; nothing of a binary answer. */
async function shortText({ status, headers, body }: HttpResponse): Promise<string> {
  if (body === null) return '';
  const text = await new Response(body as BodyInit).text().catch(() => '');
  return status < 300 || !/^(text\/|application\/json)/.test(headerOf(headers, 'content-type') ?? '') ? '' : text.trim().slice(0, 300);
}
