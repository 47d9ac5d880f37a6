// HTTP/1.1 listener on node:http, which hands HTTP/2 without TLS over, with the manners of Go's server: hands requests to the core in raw form, writes its answers with backpressure.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BodyBroken, headerOf } from '../../core/host.ts';
import type { HandleCall } from '../../app/http/api.ts';
import { Answer, answerOf } from './answer.ts';
import { Exchange } from './exchange.ts';
import { createH2c, type H2c, wantsUpgrade } from './h2c.ts';
import { bodyProblem, headProblem, type ParseError, parseProblem, tooLong } from './go-server.ts';

// not imported: the ES form of this module runs all its lazy parts, among them a WebSocket client, 60 ms of the start
const http = process.getBuiltinModule('node:http');

/** How long a closed connection is still read, so that the caller gets to see the answer; source: net/http, rstAvoidanceDelay. */
const lingerMs = 500;
const headersTimeoutMs = 10_000; // daprd's ReadHeaderTimeout

/** The exchange a connection is at, kept on it. */
const latest = Symbol('latest exchange');
type Line = Socket & { [latest]?: Exchange };

export interface ListenerOptions {
  /** Longest request line plus headers in bytes; above it the answer is 431. */
  maxHeaderBytes: number;
  /** HTTP/2 without TLS, by prior knowledge and by upgrade; default true. */
  http2?: boolean;
  /** Told of answers that could not be made or written; default: nobody. */
  onError?: (error: unknown) => void;
}

export interface HttpListener {
  readonly server: Server;
  /** Connections that speak HTTP/2 end when their requests are answered. */
  closeHttp2(): void;
  destroyHttp2(): void;
}

/** Starts nothing: the caller listens. Once it is closing, every answer ends its connection. */
export function createListener(handle: HandleCall, { maxHeaderBytes, http2 = true, onError = ignore }: ListenerOptions): HttpListener {
  const server = http.createServer({ maxHeaderSize: maxHeaderBytes, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: headersTimeoutMs, connectionsCheckingInterval: 1000, requireHostHeader: false });
  server.maxHeadersCount = 0;
  // A caller that has sent all it wants and closed its half still gets its answer.
  (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  let opened: H2c | undefined;
  const h2c = (): H2c => {
    opened ??= createH2c(handle, { maxHeaderBytes, onError });
    return opened;
  };
  const serve = (message: IncomingMessage, response: ServerResponse, waits: boolean): void => {
    const head = readHead(message);
    const problem = head.size > maxHeaderBytes ? tooLong : headProblem(head);
    if (problem !== undefined) {
      refuse(message.socket, problem);
      return;
    }
    if (head.url === '*' && head.method === 'OPTIONS') {
      response.removeHeader('connection');
      response.writeHead(200, ['Content-Length', '0']).end(); // Go's server answers this one itself: net/http, globalOptionsHandler
      return;
    }
    if (http2 && head.http2 && wantsUpgrade(message, head.hasBody)) {
      h2c().upgrade(message, response);
      return;
    }
    const exchange = new Exchange(message, response, head.length, head.hasBody, waits);
    (message.socket as Line)[latest] = exchange;
    try {
      const answer = handle(exchange);
      if (answer instanceof Promise) answer.then((made) => write(exchange, made, server.listening)).catch(cut);
      else write(exchange, answer, server.listening);
    } catch (error) {
      cut(error);
    }
    // As a panic does in Go: the caller sees a cut connection, the sidecar lives on.
    function cut(error: unknown): void {
      onError(error);
      response.destroy();
    }
  };

  server.on('request', (message, response) => serve(message, response, false));
  server.on('checkContinue', (message, response) => serve(message, response, true));
  server.on('checkExpectation', (_message, response) => {
    response.writeHead(417, ['Connection', 'close', 'Content-Length', '0']).end();
  });
  server.on('connect', (message, socket) => {
    // node:http hands the bare connection over; the core answers it like any request without a body.
    const response = new http.ServerResponse(message);
    response.assignSocket(socket as Socket);
    response.once('finish', () => socket.end());
    response.shouldKeepAlive = false;
    serve(message, response, false);
  });
  server.on('clientError', (error: ParseError, stream) => {
    const socket = stream as Line;
    const exchange = socket[latest];
    if (http2 && error.code === 'HPE_PAUSED_H2_UPGRADE' && exchange === undefined && error.rawPacket !== undefined) {
      h2c().adopt(socket, error.rawPacket.subarray(error.bytesParsed));
      return;
    }
    const problem = parseProblem(error);
    const answering = exchange !== undefined && !exchange.response.writableFinished && !exchange.response.destroyed;
    if (answering && error.code?.startsWith('HPE_')) {
      // The body is broken: the call goes on, its handler says so. Or something follows the request: it has to wait for the answer.
      if (!exchange.message.complete) exchange.fail(new BodyBroken(bodyProblem(error)));
      else if (problem) exchange.response.once('finish', () => { if (socket.writable) refuse(socket, problem); });
    } else if (problem === undefined || !socket.writable) socket.destroy();
    else refuse(socket, problem);
  });
  return { server, closeHttp2: () => opened?.close(), destroyHttp2: () => opened?.destroy() };
}

/** One pass over the headers: what is checked or needed of them. */
function readHead({ method = '', url = '', httpVersionMajor, httpVersionMinor, rawHeaders }: IncomingMessage) {
  let hosts = 0;
  let host = '';
  let length: number | undefined;
  let encoding: string | undefined;
  let http2 = false;
  let size = method.length + url.length + 14; // two blanks, HTTP/1.1, two line ends
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    size += name.length + value.length + 4;
    if (name.length === 4) {
      if (name.toLowerCase() === 'host' && hosts++ === 0) host = value;
    } else if (name.length === 14) {
      const lower = name.toLowerCase();
      if (lower === 'content-length') length = Number(value);
      else if (lower === 'http2-settings') http2 = true;
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') encoding = encoding === undefined ? value : `${encoding}, ${value}`;
  }
  if (encoding !== undefined) length = undefined;
  return { method, url, major: httpVersionMajor, minor: httpVersionMinor, hosts, host, size, length, encoding, http2, hasBody: encoding !== undefined || (length ?? 0) > 0 };
}

function refuse(socket: Socket, text: string): void {
  socket.end(text, 'latin1');
  setTimeout(() => socket.destroy(), lingerMs).unref();
}

function write(exchange: Exchange, answer: Response, staysOpen: boolean): void {
  const { message, response } = exchange;
  const { status, list, content } = answer instanceof Answer ? (answer as unknown as Answer) : answerOf(answer);
  if (response.destroyed) {
    if (content instanceof ReadableStream) content.cancel().catch(ignore);
    return;
  }
  // Go says nothing about the connection unless it departs from the protocol's default; Node would say keep-alive each time.
  response.removeHeader('connection');
  if (!staysOpen || exchange.spoilt) {
    list.push('Connection', 'close');
    if (exchange.spoilt) linger(message.socket);
  } else if (message.httpVersionMinor === 0) {
    if (response.shouldKeepAlive) list.push('Connection', 'keep-alive');
  } else if (!response.shouldKeepAlive && headerOf(list, 'connection') === undefined) list.push('Connection', 'close');
  // The caller has closed its half and nothing follows: Node, told nothing about the connection, would hold it for ever.
  if (message.socket.readableEnded && (message.socket as Line)[latest] === exchange) response.shouldKeepAlive = false;

  const bodiless = status === 204 || status === 304 || message.method === 'HEAD';
  if (content instanceof ReadableStream) {
    if (bodiless) {
      content.cancel().catch(ignore);
      response.writeHead(status, list).end();
    } else {
      response.writeHead(status, list);
      void pump(response, content, headerOf(list, 'content-length'));
    }
    return;
  }
  const size = content === null ? 0 : typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  if (status !== 204 && status !== 304 && !(content === null && message.method === 'HEAD') && headerOf(list, 'content-length') === undefined) list.push('Content-Length', String(size));
  response.writeHead(status, list);
  if (size === 0 || bodiless) response.end();
  // Head and a small body leave in one piece of text, which is the cheapest write there is.
  else if (typeof content === 'string') size === content.length ? response.end(content, 'latin1') : response.end(Buffer.from(content));
  else if (size <= small) response.end(Buffer.prototype.latin1Slice.call(content, 0, size), 'latin1');
  else response.end(content);
}
const small = 4096;
const ignore = () => {};

/** Sends a stream at the speed of its reader; stops its source when the reader has gone; a stream that fails or ends early cuts the connection. */
async function pump(response: ServerResponse, stream: ReadableStream<Uint8Array>, declared: string | undefined): Promise<void> {
  const reader = stream.getReader();
  let gone = false;
  let wake = ignore;
  response.once('close', () => {
    gone = true;
    wake();
    if (!response.writableFinished) reader.cancel().catch(ignore);
  });
  response.on('drain', () => wake());
  // the head does not wait for the first piece, but a piece that is there already goes with it
  const head = setImmediate(() => response.flushHeaders());
  const length = declared === undefined ? undefined : Number(declared);
  let sent = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (gone) return;
      if (done) break;
      sent += value.byteLength;
      if (length !== undefined && sent > length) throw new RangeError('more bytes than announced');
      if (!response.write(value)) await new Promise<void>((resolve) => { wake = resolve; });
      if (gone) return;
    }
    if (length !== undefined && sent < length) throw new RangeError('fewer bytes than announced');
    response.end();
  } catch {
    // What came before the cut still goes out (Node hands it to the socket a tick later); without its end the caller sees that it was cut.
    response.flushHeaders();
    setImmediate(() => response.socket?.destroySoon());
    reader.cancel().catch(ignore);
  } finally {
    clearImmediate(head);
  }
}

/** Closes in halves: what the caller still sends is read for a moment, or the answer would be lost to a reset. */
function linger(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    socket.resume();
    setTimeout(() => socket.destroy(), lingerMs).unref();
  };
}
