// HTTPEndpoint resources and raw URLs as targets of invocation.
import type { CallContext } from '../../core/context.ts';
import { type HttpPort, type HttpRequest, type HttpResponse, headerOf, type RawHeaders } from '../../core/host.ts';
import type { HttpEndpointResource } from '../resources/kinds.ts';
import { type ResolvedItem, resolveItems, type ValueSources } from '../resources/values.ts';
import { delivered } from './deliver.ts';

export interface OutsideRequest {
  method: string;
  /** Encoded, without leading slash; '' for the URL itself. */
  path: string;
  /** With `?`, or ''. */
  query: string;
  headers: RawHeaders;
  mayUnpack: boolean;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

export interface Endpoints {
  has(name: string): boolean;
  /** As the resource says; '' where there is no such endpoint. */
  baseUrl(name: string): string;
  /** Reads headers and certificates (through secret stores, which must be open) and makes the endpoint callable. */
  load(resource: HttpEndpointResource): Promise<void>;
  /** Calls an HTTPEndpoint: redirects are followed, its headers take the place of the caller's. */
  call(name: string, request: OutsideRequest, context: CallContext): Promise<HttpResponse>;
  /** Calls an outside URL. It gets neither the app's token nor the lenient TLS of the app channel (daprd gives it both). */
  callUrl(url: string, request: OutsideRequest, context: CallContext): Promise<HttpResponse>;
}

interface Endpoint {
  baseUrl: string;
  headers: ResolvedItem[];
  tls: HttpRequest['tls'];
}

export function createEndpoints(http: HttpPort, sources: ValueSources): Endpoints {
  const endpoints = new Map<string, Endpoint>();

  const send = (base: string, { method, path, query, headers, mayUnpack, body }: OutsideRequest, context: CallContext, more: Partial<HttpRequest>) => {
    const { origin, basePath } = split(base);
    const target = `${basePath}${path === '' ? '' : `/${path}`}`;
    return delivered(method, () => `${origin}${target}${query}`, mayUnpack, () =>
      http.send({ method, origin, path: `${target === '' ? '/' : target}${query}`, headers: traced(headers, context), body, gone: () => context.signal, ...more }));
  };

  return {
    has: (name) => endpoints.has(name),
    baseUrl: (name) => endpoints.get(name)?.baseUrl ?? '',
    load: async (resource) => {
      const owner = { kind: 'HTTPEndpoint', ...resource };
      const { rootCA, certificate, privateKey } = resource.clientTls;
      const headers = await resolveItems(owner, resource.headers, sources);
      const certificates = await resolveItems(owner, [{ ...rootCA, name: 'ca' }, { ...certificate, name: 'cert' }, { ...privateKey, name: 'key' }], sources);
      const missing = headers.waitsFor ?? certificates.waitsFor;
      if (missing !== undefined) {
        sources.log.warn(`HTTPEndpoint ${resource.name} is not loaded: its secret store ${missing} is not loaded`);
        return;
      }
      const tls: NonNullable<HttpRequest['tls']> = {};
      for (const { name, value } of certificates.items) if (value !== '') tls[name as 'ca' | 'cert' | 'key'] = value;
      endpoints.set(resource.name, { baseUrl: resource.baseUrl, headers: headers.items, tls: Object.keys(tls).length > 0 ? tls : undefined });
    },
    call: (name, request, context) => {
      const { baseUrl, headers, tls } = endpoints.get(name) as Endpoint;
      return send(baseUrl, { ...request, headers: overwritten(request.headers, headers) }, context, { followRedirects: true, ...(tls ? { tls } : {}) });
    },
    callUrl: (url, request, context) => send(url, request, context, {}),
  };
}

/** `https://host:1/a/b/` is origin `https://host:1` and path `/a/b/`; a slash at the end stays, as with daprd. */
function split(url: string): { origin: string; basePath: string } {
  const slash = url.indexOf('/', url.indexOf('://') + 3);
  return slash < 0 ? { origin: url, basePath: '' } : { origin: url.slice(0, slash), basePath: url.slice(slash) };
}

function overwritten(headers: RawHeaders, fixed: readonly ResolvedItem[]): RawHeaders {
  if (fixed.length === 0) return headers;
  const names = new Set(fixed.map(({ name }) => name.toLowerCase()));
  const list: RawHeaders = [];
  for (let i = 0; i < headers.length; i += 2) if (!names.has((headers[i] as string).toLowerCase())) list.push(headers[i] as string, headers[i + 1] as string);
  for (const { name, value } of fixed) list.push(name, value);
  return list;
}

function traced(headers: RawHeaders, { traceparent, tracestate, baggage }: CallContext): RawHeaders {
  if (headerOf(headers, 'traceparent') === undefined && traceparent !== '') {
    headers.push('Traceparent', traceparent);
    if (tracestate !== '') headers.push('Tracestate', tracestate);
  }
  if (baggage !== '' && headerOf(headers, 'baggage') === undefined) headers.push('Baggage', baggage);
  return headers;
}
