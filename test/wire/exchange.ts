// One raw HTTP/1.1 exchange: target and headers go out exactly as written, the answer is taken apart by hand.
import { connect, type NetConnectOpts } from 'node:net';
import type { Send } from './scenario.ts';

/** A loopback port, a port on another address, or a Unix socket. */
export type Door = number | { host: string; port: number } | { path: string };
/** Status 0 with a `note` stands for an answer that never came. */
export type Answer = { status: number; headers: [name: string, value: string][]; body: Buffer; note?: string };

export function exchange(door: Door, send: Send, timeoutMs = 15_000): Promise<Answer> {
  const to = typeof door === 'number' ? { host: '127.0.0.1', port: door } : door;
  const request = send.raw === undefined ? encode(to, send) : Buffer.from(send.raw, 'latin1');
  return new Promise((resolve) => {
    let got: Buffer = Buffer.alloc(0);
    const finish = (trouble?: string) => {
      clearTimeout(timer);
      socket.destroy();
      const answer = parse(got, send.method) ?? { status: 0, headers: [], body: Buffer.alloc(0) };
      const note = trouble ?? (answer.status ? undefined : 'no answer');
      resolve({ status: answer.status, headers: answer.headers, body: answer.body, ...(note ? { note } : {}) });
    };
    const timer = setTimeout(() => finish('no end of answer'), timeoutMs);
    const socket = connect(to as NetConnectOpts, () => socket.write(request));
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data]);
      if (parse(got, send.method)?.complete) finish();
    });
    socket.on('close', () => finish());
    socket.on('end', () => finish());
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`connection error ${error.code}`));
  });
}

function encode(to: { host: string; port: number } | { path: string }, send: Send): Buffer {
  const headers = (send.headers ?? []).map(([name, value]): [string, string] => [name, typeof value === 'string' ? value : (value.with ?? 'x').repeat(value.bytes)]);
  const has = (name: string) => headers.some(([other]) => other.toLowerCase() === name);
  const chunks = send.chunks?.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
  const body = chunks ? Buffer.from(`${chunks.join('')}0\r\n\r\n`) : plainBody(send);
  const bodyless = ['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(send.method);
  if (!has('host')) headers.unshift(['Host', hostHeader(to)]);
  if (send.json !== undefined && !has('content-type')) headers.push(['Content-Type', 'application/json']);
  if (!has('connection')) headers.push(['Connection', 'close']);
  if (chunks) headers.push(['Transfer-Encoding', 'chunked']);
  else if (!has('content-length') && (body.length || !bodyless)) headers.push(['Content-Length', String(body.length)]);
  const head = `${send.method} ${send.target} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

const hostHeader = (to: { host: string; port: number } | { path: string }) =>
  'path' in to ? 'localhost' : `${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port}`;

const plainBody = ({ base64, json, fill, text }: Send): Buffer =>
  base64 !== undefined ? Buffer.from(base64, 'base64')
  : json !== undefined ? Buffer.from(JSON.stringify(json))
  : fill !== undefined ? Buffer.alloc(fill.bytes, fill.with ?? 'x')
  : Buffer.from(text ?? '');

// Undefined until the head is there; `complete` once framing says that nothing more comes.
function parse(bytes: Buffer, method: string): (Answer & { complete: boolean }) | undefined {
  const split = bytes.indexOf('\r\n\r\n');
  if (split < 0) return undefined;
  const [statusLine = '', ...lines] = bytes.subarray(0, split).toString('latin1').split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  const headers = lines.map((line): [string, string] => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
  const header = (name: string) => headers.find(([other]) => other === name)?.[1];
  const body = bytes.subarray(split + 4);
  if (status >= 100 && status < 200 && status !== 101) return parse(body, method);
  if (method === 'HEAD' || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0), complete: true };
  if (/chunked/i.test(header('transfer-encoding') ?? '')) return { status, headers, ...unchunk(body) };
  const length = header('content-length');
  return { status, headers, body, complete: length !== undefined && body.length >= Number(length) };
}

function unchunk(bytes: Buffer): { body: Buffer; complete: boolean } {
  const out: Buffer[] = [];
  for (let at = 0; ; ) {
    const eol = bytes.indexOf('\r\n', at);
    const size = eol < 0 ? Number.NaN : Number.parseInt(bytes.subarray(at, eol).toString('latin1'), 16);
    const end = eol + 2 + size;
    if (Number.isNaN(size) || bytes.length < end + 2 || size === 0) return { body: Buffer.concat(out), complete: size === 0 && bytes.length >= end + 2 };
    out.push(bytes.subarray(eol + 2, end));
    at = end + 2;
  }
}
