// HTTP/2 without TLS on the HTTP/1.1 listener of Node, in both of its ways: by prior knowledge, and by an upgrade (RFC 7540 §3.2, §3.4).
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { HandleCall } from '../../app/http/api.ts';
import { H2Exchange } from './h2-exchange.ts';

/** How every HTTP/2 connection begins. HTTP/1.1 parsers take it for a request of its own and stop behind it. */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const settingsFrame = 4;
/** A caller that was told to upgrade and says no more is not waited for. */
const prefaceTimeoutMs = 10_000;
/** What is longer is answered in HTTP/1.1, as the protocol allows. */
const mostHead = 16_384 - 9;
const maxConcurrentStreams = 250; // as Go's server
/** Bytes all streams of a connection may send ahead of what is read; each alone 64 KiB. */
const connectionWindow = 1 << 20;
/** Megabytes a connection may hold in all: every stream's window both ways. Node's own 10 would refuse streams that are within their rights. */
const maxSessionMemory = 48;

export interface H2cOptions {
  maxHeaderBytes: number;
  onError(error: unknown): void;
}
export interface H2c {
  /** Takes over a connection whose first bytes were the preface; `rest` came behind it. */
  adopt(socket: Socket, rest: Uint8Array): void;
  /** Takes over a connection after a request that asks for the upgrade; the request is answered over HTTP/2. */
  upgrade(message: IncomingMessage, response: ServerResponse): void;
  /** Takes no more requests; connections end when theirs are answered. */
  close(): void;
  destroy(): void;
}

/** Whether a request asks for the upgrade in a form that can be granted. Source of the rules: golang.org/x/net/http2/h2c. */
export function wantsUpgrade({ rawHeaders, method }: IncomingMessage, hasBody: boolean): boolean {
  let upgrade = false;
  let connection = false;
  let settings = 0;
  let size = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const value = rawHeaders[i + 1] as string;
    size += name.length + value.length + 11;
    if (name === 'upgrade') upgrade ||= hasToken(value, 'h2c');
    else if (name === 'connection') connection ||= hasToken(value, 'http2-settings');
    else if (name === 'http2-settings') settings++;
  }
  return upgrade && connection && settings === 1 && !hasBody && method !== 'CONNECT' && size < mostHead;
}
const hasToken = (list: string, token: string): boolean => list.toLowerCase().split(',').some((one) => one.trim() === token);

export function createH2c(handle: HandleCall, { maxHeaderBytes, onError }: H2cOptions): H2c {
  const http2 = process.getBuiltinModule('node:http2');
  const sessions = new Set<ServerHttp2Session>();
  /** Told to upgrade, but not begun yet. */
  const waiting = new Set<Socket>();
  let closing = false;
  const server = http2.createServer({ maxSessionMemory, settings: { maxConcurrentStreams } });
  server.on('session', (session) => {
    sessions.add(session);
    session.setLocalWindowSize(connectionWindow);
    session.once('close', () => sessions.delete(session));
    if (closing) session.close();
  });
  // Broken frames end the connection; node:http2 has told the caller why.
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw?: string[]) => {
    stream.on('error', () => {});
    const list = raw ?? Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
    if (sizeOf(list) > maxHeaderBytes) return tooLong(stream);
    const exchange = new H2Exchange(stream, headers, list, (flags & endStream) !== 0);
    const cut = (error: unknown) => {
      onError(error);
      stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    };
    try {
      const answer = handle(exchange);
      if (answer instanceof Promise) answer.then((made) => exchange.write(made)).catch(cut);
      else exchange.write(answer);
    } catch (error) {
      cut(error);
    }
  });

  const begin = (socket: Socket, bytes: Buffer): void => {
    // a caller that closes its half has left
    socket.allowHalfOpen = false;
    socket.pause();
    socket.unshift(bytes);
    server.emit('connection', socket);
  };
  return {
    adopt: (socket, rest) => {
      release(socket);
      begin(socket, Buffer.concat([preface, rest]));
    },
    upgrade: (message, response) => {
      const { socket } = message;
      const first = requestFrame(message);
      message.resume();
      message.once('end', () => {
        response.detachSocket(socket);
        release(socket);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
        waiting.add(socket);
        socket.once('close', () => waiting.delete(socket));
        whenBegun(socket, (settings, rest) => {
          waiting.delete(socket);
          begin(socket, Buffer.concat([preface, settings, first, rest]));
        });
      });
    },
    close: () => {
      closing = true;
      for (const socket of waiting) socket.destroy();
      for (const session of sessions) session.close();
    },
    destroy: () => { for (const one of [...waiting, ...sessions]) one.destroy(); },
  };
}

const endStream = 0x1;
const sizeOf = (raw: readonly string[]): number => raw.reduce((size, text) => size + text.length + 2, 0);
const tooLong = (stream: ServerHttp2Stream): void => {
  stream.respond({ ':status': 431, 'content-type': 'text/plain; charset=utf-8' });
  stream.end('431 Request Header Fields Too Large');
};

/** The HTTP/1.1 server lets go of a connection: its parser goes back, nothing of it listens any more. */
function release(socket: Socket): void {
  for (const listener of socket.listeners('close')) (listener as () => void).call(socket);
  for (const event of ['data', 'close', 'drain', 'error', 'timeout', 'pause', 'resume']) socket.removeAllListeners(event);
  // the first is the socket's own
  for (const listener of socket.listeners('end').slice(1)) socket.removeListener('end', listener as () => void);
  socket.on('error', () => {});
  socket.setTimeout(0);
}

/** Waits for the preface and the SETTINGS behind it; whoever sends something else is cut off. */
function whenBegun(socket: Socket, then: (settings: Buffer, rest: Buffer) => void): void {
  let bytes = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), prefaceTimeoutMs);
  const over = () => {
    clearTimeout(timer);
    socket.removeListener('data', onData);
    socket.removeListener('close', over);
    socket.removeListener('end', onEnd);
  };
  const onEnd = () => socket.destroy();
  const onData = (part: Buffer) => {
    bytes = Buffer.concat([bytes, part]);
    const start = preface.length;
    if (!preface.subarray(0, bytes.length).equals(bytes.subarray(0, start)) || (bytes.length > start + 3 && bytes[start + 3] !== settingsFrame)) return socket.destroy();
    if (bytes.length < start + 9) return;
    const end = start + 9 + bytes.readUIntBE(start, 3);
    if (end - start > mostHead) return socket.destroy();
    if (bytes.length < end) return;
    over();
    then(bytes.subarray(start, end), bytes.subarray(end));
  };
  socket.on('data', onData);
  socket.once('close', over);
  socket.once('end', onEnd);
  socket.resume();
}

/** The request as the HEADERS frame that opens stream 1, which an upgrade leaves half closed: no Huffman, no table (RFC 7541 §6.2.2). */
function requestFrame({ method = 'GET', url = '/', rawHeaders }: IncomingMessage): Buffer {
  const parts: Buffer[] = [];
  const field = (name: string, value: string) => parts.push(Buffer.from([0]), literal(name), literal(value));
  let host = '';
  const own = new Set(['connection', 'upgrade', 'http2-settings', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te']);
  for (let i = 0; i < rawHeaders.length; i += 2) if ((rawHeaders[i] as string).toLowerCase() === 'host') host = rawHeaders[i + 1] as string;
  field(':method', method);
  field(':scheme', 'http');
  field(':path', url);
  if (host !== '') field(':authority', host);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (!own.has(name)) field(name, rawHeaders[i + 1] as string);
  }
  const block = Buffer.concat(parts);
  const head = Buffer.alloc(9);
  head.writeUIntBE(block.length, 0, 3);
  head[3] = 1; // HEADERS
  head[4] = 0x5; // END_STREAM, END_HEADERS
  head.writeUInt32BE(1, 5);
  return Buffer.concat([head, block]);
}

/** A string with its length as an integer of seven bits and more (RFC 7541 §5). */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  if (bytes.length < 127) length.push(bytes.length);
  else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest > 127; rest >>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
