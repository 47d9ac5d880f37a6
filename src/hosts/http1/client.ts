// Outbound HTTP on connections of our own: a small pool of connections per origin, answers as bytes where they are small.
import { HttpFailure, type HttpPort, type HttpRequest, type HttpResponse, type RawHeaders } from '../../core/host.ts';
import { sendFollowing } from '../redirects.ts';
import { type Connector, Http1Line, type Line, type LineController, type LineHandler, type LineOptions } from './line.ts';

/** Answers of known length up to this size come back as bytes. */
const smallAnswer = 64 * 1024;
/** Per origin, as in Dapr's app channel (dapr/pkg/runtime/channels): requests beyond wait their turn, idle connections beyond are closed. */
const maxConnections = 1024;
const maxIdle = 64;
/** Callers may name any URL: beyond so many origins, those that have nothing to do are forgotten. */
const mostOrigins = 256;
const connectTimeoutMs = 15_000;
/** An idle connection is not used any more a second before this is over, which is what most servers wait. */
const keepAliveMs = 5_000;
/** What Node's own client takes where nobody says. */
const usualHeaderBytes = 16 * 1024;
/** Connections to one place, kept alive and opened again as needed. What may have had an effect is not sent twice. */
interface Origin {
  readonly maxHeaderBytes: number;
  take(): Line | undefined;
  put(line: Line): void;
  queue(start: (line: Line) => void): void;
  /** Nothing is under way. */
  readonly isIdle: boolean;
  close(): void;
}
/** Opens a connection to `request.origin` that is not plain HTTP/1.1. */
export type OpenOther = (request: HttpRequest, options: Omit<LineOptions, 'connector'>) => Line;

export interface HttpClient extends HttpPort {
  close(): Promise<void>;
}

export interface HttpClientOptions {
  /** Longest header block of an answer, default 16 KiB (daprd: --read-buffer-size, 4 KiB). */
  maxHeaderBytes?: number;
}
/** `loadOther` is called with the first request over TLS or HTTP/2; without it there must be none. */
export function createHttpClient({ connector, loadOther, ...options }: HttpClientOptions & { connector: Connector; loadOther?: () => Promise<OpenOther> }): HttpClient {
  const origins = new Map<string, Origin>();
  const slow = createSlowWatch();

  const originOf = (request: HttpRequest): Origin => {
    const { origin, tls, insecure, h2c, h2, maxHeaderBytes } = request;
    const key = tls || insecure || h2c || h2 ? JSON.stringify([origin, insecure, h2c, maxHeaderBytes, tls, h2]) : maxHeaderBytes ? `${origin} ${maxHeaderBytes}` : origin;
    let found = origins.get(key);
    if (found === undefined) {
      if (origins.size >= mostOrigins) forgetIdle();
      found = createOrigin(request, request.maxHeaderBytes ?? options.maxHeaderBytes ?? usualHeaderBytes, connector, openOther, () => origins.delete(key));
      origins.set(key, found);
    }
    return found;
  };

  const forgetIdle = () => {
    for (const [key, origin] of origins) {
      if (!origin.isIdle) continue;
      origins.delete(key);
      origin.close();
    }
  };

  let openOther: OpenOther | undefined;

  const send = (request: HttpRequest): Promise<HttpResponse> => {
    if (openOther === undefined && loadOther !== undefined && (request.h2c || !request.origin.startsWith('http:'))) {
      return loadOther().then((loaded) => {
        openOther = loaded;
        return send(request);
      });
    }
    return new Promise((resolve, reject) => {
      if (request.signal?.aborted) return reject(new HttpFailure('aborted', 'context canceled'));
      let origin: Origin;
      try {
        origin = originOf(request);
      } catch (cause) {
        return reject(new HttpFailure('other', cause instanceof Error ? cause.message : String(cause), cause));
      }
      const start = (line: Line) => {
        const exchange = new Exchange(request, origin, line, slow, resolve, reject);
        line.dispatch({ method: request.method, path: request.path, headers: request.headers, body: request.body ?? null }, exchange);
      };
      const line = origin.take();
      if (line !== undefined) return start(line);
      const leaving = request.signal ?? request.gone?.();
      const leave = () => reject(new HttpFailure('aborted', 'context canceled'));
      leaving?.addEventListener('abort', leave, { once: true });
      origin.queue((free) => {
        leaving?.removeEventListener('abort', leave);
        if (leaving?.aborted) origin.put(free);
        else start(free);
      });
    });
  };

  return {
    send: (request) => (request.followRedirects ? sendFollowing(request, send) : send(request)),
    close: async () => {
      for (const origin of origins.values()) origin.close();
      origins.clear();
    },
  };
}

function createOrigin(request: HttpRequest, maxHeaderBytes: number, connector: Connector, openOther: OpenOther | undefined, onEmpty: () => void): Origin {
  const { protocol, hostname, port } = new URL(request.origin);
  const place = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (protocol === 'https:' ? 443 : 80), maxHeaderBytes, connectTimeoutMs, keepAliveMs };
  const idle: Line[] = [];
  const all = new Set<Line>();
  const waiting: ((line: Line) => void)[] = [];
  const open = (): Line => {
    const options: LineOptions = {
      ...place, connector,
      // An idle line whose connection ended is only an object; the first one stays for the next request.
      onIdleClosed: () => {
        const at = idle.length > 1 ? idle.indexOf(line) : -1;
        if (at > 0) { idle.splice(at, 1); drop(line); }
      },
    };
    const line: Line = protocol === 'http:' && !request.h2c ? new Http1Line(options) : (openOther as OpenOther)(request, options);
    all.add(line);
    return line;
  };
  const drop = (line: Line) => {
    all.delete(line);
    line.close();
    if (all.size === 0) onEmpty();
  };
  const close = () => { for (const line of all) line.close(); };
  if (request.h2c) {
    // One connection carries many requests.
    const shared = open();
    return { maxHeaderBytes, take: () => shared, put: () => undefined, queue: () => undefined, isIdle: false, close };
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
    close,
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

/** One request and its answer. */
class Exchange implements LineHandler {
  readonly #request: HttpRequest;
  readonly #origin: Origin;
  readonly #line: Line;
  readonly #resolve: (response: HttpResponse) => void;
  readonly #reject: (failure: HttpFailure) => void;
  #controller: LineController | undefined;
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
    else this.#fail(failure); // still waiting for its connection; onStart stops it then
  }

  onStart(controller: LineController) {
    this.#controller = controller;
    if (this.#ended) controller.abort(new HttpFailure('aborted', 'context canceled'));
  }

  onHead(status: number, headers: RawHeaders, length: number | undefined) {
    this.#status = status;
    this.#headers = headers;
    if (length !== undefined && length <= smallAnswer) return;
    // What arrived together with the head is often the whole answer: look again when this piece has been read.
    queueMicrotask(() => {
      if (!this.#answered && !this.#ended) this.#answerStream();
    });
  }

  onData(part: Uint8Array) {
    if (this.#stream) {
      this.#stream.enqueue(part);
      if ((this.#stream.desiredSize ?? 0) <= 0) this.#controller?.pause();
    } else {
      this.#parts.push(part);
      this.#size += part.length;
    }
  }

  onEnd() {
    if (this.#ended) return;
    this.#finish();
    this.#origin.put(this.#line);
    if (this.#stream) this.#stream.close();
    else this.#answer(this.#size === 0 ? null : this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : Buffer.concat(this.#parts, this.#size));
  }

  onError(error: Error) {
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

/** Failures in the words of Go's net package, which callers see in Dapr's error messages. */
function failureOf(error: Error, origin: string, maxHeaderBytes: number): HttpFailure {
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
