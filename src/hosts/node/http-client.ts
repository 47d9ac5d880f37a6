// Outbound HTTP on Node: undici's client in a small pool of connections per origin, answers as bytes where they are small.
import type { Client as ClientType, Dispatcher } from 'undici';
import Client from 'undici/lib/dispatcher/client.js';
import { HttpFailure, type HttpPort, type HttpRequest, type HttpResponse, type RawHeaders } from '../../core/host.ts';
import { sendFollowing } from '../redirects.ts';

/** Answers of known length up to this size come back as bytes. */
const smallAnswer = 64 * 1024;
/** Per origin, as in Dapr's app channel (dapr/pkg/runtime/channels): requests beyond wait their turn, idle connections beyond are closed. */
const maxConnections = 1024;
const maxIdle = 64;
/** Callers may name any URL: beyond so many origins, those that have nothing to do are forgotten. */
const mostOrigins = 256;
const connectTimeoutMs = 15_000;
/** One connection, kept alive and opened again as needed. Nothing is sent twice: a request that was cut may have had its effect. */
interface Line {
  readonly client: ClientType;
}
interface Origin {
  readonly maxHeaderBytes: number | undefined;
  take(): Line | undefined;
  put(line: Line): void;
  queue(start: (line: Line) => void): void;
  /** Nothing is under way. */
  readonly isIdle: boolean;
  close(): Promise<void>;
}
type Controller = Parameters<NonNullable<Dispatcher.DispatchHandler['onRequestStart']>>[0] & { rawHeaders?: unknown };

export interface NodeHttpClient extends HttpPort {
  close(): Promise<void>;
}

/** `maxHeaderBytes`: longest header block of an answer, default 16 KiB (daprd: --read-buffer-size, 4 KiB). */
export function createNodeHttpClient(options: { maxHeaderBytes?: number } = {}): NodeHttpClient {
  const origins = new Map<string, Origin>();
  const slow = createSlowWatch();

  const originOf = (request: HttpRequest): Origin => {
    const { origin, tls, insecure, h2c, h2, maxHeaderBytes } = request;
    const key = tls || insecure || h2c || h2 ? JSON.stringify([origin, insecure, h2c, maxHeaderBytes, tls, h2]) : maxHeaderBytes ? `${origin} ${maxHeaderBytes}` : origin;
    let found = origins.get(key);
    if (found === undefined) {
      if (origins.size >= mostOrigins) forgetIdle();
      found = createOrigin(request, request.maxHeaderBytes ?? options.maxHeaderBytes, () => origins.delete(key));
      origins.set(key, found);
    }
    return found;
  };

  const forgetIdle = () => {
    for (const [key, origin] of origins) {
      if (!origin.isIdle) continue;
      origins.delete(key);
      origin.close().catch(() => undefined);
    }
  };

  const send = (request: HttpRequest): Promise<HttpResponse> =>
    new Promise((resolve, reject) => {
      if (request.signal?.aborted) return reject(new HttpFailure('aborted', 'context canceled'));
      let origin: Origin;
      try {
        origin = originOf(request);
      } catch (cause) {
        return reject(new HttpFailure('other', cause instanceof Error ? cause.message : String(cause), cause));
      }
      const start = (line: Line) => {
        const exchange = new Exchange(request, origin, line, slow, resolve, reject);
        // The typed handler wants every callback; undici itself calls only those that exist.
        line.client.dispatch({ method: request.method as 'GET', path: request.path, headers: request.headers, body: (request.body ?? null) as Uint8Array | null }, exchange);
      };
      const line = origin.take();
      if (line === undefined) origin.queue(start);
      else start(line);
    });

  return {
    send: (request) => (request.followRedirects ? sendFollowing(request, send) : send(request)),
    close: async () => {
      await Promise.all([...origins.values()].map((origin) => origin.close()));
      origins.clear();
    },
  };
}

function createOrigin({ origin, tls, insecure, h2c, h2 = false }: HttpRequest, maxHeaderBytes: number | undefined, onEmpty: () => void): Origin {
  const idle: Line[] = [];
  const all = new Set<Line>();
  const waiting: ((line: Line) => void)[] = [];
  const open = (): Line => {
    const client = new Client(origin, {
      ...(h2c ? { allowH2: true, h2Options: { useH2c: true, maxConcurrentStreams: 1000 } } : { allowH2: h2, pipelining: 1 }),
      // An app may think as long as it likes; policies set limits where wanted.
      headersTimeout: 0, bodyTimeout: 0,
      keepAliveTimeout: 4_000,
      ...(maxHeaderBytes === undefined ? {} : { maxHeaderSize: maxHeaderBytes }),
      connect: { timeout: connectTimeoutMs, ...(insecure ? { rejectUnauthorized: false } : {}), ...tls },
    } as ClientType.Options);
    const line: Line = { client };
    client.on('disconnect', () => {
      // An idle line whose connection ended is only an object; the first one stays for the next request.
      const at = idle.length > 1 ? idle.indexOf(line) : -1;
      if (at > 0) { idle.splice(at, 1); drop(line); }
    });
    all.add(line);
    return line;
  };
  const drop = (line: Line) => {
    all.delete(line);
    line.client.destroy().catch(() => undefined);
    if (all.size === 0) onEmpty();
  };
  if (h2c) {
    // One connection carries many requests.
    const shared = open();
    return { maxHeaderBytes, take: () => shared, put: () => undefined, queue: () => undefined, isIdle: false, close: () => shared.client.destroy() };
  }
  return {
    maxHeaderBytes,
    take: () => idle.pop() ?? (all.size < maxConnections ? open() : undefined),
    put: (line) => {
      const next = waiting.shift();
      if (next) next(line);
      else if (idle.length < maxIdle) idle.push(line);
      else drop(line);
    },
    queue: (start) => { waiting.push(start); },
    get isIdle() { return idle.length === all.size; },
    close: async () => { await Promise.all([...all].map((line) => line.client.destroy())); },
  };
}

/** Stands for an exchange in the watch's list; emptied when it is over, so that the list keeps nothing alive. */
interface Ticket {
  exchange: Exchange | undefined;
}
interface SlowWatch {
  add(exchange: Exchange): Ticket;
}
/** Tells exchanges that are still under way after one to two ticks. */
function createSlowWatch(tickMs = 50): SlowWatch {
  let young: Ticket[] = [];
  let old: Ticket[] = [];
  let timer: NodeJS.Timeout | undefined;
  const tick = () => {
    for (const { exchange } of old) exchange?.isSlow();
    old = young;
    young = [];
    if (old.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return {
    add: (exchange) => {
      const ticket = { exchange };
      young.push(ticket);
      timer ??= setInterval(tick, tickMs).unref();
      return ticket;
    },
  };
}

/** One request and its answer, in the words of undici's dispatch handler. */
class Exchange {
  readonly #request: HttpRequest;
  readonly #origin: Origin;
  readonly #line: Line;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (failure: HttpFailure) => void;
  #controller: Controller | undefined;
  readonly #ticket: Ticket | undefined;
  #watched: AbortSignal | undefined;
  #onAbort: (() => void) | undefined;
  #status = 0;
  #headers: RawHeaders = [];
  #parts: Uint8Array[] = [];
  #size = 0;
  #answered = false;
  #ended = false;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  #failure: HttpFailure | undefined;

  constructor(request: HttpRequest, origin: Origin, line: Line, slow: SlowWatch, resolve: (response: HttpResponse) => void, reject: (failure: HttpFailure) => void) {
    this.#request = request;
    this.#origin = origin;
    this.#line = line;
    this.#resolve = resolve;
    this.#reject = reject;
    if (request.signal) this.#watch(request.signal);
    else if (request.gone) this.#ticket = slow.add(this);
  }

  /** No answer yet: from now on it matters whether the caller is still there. */
  isSlow() {
    const signal = this.#request.gone?.();
    if (signal === undefined || this.#ended) return;
    if (signal.aborted) this.#abort();
    else this.#watch(signal);
  }

  #watch(signal: AbortSignal) {
    this.#watched = signal;
    this.#onAbort = () => this.#abort();
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  #abort() {
    const failure = new HttpFailure('aborted', 'context canceled');
    if (this.#controller) this.#controller.abort(failure);
    else this.#fail(failure); // still waiting for its connection; onRequestStart stops it then
  }

  onRequestStart(controller: Controller) {
    this.#controller = controller;
    if (this.#ended) controller.abort(new HttpFailure('aborted', 'context canceled'));
  }

  onResponseStart(controller: Controller, status: number, parsed: Record<string, string | string[] | undefined>) {
    if (status < 200) return;
    this.#controller = controller;
    this.#status = status;
    this.#headers = listOf(controller.rawHeaders, parsed);
    const length = parsed['content-length'];
    const bodiless = this.#request.method === 'HEAD' || status === 204 || status === 304;
    if (bodiless || (typeof length === 'string' && Number(length) <= smallAnswer)) return;
    // What arrived together with the head is often the whole answer: look again when this piece has been read.
    queueMicrotask(() => {
      if (!this.#answered && !this.#ended) this.#answerStream();
    });
  }

  onResponseData(controller: Controller, chunk: Uint8Array) {
    if (this.#stream) {
      this.#stream.enqueue(chunk);
      if ((this.#stream.desiredSize ?? 0) <= 0) controller.pause();
    } else {
      this.#parts.push(chunk);
      this.#size += chunk.length;
    }
  }

  onResponseEnd() {
    if (this.#ended) return;
    this.#finish();
    this.#origin.put(this.#line);
    if (this.#stream) this.#stream.close();
    else this.#answer(this.#size === 0 ? null : this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : Buffer.concat(this.#parts, this.#size));
  }

  onResponseError(_controller: Controller | undefined, error: Error) {
    if (this.#ended) return;
    this.#fail(failureOf(error, this.#request.origin, this.#origin.maxHeaderBytes));
  }

  #fail(failure: HttpFailure) {
    this.#finish();
    this.#origin.put(this.#line);
    if (this.#status !== 0) {
      // The caller gets what came and then sees that the answer was cut.
      this.#failure = failure;
      if (!this.#answered) this.#answerStream();
      this.#cutWhenRead();
    } else this.#reject(failure);
  }

  #finish() {
    this.#ended = true;
    if (this.#onAbort) this.#watched?.removeEventListener('abort', this.#onAbort);
    if (this.#ticket) this.#ticket.exchange = undefined;
  }

  #answer(body: HttpResponse['body']) {
    this.#answered = true;
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  /** An error would throw away what is queued, so it waits until everything before it has been read. */
  #cutWhenRead() {
    if (this.#stream?.desiredSize === smallAnswer) this.#stream.error(this.#failure);
  }

  #answerStream() {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
        for (const part of this.#parts) controller.enqueue(part);
        this.#parts = [];
      },
      pull: () => { if (this.#failure) this.#cutWhenRead(); else this.#controller?.resume(); },
      cancel: () => { if (!this.#ended) this.#controller?.abort(new HttpFailure('aborted', 'context canceled')); },
    }, { highWaterMark: smallAnswer, size: (chunk) => chunk.byteLength });
    this.#answer(stream);
  }
}

/** Header list from undici's raw form (buffers, HTTP/1.1) or its parsed one (HTTP/2). Bytes are kept as latin1, as node:http has them. */
function listOf(raw: unknown, parsed: Record<string, string | string[] | undefined>): RawHeaders {
  const out: RawHeaders = [];
  if (Array.isArray(raw)) {
    for (const item of raw as (Buffer | string)[]) out.push(typeof item === 'string' ? item : item.toString('latin1'));
    return out;
  }
  for (const name in parsed) {
    const value = parsed[name];
    if (value === undefined || name.startsWith(':')) continue;
    if (Array.isArray(value)) for (const one of value) out.push(name, one);
    else out.push(name, value);
  }
  return out;
}

/** Failures in the words of Go's net package, which callers see in Dapr's error messages. */
function failureOf(error: Error, origin: string, maxHeaderBytes: number | undefined): HttpFailure {
  if (error instanceof HttpFailure) return error;
  const first = (error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error) as NodeJS.ErrnoException & { address?: string; port?: number; hostname?: string };
  const code = first.code ?? '';
  const url = new URL(origin);
  const port = first.port ?? (url.port || (url.protocol === 'https:' ? 443 : 80));
  const address = first.address ?? url.hostname.replace(/^\[|\]$/g, '');
  const dial = `dial tcp ${address.includes(':') ? `[${address}]` : address}:${port}`;
  const failure = (kind: HttpFailure['kind'], message: string) => new HttpFailure(kind, message, error);
  switch (code) {
    case 'ECONNREFUSED': return failure('refused', `${dial}: connect: connection refused`);
    case 'EHOSTUNREACH': return failure('refused', `${dial}: connect: no route to host`);
    case 'ENETUNREACH': return failure('refused', `${dial}: connect: network is unreachable`);
    case 'ENOTFOUND': return failure('refused', `dial tcp: lookup ${first.hostname ?? url.hostname}: no such host`);
    case 'EAI_AGAIN': return failure('refused', `dial tcp: lookup ${first.hostname ?? url.hostname}: server misbehaving`);
    case 'ETIMEDOUT': case 'UND_ERR_CONNECT_TIMEOUT': return failure('timeout', `${dial}: i/o timeout`);
    case 'ECONNRESET': return failure('reset', `read tcp ${dial.slice(9)}: read: connection reset by peer`);
    case 'EPIPE': return failure('reset', `write tcp ${dial.slice(9)}: write: broken pipe`);
    case 'UND_ERR_SOCKET': return failure('reset', 'EOF');
    case 'UND_ERR_HEADERS_OVERFLOW': case 'HPE_HEADER_OVERFLOW': return failure('other', `net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded ${maxHeaderBytes} bytes; aborted`);
    case 'DEPTH_ZERO_SELF_SIGNED_CERT': case 'SELF_SIGNED_CERT_IN_CHAIN': case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return failure('other', 'tls: failed to verify certificate: x509: certificate signed by unknown authority');
    default: return failure('other', first.message);
  }
}
