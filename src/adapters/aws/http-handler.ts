// The AWS SDK's HTTP handler on the host's HTTP port: the same connections, limits and certificates as every other call.
import { HttpFailure, type HttpPort, type RawHeaders } from '../../core/host.ts';

/** What the SDK hands over (@smithy/types HttpRequest), as far as it is used here. */
interface SdkRequest {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query?: Record<string, string | null | (string | null)[]>;
  method: string;
  headers: Record<string, string>;
  body?: unknown;
}
interface SdkResponse {
  statusCode: number;
  headers: Record<string, string>;
  body?: ReadableStream<Uint8Array>;
}
export interface AwsHttpHandler {
  handle(request: SdkRequest, options?: { abortSignal?: unknown }): Promise<{ response: SdkResponse }>;
  updateHttpClientConfig(): void;
  httpHandlerConfigs(): Record<string, never>;
  destroy(): void;
}

/** `insecure`: the certificate of the server is not checked. `h2`: HTTP/2 where it can be had. */
export function createAwsHttpHandler(http: HttpPort, insecure = false, h2 = false): AwsHttpHandler {
  return {
    handle: async (request, options) => {
      const { protocol, hostname, port, method } = request;
      const signal = options?.abortSignal as AbortSignal | undefined;
      const headers: RawHeaders = [];
      // `Expect: 100-continue` would need an answer before the body is sent, which fetch does not know.
      for (const [name, value] of Object.entries(request.headers)) if (name.toLowerCase() !== 'expect') headers.push(name, value);
      const query = queryOf(request.query ?? {});
      const origin = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`;
      try {
        const answer = await http.send({
          method, origin, headers,
          path: (request.path || '/') + (query === '' ? '' : `?${query}`),
          body: bodyOf(request.body),
          ...(insecure ? { insecure } : {}),
          ...(h2 ? { h2 } : {}),
          ...(signal ? { signal } : {}),
        });
        return { response: { statusCode: answer.status, headers: named(answer.headers), ...(answer.body === null ? {} : { body: answer.body instanceof Uint8Array ? streamOf(answer.body) : answer.body }) } };
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error;
        if (error.kind === 'aborted') throw Object.assign(new Error('context canceled'), { name: 'AbortError' });
        // The SDK tries again what is marked so: nothing came back, and its requests are made to be repeated.
        throw Object.assign(new HttpFailure(error.kind, `request send failed, ${method[0]}${method.slice(1).toLowerCase()} ${JSON.stringify(origin + request.path)}: ${error.message}`), { $retryable: {} });
      }
    },
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
    destroy: () => undefined,
  };
}

/** As the SDK's own handlers write it: sorted, escaped beyond what encodeURIComponent does (the signature covers it). */
function queryOf(query: NonNullable<SdkRequest['query']>): string {
  const escaped = (text: string) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const parts: string[] = [];
  for (const name of Object.keys(query).sort()) {
    const value = query[name];
    for (const one of Array.isArray(value) ? value : [value]) parts.push(one === null || one === undefined ? escaped(name) : `${escaped(name)}=${escaped(one)}`);
  }
  return parts.join('&');
}

function bodyOf(body: unknown): Uint8Array | ReadableStream<Uint8Array> | null {
  if (body === undefined || body === null || body === '') return null;
  if (typeof body === 'string') return new TextEncoder().encode(body);
  if (body instanceof Uint8Array || body instanceof ReadableStream) return body as Uint8Array | ReadableStream<Uint8Array>;
  throw new Error('the AWS SDK sends a body of an unknown kind');
}

// The SDK reads a body as a stream only.
const streamOf = (bytes: Uint8Array) =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });

function named(headers: RawHeaders): Record<string, string> {
  const out: Record<string, string> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    out[name] = name in out ? `${out[name]}, ${headers[i + 1]}` : (headers[i + 1] as string);
  }
  return out;
}
