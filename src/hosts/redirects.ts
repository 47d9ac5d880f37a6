// How HTTPEndpoint calls follow redirects: the rules of Go's net/http client, for every host's HTTP port.
import { HttpFailure, headerOf, type HttpRequest, type HttpResponse, type RawHeaders } from '../core/host.ts';

const limit = 10;
/** Not sent on to another host. */
const confidential = new Set(['authorization', 'www-authenticate', 'cookie', 'cookie2', 'proxy-authorization']);

/** Sends and follows at most 10 redirects; a 307 or 308 that would need the body again comes back as it is. */
export async function sendFollowing(request: HttpRequest, send: (request: HttpRequest) => Promise<HttpResponse>): Promise<HttpResponse> {
  let current = request;
  for (let hops = 0; ; hops++) {
    const response = await send(current);
    const next = nextRequest(current, response);
    if (next === undefined) return response;
    await discard(response.body);
    if (hops >= limit) throw new HttpFailure('other', `stopped after ${limit} redirects`);
    current = next;
  }
}

function nextRequest(request: HttpRequest, response: HttpResponse): HttpRequest | undefined {
  const { status } = response;
  if (status < 301 || status > 308 || (status > 303 && status < 307)) return undefined;
  const location = headerOf(response.headers, 'location');
  if (!location) return undefined;
  const keepsBody = status > 303;
  if (keepsBody && request.body) return undefined;
  const from = request.origin + request.path;
  let url: URL;
  try {
    url = new URL(location, from);
  } catch (cause) {
    throw new HttpFailure('other', `failed to parse Location header ${JSON.stringify(location)}`, cause);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new HttpFailure('other', `unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
  const sameHost = url.host === new URL(request.origin).host;
  const headers: RawHeaders = [];
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = (request.headers[i] as string).toLowerCase();
    if (name === 'host' || name === 'referer' || (!sameHost && confidential.has(name)) || (!keepsBody && (name === 'content-length' || name === 'content-type' || name === 'content-encoding'))) continue;
    headers.push(request.headers[i] as string, request.headers[i + 1] as string);
  }
  if (!(request.origin.startsWith('https:') && url.protocol === 'http:')) headers.push('Referer', from);
  const method = keepsBody || request.method === 'HEAD' ? request.method : 'GET';
  return { ...request, method, origin: url.origin, path: url.pathname + url.search, headers, body: keepsBody ? (request.body ?? null) : null };
}

/** Lets an answer nobody reads go, so that its connection is free again. */
async function discard(body: HttpResponse['body']): Promise<void> {
  if (body instanceof ReadableStream) await body.cancel().catch(() => undefined);
}
