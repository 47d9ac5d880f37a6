// HTTP/1.1 byte by byte: requests no client library would send, and the answers that come back for them.
import { connect, type Socket } from 'node:net';

/** An answer as it stood on the wire; `interim` are the 100s before it. */
export type RawAnswer = { status: number; headers: Record<string, string>; body: string; interim: number };
export type Heard = {
  /** Complete answers, first to last. */
  answers: RawAnswer[];
  /** What came beside them: the beginning of an answer, or bytes that are none. */
  rest: string;
  /** `closed` and `reset` are the server's doing, `silent` means that it had nothing more to say in time. */
  end: 'closed' | 'reset' | 'silent' | 'enough';
};
export type Bytes = string | Buffer;
export type Sent = Bytes | readonly Bytes[];

/** Texts are written as latin1, so that `\xff` is that byte. */
export const bytes = (text: Bytes): Buffer => (typeof text === 'string' ? Buffer.from(text, 'latin1') : text);

/** A request with Host and, where there is a body, its length; headers as they stand on the wire. */
export function request(line: string, body?: Bytes, headers: readonly string[] = []): Buffer {
  const content = body === undefined ? undefined : typeof body === 'string' ? Buffer.from(body) : body;
  const head = [`${line} HTTP/1.1`, 'Host: localhost', ...headers, ...(content ? [`Content-Length: ${content.length}`] : [])];
  return Buffer.concat([bytes(`${head.join('\r\n')}\r\n\r\n`), content ?? Buffer.alloc(0)]);
}
/** The same with the body in chunks of that size. */
export function chunkedRequest(line: string, body: Bytes, size = 1024, headers: readonly string[] = []): Buffer {
  const content = typeof body === 'string' ? Buffer.from(body) : body;
  const parts = [bytes([`${line} HTTP/1.1`, 'Host: localhost', ...headers, 'Transfer-Encoding: chunked', '', ''].join('\r\n'))];
  for (let at = 0; at < content.length; at += size) {
    const part = content.subarray(at, at + size);
    parts.push(bytes(`${part.length.toString(16)}\r\n`), part, bytes('\r\n'));
  }
  return Buffer.concat([...parts, bytes('0\r\n\r\n')]);
}

/**
 * Sends on a connection of its own and listens until `answers` (default 1) are complete, the server closes, or `ms` are over.
 * Pieces of a list go out 20 ms apart; `half` closes the sending side behind the last one.
 */
export function converse(port: number, sent: Sent, options: { answers?: number; ms?: number; half?: boolean } = {}): Promise<Heard> {
  const { answers: wanted = 1, ms = 5000, half = false } = options;
  const pieces = (Array.isArray(sent) ? (sent as readonly Bytes[]) : [sent as Bytes]).map(bytes);
  return new Promise((done) => {
    const received: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const finish = (end: Heard['end']) => {
      clearTimeout(late);
      clearInterval(pace);
      socket.destroy();
      done({ ...parseAnswers(Buffer.concat(received)), end });
    };
    const late = setTimeout(() => finish('silent'), ms);
    const next = () => {
      const piece = pieces.shift();
      if (piece !== undefined && socket.writable) socket.write(piece);
      if (pieces.length > 0) return;
      clearInterval(pace);
      if (half) socket.end();
    };
    let pace: NodeJS.Timeout | undefined;
    socket.once('connect', () => {
      if (pieces.length > 1) pace = setInterval(next, 20);
      next();
    });
    socket.on('data', (data: Buffer) => {
      received.push(data);
      if (parseAnswers(Buffer.concat(received)).answers.length >= wanted) finish('enough');
    });
    socket.once('end', () => finish('closed'));
    socket.once('error', () => finish('reset'));
  });
}

/** A connection that is cut in the middle: closed in order, or with a reset. */
export async function abandon(port: number, sent: Bytes, how: 'close' | 'reset'): Promise<void> {
  await new Promise<void>((done) => {
    const socket: Socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes(sent), () => (how === 'reset' ? socket.resetAndDestroy() : socket.destroy()));
    });
    socket.once('close', () => done());
    socket.once('error', () => done());
  });
}

/** Reads answers to requests other than HEAD. */
export function parseAnswers(data: Buffer): { answers: RawAnswer[]; rest: string } {
  const answers: RawAnswer[] = [];
  let at = 0;
  let interim = 0;
  for (;;) {
    const end = data.indexOf('\r\n\r\n', at);
    const head = /^HTTP\/1\.[01] (\d{3}) ?[^\r\n]*((?:\r\n[^\r\n]*)*)$/.exec(end < 0 ? '' : data.toString('latin1', at, end));
    if (!head) break;
    const status = Number(head[1]);
    const headers: Record<string, string> = Object.create(null);
    for (const line of (head[2] ?? '').split('\r\n').slice(1)) {
      const name = line.slice(0, line.indexOf(':')).toLowerCase();
      const value = line.slice(line.indexOf(':') + 1).trim();
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    if (status < 200) {
      interim++;
      at = end + 4;
      continue;
    }
    const body = bodyFrom(data, end + 4, status, headers);
    if (body === undefined) break;
    answers.push({ status, headers, body: body.text, interim });
    interim = 0;
    at = body.end;
  }
  return { answers, rest: data.toString('latin1', at) };
}

function bodyFrom(data: Buffer, start: number, status: number, headers: Record<string, string>): { text: string; end: number } | undefined {
  if (status === 204 || status === 304) return { text: '', end: start };
  if (headers['transfer-encoding'] === 'chunked') {
    let text = '';
    for (let at = start; ; ) {
      const line = data.indexOf('\r\n', at);
      const size = line < 0 ? Number.NaN : Number.parseInt(data.toString('latin1', at, line), 16);
      if (Number.isNaN(size) || data.length < line + 4 + size) return undefined;
      text += data.toString('utf8', line + 2, line + 2 + size);
      at = line + 4 + size;
      if (size === 0) return { text, end: at };
    }
  }
  // Without a length the answer lasts until the connection ends: what is there is taken, the caller sees the end.
  const length = headers['content-length'] === undefined ? data.length - start : Number(headers['content-length']);
  return data.length < start + length ? undefined : { text: data.toString('utf8', start, start + length), end: start + length };
}
