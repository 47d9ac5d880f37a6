// One HTTP/1.1 connection to an app or another sidecar, without TLS, one request at a time: the hot path of every invocation and delivery.
import { HttpFailure, type RawHeaders } from '../../core/host.ts';

/** A TCP connection as the runtime has it. */
export interface Connection {
  /** One after the other, text as Latin-1. False where that is enough for now: `onDrain` tells when to go on. */
  write(head: string, body?: Uint8Array | string, tail?: string): boolean;
  /** Nothing waits to be sent. */
  readonly isFlushed: boolean;
  /** Of an open one. */
  pause(): void;
  resume(): void;
  /** No event comes after it. */
  destroy(): void;
}
export interface ConnectionEvents {
  onOpen(): void;
  /** The first `bytes` of the buffer have come; the buffer may be written over when this returns, unless the connector gives them away. */
  onBytes(buffer: Buffer, bytes: number): void;
  onDrain(): void;
  /** It failed, or ended (without an error). May come more than once. */
  onLost(error: Error | undefined): void;
}
export interface Connector {
  /** What is written before it is open waits. */
  connect(host: string, port: number, events: ConnectionEvents): Connection;
  /** Bytes that have come are the receiver's own. */
  readonly givesBytes: boolean;
}

export interface LineRequest {
  method: string;
  path: string;
  headers: RawHeaders;
  body: Uint8Array | string | ReadableStream<Uint8Array> | null;
}
/** Holds an answer on its way. */
export interface LineController {
  pause(): void;
  resume(): void;
  /** Cuts the connection; the handler is told of the failure. */
  abort(failure: Error): void;
}
/** Exactly one of `onEnd` and `onError` is called, last. */
export interface LineHandler {
  onStart(controller: LineController): void;
  /** `length`: bytes of the body, undefined where only its end will tell. */
  onHead(status: number, headers: RawHeaders, length: number | undefined): void;
  /** The bytes are the handler's own. */
  onData(part: Uint8Array): void;
  onEnd(): void;
  onError(error: Error): void;
}
/** What carries requests, one after the other. */
export interface Line {
  /** Opens the connection where it is not open. Only when the one before has ended. */
  dispatch(request: LineRequest, handler: LineHandler): void;
  close(): void;
}

export interface LineOptions {
  connector: Connector;
  host: string;
  port: number;
  /** Longest header block of an answer, status line included. */
  maxHeaderBytes: number;
  connectTimeoutMs: number;
  /** An idle connection is closed by the server after this, or sooner where it says so; it is not used any more a second before. */
  keepAliveMs: number;
  /** An idle connection was closed. */
  onIdleClosed(): void;
}

/** Seconds since the first look, good to one: to ask the real clock for each request costs more than being late. */
let second = 0;
let ticking: NodeJS.Timeout | undefined;
const lines = new Set<Http1Line>();

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const target = /^[\x21-\xff]+$/;
/** Names that were found to be tokens and, in the first, to need no other look; apps and SDKs use the same few. */
const sentNames = new Set<string>();
const gottenNames = new Set<string>();
const mostNames = 1000;
/** Of this hop, or said by the line itself. */
const ownNames = new Set(['connection', 'content-length', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade']);
/** Without a body, they are repeated on a new connection where the old one ends before it has answered (net/http, shouldRetryRequest). */
const repeatable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const withPayload = new Set(['POST', 'PUT', 'PATCH']);

const nothing = Buffer.alloc(0);

type Reading = 'head' | 'length' | 'chunked' | 'close';
type Chunk = 'size' | 'data' | 'crlf' | 'trailers';

export class Http1Line implements Line, LineController {
  readonly #options: LineOptions;
  #connection: Connection | undefined;
  /** What is being read, while it is. */
  #buffer: Buffer = nothing;
  #connecting: NodeJS.Timeout | undefined;
  /** Of the answer that is awaited; undefined while idle. */
  #handler: LineHandler | undefined;
  #method = '';
  #reading: Reading = 'head';
  /** Beginnings of a head, a chunk's size or trailers whose rest has not come. */
  #rest = '';
  /** Bytes to come of a body of known length, or of a chunk. */
  #left = 0;
  #chunk: Chunk = 'size';
  #gotBytes = false;
  /** The request's head, where it may be sent once more: it went out on a connection that had been idle, and does nothing twice. */
  #repeat = '';
  #closes = false;
  #paused = false;
  /** The request's body as a stream, until all of it is sent. */
  #upload: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #wake: (() => void) | undefined;
  #idleSince = 0;
  #keepAlive: number;
  #lastHint = '';

  constructor(options: LineOptions) {
    this.#options = options;
    this.#keepAlive = options.keepAliveMs / 1000;
  }

  dispatch({ method, path, headers, body }: LineRequest, handler: LineHandler): void {
    this.#handler = handler;
    this.#method = method;
    this.#reading = 'head';
    this.#gotBytes = false;
    this.#closes = false;
    this.#rest = '';
    this.#paused = false;
    handler.onStart(this);
    if (this.#handler !== handler) return; // it was given up already
    const length = lengthOf(body, headers);
    let head: string;
    try {
      head = headOf(this.#options, method, path, headers, body, length);
    } catch (error) {
      this.#handler = undefined;
      handler.onError(error as Error);
      return;
    }
    if (this.#connection !== undefined && second - this.#idleSince >= this.#keepAlive - 1) this.#drop();
    this.#repeat = this.#connection !== undefined && body === null && repeatable.has(method) ? head : '';
    const connection = this.#connection ?? this.#open();
    if (body === null) connection.write(head);
    else if (body instanceof ReadableStream) {
      connection.write(head);
      void this.#send(connection, body, length);
    } else if (typeof body !== 'string') connection.write(head, body);
    // as many bytes as characters: plain ASCII
    else if (length === body.length) connection.write(head, body);
    else connection.write(head, Buffer.from(body));
  }

  close(): void {
    if (this.#handler === undefined) this.#drop();
    else this.#fail(new HttpFailure('aborted', 'context canceled'));
  }
  pause(): void {
    this.#paused = true;
    this.#connection?.pause();
  }
  resume(): void {
    this.#paused = false;
    this.#connection?.resume();
  }
  abort(failure: Error): void { this.#fail(failure); }

  /** Called every second: what has been idle for long is closed. */
  sweep(): void {
    if (this.#handler !== undefined || this.#connection === undefined || second - this.#idleSince < this.#keepAlive) return;
    this.#drop();
    this.#options.onIdleClosed();
  }

  #open(): Connection {
    const { connector, host, port, connectTimeoutMs } = this.#options;
    const connection: Connection = connector.connect(host, port, {
      onOpen: () => clearTimeout(connecting),
      onBytes: (buffer, bytes) => {
        if (this.#connection === connection) this.#read(buffer, bytes);
      },
      onDrain: () => this.#wake?.(),
      onLost: (error) => this.#lost(connection, error),
    });
    const connecting = setTimeout(() => {
      if (this.#connection === connection) this.#fail(Object.assign(new Error('connect timed out'), { code: 'UND_ERR_CONNECT_TIMEOUT' }));
    }, connectTimeoutMs);
    this.#connecting = connecting;
    this.#connection = connection;
    this.#keepAlive = this.#options.keepAliveMs / 1000;
    this.#lastHint = '';
    lines.add(this);
    ticking ??= setInterval(tick, 1000).unref();
    return connection;
  }

  /** Closes the connection and forgets it. */
  #drop(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    clearTimeout(this.#connecting);
    this.#connection = undefined;
    lines.delete(this);
    this.#wake?.();
    connection.destroy();
  }

  #lost(connection: Connection, error: Error | undefined): void {
    if (this.#connection !== connection) return;
    if (this.#handler === undefined) {
      this.#drop();
      this.#options.onIdleClosed();
    } else if (this.#repeat !== '' && !this.#gotBytes) {
      // the server closed it while the request was on its way: no fault of the request
      this.#drop();
      const head = this.#repeat;
      this.#repeat = '';
      this.#open().write(head);
    } else if (error === undefined && this.#reading === 'close') this.#end(true);
    else this.#fail(error ?? new HttpFailure('reset', this.#gotBytes ? 'unexpected EOF' : 'EOF'));
  }

  #fail(error: Error): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#stopUpload();
    this.#drop();
    handler?.onError(error);
  }

  /** The answer is complete. `spoilt`: what follows on the connection cannot be told. */
  #end(spoilt: boolean): void {
    const handler = this.#handler;
    this.#handler = undefined;
    // a server that answers before it has read everything may never read the rest
    const unfinished = this.#upload !== undefined || this.#connection?.isFlushed !== true;
    if (this.#upload !== undefined) this.#stopUpload();
    if (spoilt || unfinished || this.#closes) this.#drop();
    else {
      this.#idleSince = second;
      if (this.#paused) this.resume();
    }
    handler?.onEnd();
  }

  #stopUpload(): void {
    const upload = this.#upload;
    this.#upload = undefined;
    this.#wake?.();
    upload?.cancel().catch(() => {});
  }

  async #send(connection: Connection, body: ReadableStream<Uint8Array>, length: number | undefined): Promise<void> {
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    let sent = 0;
    try {
      reader = body.getReader();
      this.#upload = reader;
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#upload !== reader) return;
        if (done) break;
        sent += value.length;
        if (length !== undefined && sent > length) throw new Error(`net/http: HTTP/1.x transport connection broken: http: ContentLength=${length} with Body length ${sent}`);
        if (value.length === 0) continue; // an empty chunk would be the end
        const free = length === undefined ? connection.write(`${value.length.toString(16)}\r\n`, value, '\r\n') : connection.write('', value);
        if (free) continue;
        await new Promise<void>((resolve) => { this.#wake = resolve; });
        this.#wake = undefined;
        if (this.#upload !== reader) return;
      }
      if (length !== undefined && sent < length) throw new Error(`net/http: HTTP/1.x transport connection broken: http: ContentLength=${length} with Body length ${sent}`);
      this.#upload = undefined;
      if (length === undefined) connection.write('0\r\n\r\n');
    } catch (error) {
      if (reader === undefined || this.#upload === reader) this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #read(buffer: Buffer, bytes: number): void {
    if (this.#handler === undefined) {
      this.#drop(); // it speaks without being asked
      this.#options.onIdleClosed();
      return;
    }
    this.#buffer = buffer;
    this.#gotBytes = true;
    const handler = this.#handler;
    try {
      // the end of an answer may be the beginning of the next request: what is left then is not read
      for (let at = 0; at < bytes && this.#handler === handler; ) at = this.#reading === 'head' ? this.#readHead(at, bytes) : this.#readBody(at, bytes);
    } catch (error) {
      if (this.#handler === handler) this.#fail(error as Error);
    }
    this.#buffer = nothing;
  }

  #readHead(at: number, bytes: number): number {
    const came = this.#buffer.toString('latin1', at, bytes);
    const before = this.#rest.length;
    const text = before === 0 ? came : this.#rest + came;
    const end = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    if ((end < 0 ? text.length : end) > this.#options.maxHeaderBytes) throw Object.assign(new Error('header block too long'), { code: 'UND_ERR_HEADERS_OVERFLOW' });
    if (end < 0) {
      this.#rest = text;
      return bytes;
    }
    this.#rest = '';
    const next = at + end + 4 - before;
    const status = statusOf(text);
    const headers: RawHeaders = [];
    const framing = readFields(text, text.indexOf('\n') + 1, end, headers);
    if (status < 200) {
      if (status === 101) throw new Error('net/http: HTTP/1.x transport connection broken: unexpected 101 Switching Protocols');
      return next; // 100 Continue and the like: the answer is still to come
    }
    this.#closes = framing.closes || (text.charCodeAt(7) === 0x30 && !framing.keepsAlive);
    if (framing.keepAlive !== '' && framing.keepAlive !== this.#lastHint) this.#takeHint(framing.keepAlive);
    const handler = this.#handler as LineHandler;
    if (this.#method === 'HEAD' || status === 204 || status === 304) {
      handler.onHead(status, headers, 0);
      if (this.#handler === handler) this.#end(next < bytes);
    } else if (framing.chunked) {
      this.#reading = 'chunked';
      this.#chunk = 'size';
      handler.onHead(status, headers, undefined);
    } else if (framing.length !== undefined) {
      this.#reading = 'length';
      this.#left = framing.length;
      handler.onHead(status, headers, framing.length);
      if (framing.length === 0 && this.#handler === handler) this.#end(next < bytes);
    } else {
      this.#reading = 'close';
      handler.onHead(status, headers, undefined);
    }
    return next;
  }

  #readBody(at: number, bytes: number): number {
    if (this.#reading === 'chunked') return this.#readChunked(at, bytes);
    const end = this.#reading === 'close' ? bytes : Math.min(bytes, at + this.#left);
    this.#left -= end - at;
    const handler = this.#handler as LineHandler;
    handler.onData(this.#take(at, end));
    if (this.#left === 0 && this.#reading === 'length' && this.#handler === handler) this.#end(end < bytes);
    return end;
  }

  #readChunked(at: number, bytes: number): number {
    if (this.#chunk === 'data') {
      const end = Math.min(bytes, at + this.#left);
      this.#left -= end - at;
      if (this.#left === 0) this.#chunk = 'crlf';
      (this.#handler as LineHandler).onData(this.#take(at, end));
      return end;
    }
    // a line: the size, the end of a chunk's data, or one of the trailers
    const found = this.#buffer.indexOf(0x0a, at);
    const end = found < 0 || found >= bytes ? bytes : found + 1;
    this.#rest += this.#buffer.toString('latin1', at, end);
    if (this.#rest.length > this.#options.maxHeaderBytes) throw malformed('invalid chunk');
    if (end === bytes && found !== bytes - 1) return end;
    const line = this.#rest;
    this.#rest = '';
    if (!line.endsWith('\r\n')) throw malformed('malformed chunked encoding');
    const text = line.slice(0, -2);
    if (this.#chunk === 'crlf') {
      if (text !== '') throw malformed('malformed chunked encoding');
      this.#chunk = 'size';
    } else if (this.#chunk === 'size') {
      const [, digits = ''] = /^([0-9a-fA-F]{1,13})[\t ]*(?:;.*)?$/.exec(text) ?? [];
      if (digits === '') throw malformed('invalid byte in chunk length');
      this.#left = Number.parseInt(digits, 16);
      this.#chunk = this.#left === 0 ? 'trailers' : 'data';
    } else if (text === '') this.#end(end < bytes);
    return end;
  }

  #take(from: number, to: number): Uint8Array {
    const part = this.#buffer.subarray(from, to);
    return this.#options.connector.givesBytes ? part : Buffer.from(part);
  }

  /** `Keep-Alive: timeout=5`: the server closes it then. */
  #takeHint(hint: string): void {
    this.#lastHint = hint;
    const [, seconds] = /(?:^|[ ,;])timeout=(\d{1,9})/i.exec(hint) ?? [];
    if (seconds !== undefined) this.#keepAlive = Math.min(this.#options.keepAliveMs / 1000, Number(seconds));
  }
}

function tick(): void {
  second++;
  for (const line of lines) line.sweep();
  if (lines.size > 0) return;
  clearInterval(ticking);
  ticking = undefined;
}

const malformed = (what: string) => new Error(`net/http: HTTP/1.x transport connection broken: ${what}`);

/** Throws where a part of it would not be one line of text. */
function headOf({ host, port }: LineOptions, method: string, path: string, headers: RawHeaders, body: LineRequest['body'], length: number | undefined): string {
  if (!token.test(method)) throw new Error(`net/http: invalid method ${JSON.stringify(method)}`);
  if (!target.test(path)) throw new Error(`net/http: invalid request target ${JSON.stringify(path)}`);
  let hasHost = false;
  let fields = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (!sentNames.has(name)) {
      if (!token.test(name)) throw new Error(`net/http: invalid header field name ${JSON.stringify(name)}`);
      const lower = name.toLowerCase();
      if (ownNames.has(lower)) continue;
      if (lower === 'host') hasHost = true;
      else if (sentNames.size < mostNames) sentNames.add(name);
    }
    if (!fieldValue.test(value)) throw new Error(`net/http: invalid header field value for ${JSON.stringify(name)}`);
    fields += `${name}: ${value}\r\n`;
  }
  const start = hasHost ? `${method} ${path} HTTP/1.1\r\n${fields}` : `${method} ${path} HTTP/1.1\r\nHost: ${host.includes(':') ? `[${host}]` : host}:${port}\r\n${fields}`;
  if (body === null) return withPayload.has(method) ? `${start}Content-Length: 0\r\n\r\n` : `${start}\r\n`;
  return length === undefined ? `${start}Transfer-Encoding: chunked\r\n\r\n` : `${start}Content-Length: ${length}\r\n\r\n`;
}

const declared = (value: string): number | undefined => (/^\d{1,15}$/.test(value) ? Number(value) : undefined);
/** How many bytes the body has; of a stream what the headers say, undefined where they say nothing. */
function lengthOf(body: LineRequest['body'], headers: RawHeaders): number | undefined {
  if (body === null) return 0;
  if (typeof body === 'string') return Buffer.byteLength(body);
  if (!(body instanceof ReadableStream)) return body.length;
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).length === 14 && (headers[i] as string).toLowerCase() === 'content-length') return declared(headers[i + 1] as string);
  return undefined;
}

function statusOf(text: string): number {
  const digits = text.slice(9, 12);
  const status = text.startsWith('HTTP/1.') && text.charCodeAt(8) === 0x20 && /^[1-9]\d\d$/.test(digits) ? Number(digits) : 0;
  const after = text.charCodeAt(12);
  if (status !== 0 && (after === 0x20 || after === 0x0d)) return status;
  throw malformed(`malformed HTTP response ${JSON.stringify(text.slice(0, text.indexOf('\r\n')).slice(0, 200))}`);
}

interface Framing {
  length: number | undefined;
  chunked: boolean;
  closes: boolean;
  keepsAlive: boolean;
  /** Value of Keep-Alive, '' without one. */
  keepAlive: string;
}
/** Appends the header fields between `start` and `end` to the list and tells what they say of the body and the connection. */
function readFields(text: string, start: number, end: number, list: RawHeaders): Framing {
  const framing: Framing = { length: undefined, chunked: false, closes: false, keepsAlive: false, keepAlive: '' };
  for (let at = start; at < end; ) {
    const found = text.indexOf('\n', at);
    const stop = found < 0 || found > end ? end : found - 1; // the last line's own end comes after `end`
    if (stop !== end && text.charCodeAt(stop) !== 0x0d) throw malformed('malformed MIME header line');
    const colon = text.indexOf(':', at);
    const first = text.charCodeAt(at);
    if (first === 0x20 || first === 0x09) {
      // goes on with the line before
      if (list.length === 0) throw malformed('malformed MIME header initial line');
      const more = trimmed(text, at, stop);
      if (!fieldValue.test(more)) throw malformed(`malformed MIME header line: ${text.slice(at, stop)}`);
      list.push(`${list.pop()} ${more}`);
    } else {
      const name = text.slice(at, colon);
      const value = trimmed(text, colon + 1, stop);
      if (colon <= at || colon >= stop || !isName(name) || !fieldValue.test(value)) throw malformed(`malformed MIME header line: ${text.slice(at, stop)}`);
      list.push(name, value);
      frame(framing, name, value);
    }
    at = stop + 2;
  }
  if (framing.chunked) framing.length = undefined;
  return framing;
}

function frame(framing: Framing, name: string, value: string): void {
  // by length first: most names are none of these
  if (name.length === 14) {
    if (name.toLowerCase() !== 'content-length') return;
    const length = declared(value);
    if (length === undefined || (framing.length !== undefined && framing.length !== length)) throw malformed(`bad Content-Length ${JSON.stringify(value)}`);
    framing.length = length;
  } else if (name.length === 10) {
    const lower = name.toLowerCase();
    if (lower === 'connection') {
      const said = value.toLowerCase();
      if (said.includes('close')) framing.closes = true;
      else if (said.includes('keep-alive')) framing.keepsAlive = true;
    } else if (lower === 'keep-alive') framing.keepAlive = value;
  } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
    if (value.toLowerCase() !== 'chunked') throw malformed(`unsupported transfer encoding: ${JSON.stringify(value)}`);
    framing.chunked = true;
  }
}

function isName(text: string): boolean {
  if (gottenNames.has(text)) return true;
  if (!token.test(text)) return false;
  if (gottenNames.size < mostNames) gottenNames.add(text);
  return true;
}

/** Without the blanks at both ends. */
function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
