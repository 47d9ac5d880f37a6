// Outbound HTTP on fetch, for Bun, Deno and Workers: what fetch refuses is taken out first, what it changes is put right.
import { HttpFailure, headerOf, type HttpPort, type HttpRequest, type HttpResponse, packedHeaders, type RawHeaders, withoutHeaders } from '../core/host.ts';
import { sendFollowing } from './redirects.ts';

/** Where the runtimes' fetch differ. */
export interface FetchDialect {
  /** Encodings that fetch undoes in the answer to this request, although the answer's headers still name them. */
  unpacks(request: HttpRequest): readonly string[];
  /** A new init with what this runtime needs for the request (TLS, h2c, no unpacking). Throws HttpFailure for what the runtime cannot do. */
  init(request: HttpRequest): Record<string, unknown>;
}

const cannot = (what: string) => new HttpFailure('other', `this runtime's fetch cannot ${what}`);

/** https://bun.sh/docs/api/fetch: `tls` and `decompress` are Bun's own members. */
export const bunFetch: FetchDialect = {
  unpacks: () => [],
  init: ({ tls, insecure, h2c }) => {
    if (h2c) throw cannot('speak HTTP/2 without TLS');
    return tls || insecure ? { decompress: false, tls: { ...tls, ...(insecure ? { rejectUnauthorized: false } : {}) } } : { decompress: false };
  },
};

/** The least of Deno's namespace that this file needs; the Deno host passes it in. */
export interface DenoHttp {
  createHttpClient(options: { caCerts?: string[]; cert?: string; key?: string; http1?: boolean; http2?: boolean }): unknown;
}
/** https://docs.deno.com/api/deno/~/Deno.createHttpClient: clients are kept, one per set of options. */
export function denoFetch(deno: DenoHttp): FetchDialect {
  const clients = new Map<string, unknown>();
  const client = (key: string, options: Parameters<DenoHttp['createHttpClient']>[0]) => {
    let found = clients.get(key);
    if (found === undefined) clients.set(key, (found = deno.createHttpClient(options)));
    return found;
  };
  return {
    // Seen with Deno 2.9: a caller that asks for `identity` gets even packed bytes untouched.
    unpacks: ({ headers }) => (headerOf(headers, 'accept-encoding') === 'identity' ? [] : ['gzip', 'br']),
    init: ({ tls, insecure, h2c }) => {
      if (insecure) throw cannot('skip the check of a certificate');
      if (h2c) return { client: client('h2c', { http1: false, http2: true }) };
      if (!tls) return {};
      const { ca, cert, key, servername } = tls;
      if (servername) throw cannot('ask a server for another name');
      return { client: client(JSON.stringify([ca, cert, key]), { ...(ca ? { caCerts: [ca] } : {}), ...(cert && key ? { cert, key } : {}) }) };
    },
  };
}

export const workersFetch: FetchDialect = {
  unpacks: () => ['gzip', 'br'],
  init: ({ tls, insecure, h2c }) => {
    if (h2c) throw cannot('speak HTTP/2 without TLS');
    if (insecure) throw cannot('skip the check of a certificate');
    if (tls) throw cannot('use own certificates');
    return {};
  },
};

const smallAnswer = 64 * 1024;
/** Fetch sets these itself, and some of them in a request make the whole call fail. */
const refused = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'expect', 'host', 'content-length']);

export function createFetchHttpClient(dialect: FetchDialect, fetcher: typeof fetch = fetch): HttpPort {
  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    const { method } = request;
    const signal = request.signal ?? request.gone?.();
    const body = request.body === '' || (request.body instanceof Uint8Array && request.body.length === 0) ? null : (request.body ?? null);
    if (body !== null && (method === 'GET' || method === 'HEAD')) throw cannot(`send a ${method} request with a body`);
    const init: RequestInit & { duplex?: 'half' } = dialect.init(request);
    init.method = method;
    init.headers = headersOf(request.headers);
    init.redirect = 'manual';
    if (signal !== undefined) init.signal = signal;
    if (body !== null) {
      init.body = body as BodyInit;
      if (body instanceof ReadableStream) init.duplex = 'half';
    }
    let response: Response;
    try {
      response = await fetcher(request.origin + request.path, init);
    } catch (error) {
      throw failureOf(error, request.origin, signal);
    }
    return answerOf(response, method, dialect.unpacks(request));
  };
  return { send: (request) => (request.followRedirects ? sendFollowing(request, send) : send(request)) };
}

const spellings = new Map<string, string>();
/** The name in lower case, '' where fetch refuses it; spellings are remembered, up to a number no attack can stretch. */
function nameOf(spelled: string): string {
  let name = spellings.get(spelled);
  if (name === undefined) {
    const lower = spelled.toLowerCase();
    name = refused.has(lower) ? '' : lower;
    if (spellings.size < 2048) spellings.set(spelled, name);
  }
  return name;
}

/** A plain object where no name is repeated: the form the runtimes read fastest. */
function headersOf(list: RawHeaders): Record<string, string> | Headers {
  const plain: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) {
    const lower = nameOf(list[i] as string);
    if (lower === '') continue;
    if (lower in plain) return repeatedHeadersOf(list); // or one that every object has
    plain[lower] = list[i + 1] as string;
  }
  return plain;
}

function repeatedHeadersOf(list: RawHeaders): Headers {
  const headers = new Headers();
  for (let i = 0; i < list.length; i += 2) {
    const lower = nameOf(list[i] as string);
    if (lower === '') continue;
    const value = list[i + 1] as string;
    // Two Cookie lines become one list, which is joined by semicolons and not by commas.
    if (lower === 'cookie' && headers.has(lower)) headers.set(lower, `${headers.get(lower)}; ${value}`);
    else headers.append(lower, value);
  }
  return headers;
}

async function answerOf(response: Response, method: string, undone: readonly string[]): Promise<HttpResponse> {
  const { status } = response;
  if (status === 101) {
    // Deno hands it over; nobody asked for it, and the caller's connection is not to be switched
    response.body?.cancel().catch(() => undefined);
    throw new HttpFailure('other', 'net/http: HTTP/1.x transport connection broken: unexpected 101 Switching Protocols');
  }
  const headers: RawHeaders = [];
  let cookies = false;
  let length: string | undefined;
  let encoding: string | undefined;
  // forEach: twice as fast as for…of on Bun
  response.headers.forEach((value, name) => {
    if (name === 'set-cookie') cookies = true;
    else {
      if (name === 'content-length') length = value;
      else if (name === 'content-encoding') encoding = value;
      headers.push(name, value);
    }
  });
  if (cookies) for (const cookie of response.headers.getSetCookie()) headers.push('set-cookie', cookie);
  if (method === 'HEAD' || status === 204 || status === 304 || length === '0') return { status, headers, body: null };
  if (undone.length > 0 && encoding !== undefined && undone.includes(encoding.trim().toLowerCase())) return { status, headers: withoutHeaders(headers, packedHeaders), body: response.body };
  if (length === undefined || Number(length) > smallAnswer) return { status, headers, body: response.body };
  // Not looked at before: on Bun that makes a stream of it, which costs as much as the whole call.
  try {
    return { status, headers, body: new Uint8Array(await response.arrayBuffer()) };
  } catch (cause) {
    // Cut in the middle: the caller is to see a cut answer, not another status.
    return { status, headers, body: new ReadableStream({ start: (controller) => controller.error(new HttpFailure('reset', 'unexpected EOF', cause)) }) };
  }
}

/** No two runtimes say alike why there was no answer; the text of all causes tells. */
function failureOf(error: unknown, origin: string, signal: AbortSignal | undefined): HttpFailure {
  if (error instanceof HttpFailure) return error;
  if (signal?.aborted) return new HttpFailure('aborted', 'context canceled', error);
  const { hostname, port, protocol } = new URL(origin);
  const dial = `dial tcp ${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  let text = '';
  for (let at: unknown = error; at instanceof Error; at = at.cause) text += ` ${(at as { code?: string }).code ?? ''} ${at.message}`;
  if (/refused|Unable to connect|os error 111/i.test(text)) return new HttpFailure('refused', `${dial}: connect: connection refused`, error);
  if (/ENOTFOUND|FailedToOpenSocket|dns error|failed to lookup/i.test(text)) return new HttpFailure('refused', `dial tcp: lookup ${hostname}: no such host`, error);
  if (/timed? ?out/i.test(text)) return new HttpFailure('timeout', `${dial}: i/o timeout`, error);
  if (/certificate|self.signed|UnknownIssuer/i.test(text)) return new HttpFailure('other', `tls: failed to verify certificate: ${error instanceof Error ? error.message : text}`, error);
  if (/ECONNRESET|reset by peer/i.test(text)) return new HttpFailure('reset', `read tcp ${dial.slice(9)}: read: connection reset by peer`, error);
  if (/closed|EOF|connection lost|SendRequest|IncompleteMessage/i.test(text)) return new HttpFailure('reset', 'EOF', error);
  return new HttpFailure('other', text.trim(), error);
}
