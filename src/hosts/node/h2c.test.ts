// HTTP/2 without TLS beside HTTP/1.1 on one port, with Node's own HTTP/2 client and raw connections.
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { BodyBroken, BodyTooLarge, type Incoming } from '../../core/host.ts';
import type { Listener } from '../cli/platform.ts';
import { listen } from './listen.ts';

const closing: (() => void)[] = [];
afterEach(() => { for (const close of closing.splice(0)) close(); });
type Handle = (incoming: Incoming) => Response | Promise<Response>;

async function listening(handle: Handle, maxHeaderBytes = 8192): Promise<Listener> {
  const listener = await listen(handle, { host: '127.0.0.1', port: 0 }, { maxHeaderBytes });
  closing.push(() => listener.destroy());
  return listener;
}
function client({ port }: Listener): ClientHttp2Session {
  const session = connectHttp2(`http://127.0.0.1:${port}`, { maxSessionMemory: 100 });
  session.on('error', () => {});
  closing.push(() => session.destroy());
  return session;
}
type Got = { head: IncomingHttpHeaders; text: string; reset: number };
function send(session: ClientHttp2Session, headers: Record<string, string | string[]>, body?: string | Buffer | (string | Buffer)[]): Promise<Got> {
  return new Promise((done) => {
    const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
    const got: Got = { head: {}, text: '', reset: 0 };
    stream.setEncoding('utf8');
    stream.on('response', (head) => { got.head = head; });
    stream.on('data', (part: string) => { got.text += part; });
    stream.on('error', () => {});
    stream.on('close', () => { got.reset = stream.rstCode; done(got); });
    for (const part of body === undefined ? [] : [body].flat()) stream.write(part);
    if (body !== undefined) stream.end();
  });
}
const echo: Handle = async (incoming) => incoming.respond(200, ['Content-Type', 'text/plain', 'X-Two', 'a', 'X-Two', 'b', 'Connection', 'close'], `${incoming.method} ${incoming.target} ${new TextDecoder().decode(await incoming.bytes(0))}`);

describe('prior knowledge', () => {
  test('requests as the core sees them, answers without what belongs to HTTP/1.1', async () => {
    let seen: Incoming | undefined;
    let peer: string | undefined;
    const listener = await listening((incoming) => { seen = incoming; peer = incoming.peer; return echo(incoming); });
    const session = client(listener);
    const { head, text } = await send(session, { ':method': 'POST', ':path': '/a%2Fb?x=y', 'X-Up': 'ż', cookie: ['a=1', 'b=2'], 'content-length': '5' }, 'hello');
    expect(text).toBe('POST /a%2Fb?x=y hello');
    expect(head).toMatchObject({ ':status': 200, 'content-type': 'text/plain', 'x-two': 'a, b', 'content-length': String(text.length) });
    expect(head).not.toHaveProperty('connection');
    expect(seen?.headers.slice(0, 2)).toEqual(['host', `127.0.0.1:${listener.port}`]);
    expect(seen).toMatchObject({ length: 5, hasBody: true });
    expect(peer).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen?.header('cookie')).toBe('a=1; b=2');
    expect(seen?.headers.filter((_, i) => i % 2 === 0).some((name) => name.startsWith(':'))).toBe(false);
  });
  test('HTTP/1.1 goes on beside it, on the same port', async () => {
    const listener = await listening(echo);
    const session = client(listener);
    const both = await Promise.all([send(session, {}), fetch(`http://127.0.0.1:${listener.port}/one`).then((answer) => answer.text()), send(session, { ':path': '/two' })]);
    expect(both).toEqual([expect.objectContaining({ text: 'GET / ' }), 'GET /one ', expect.objectContaining({ text: 'GET /two ' })]);
  });
  test('a hundred requests at once, bodies of a megabyte each way', async () => {
    const listener = await listening(async (incoming) => incoming.respond(200, [], incoming.stream(0)));
    const session = client(listener);
    const body = Buffer.alloc(1 << 20, 'x');
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(session, { ':method': 'POST' }, body)));
    expect(answers.map(({ text }) => text.length)).toEqual(answers.map(() => 1 << 20));
    const many = await Promise.all(Array.from({ length: 300 }, (_, i) => send(session, { ':path': `/${i}` })));
    expect(new Set(many.map(({ head }) => head[':status']))).toEqual(new Set([200]));
  });
  test.each([['GET', 204], ['HEAD', 200], ['GET', 304]])('%s answered with %i has no body', async (method, status) => {
    const session = client(await listening((incoming) => incoming.respond(status, [], 'never seen')));
    expect(await send(session, { ':method': method })).toMatchObject({ head: { ':status': status }, text: '', reset: 0 });
  });
  test('limits: a body, a header block', async () => {
    const session = client(await listening(async (incoming) => {
      try {
        return incoming.respond(200, [], String((await incoming.bytes(10)).length));
      } catch (error) {
        return incoming.respond(413, [], String(error instanceof BodyTooLarge && error.received?.length));
      }
    }));
    expect((await send(session, { ':method': 'POST' }, '0123456789')).text).toBe('10');
    expect(await send(session, { ':method': 'POST' }, Buffer.alloc(500_000))).toMatchObject({ head: { ':status': 413 }, text: '10' });
    expect((await send(session, { 'x-long': 'x'.repeat(9000) })).head[':status']).toBe(431);
    expect((await send(session, {})).head[':status']).toBe(200);
  });
  test('an answer that breaks off is a reset stream; the connection lives on', async () => {
    let times = 0;
    const session = client(await listening((incoming) => {
      if (times++ === 1) throw new Error('a bug');
      return incoming.respond(200, [], times > 2 ? 'fine' : new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('half')), pull: (controller) => controller.error(new Error('cut')) }));
    }));
    expect(await send(session, {})).toMatchObject({ reset: 2 });
    expect(await send(session, {})).toMatchObject({ head: {}, reset: 2 });
    expect(await send(session, {})).toMatchObject({ text: 'fine', reset: 0 });
  });
  test('a caller that leaves is noticed: by who waits, by who reads', async () => {
    const noticed: string[] = [];
    const listener = await listening(async (incoming) => {
      if (incoming.method === 'POST') await incoming.bytes(0).catch((error: unknown) => noticed.push(String(error instanceof BodyBroken)));
      else await new Promise<void>((done) => incoming.signal.addEventListener('abort', () => { noticed.push('gone'); done(); }));
      return incoming.respond(200, [], '');
    });
    for (const leave of ['the call', 'the connection']) {
      const session = client(listener);
      const waiting = session.request({ ':path': '/' });
      waiting.on('error', () => {});
      await sleep(50);
      if (leave === 'the call') waiting.close(8);
      else session.destroy();
    }
    await expect.poll(() => noticed).toEqual(['gone', 'gone']);
    const reader = client(listener);
    const stream = reader.request({ ':path': '/', ':method': 'POST' }, { endStream: false });
    stream.on('error', () => {});
    await sleep(50);
    reader.destroy();
    await expect.poll(() => noticed).toEqual(['gone', 'gone', 'true']);
  });
  test('closing waits for what is in hand and takes no more', async () => {
    let answer = () => {};
    const listener = await listening((incoming) => new Promise((done) => { answer = () => done(incoming.respond(200, [], 'late')); }));
    const session = client(listener);
    const waiting = send(session, {});
    await sleep(50);
    let closed = false;
    const closes = listener.close().then(() => { closed = true; });
    await sleep(100);
    expect(closed).toBe(false);
    answer();
    expect((await waiting).text).toBe('late');
    await closes;
  });
});

/** Sends pieces of bytes; resolves with what came back until the connection closed or `ms` are over. */
function raw({ port }: Listener, pieces: (string | Buffer)[], ms = 400): Promise<Buffer> {
  return new Promise((done) => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', async () => {
      for (const piece of pieces) {
        socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
        await sleep(20);
      }
    });
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on('data', (part: Buffer) => void parts.push(part));
    socket.on('error', () => {});
    socket.on('close', () => { clearTimeout(timer); done(Buffer.concat(parts)); });
  });
}
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
/** Type and stream of each frame. */
function frames(bytes: Buffer): { type: number; stream: number; payload: Buffer }[] {
  const found = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) found.push({ type: bytes[at + 3] as number, stream: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, at + 9 + bytes.readUIntBE(at, 3)) });
  return found;
}
const upgrade = (headers = '', target = '/up?x=1') => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n${headers}\r\n`;
const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';

test('a preface in pieces', async () => {
  const listener = await listening(echo);
  const answer = frames(await raw(listener, ['PRI * HT', 'TP/2.0\r\n\r', '\nSM\r\n\r\n', settings.subarray(0, 4), settings.subarray(4)]));
  expect(answer.map(({ type }) => type)).toEqual(expect.arrayContaining([4, 4]));
});
test.each([
  ['after a request', `GET / HTTP/1.1\r\nHost: a\r\n\r\n${preface}`],
  ['no preface after all', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'],
  ['a request named PRI', 'PRI / HTTP/1.1\r\nHost: a\r\n\r\n'],
])('%s: refused', async (_, text) => {
  const answer = (await raw(await listening((incoming) => incoming.respond(200, [], '')), [text])).toString('latin1');
  expect(answer).toMatch(/HTTP\/1\.1 (400|505)/);
});

describe('upgrade', () => {
  test('the request that asked is answered on stream 1, after the caller’s first SETTINGS', async () => {
    const seen: string[][] = [];
    const listener = await listening((incoming) => { seen.push(incoming.headers); return echo(incoming); });
    const answer = await raw(listener, [upgrade(`X-Long: ${'x'.repeat(300)}\r\n`), preface + settings.toString('latin1')]);
    expect(answer.subarray(0, switched.length).toString('latin1')).toBe(switched);
    const got = frames(answer.subarray(switched.length));
    expect(got[0]?.type).toBe(4);
    expect(got.filter(({ type, payload }) => type === 4 && payload.length === 0)).toHaveLength(1); // one acknowledgement for one SETTINGS
    expect(got.filter(({ type, stream }) => type === 1 && stream === 1)).toHaveLength(1);
    expect(got.find(({ type }) => type === 0)?.payload.toString()).toBe('GET /up?x=1 ');
    expect(seen).toEqual([['host', 'a', 'x-long', 'x'.repeat(300)]]);
  });
  test('until the caller begins, it gets the 101 and nothing else', async () => {
    expect((await raw(await listening(echo), [upgrade()])).toString('latin1')).toBe(switched);
  });
  test('closing does not wait for a caller that never begins', async () => {
    const listener = await listening(echo);
    const waiting = raw(listener, [upgrade()], 5000);
    await sleep(100);
    await listener.close();
    expect((await waiting).toString('latin1')).toBe(switched);
  });
  test('whoever then sends no HTTP/2 is cut off', async () => {
    expect((await raw(await listening(echo), [upgrade(), 'GET / HTTP/1.1\r\n'], 5000)).toString('latin1')).toBe(switched);
  });
  test.each([
    ['another protocol', upgrade().replace('h2c', 'websocket')],
    ['no settings', upgrade().replace(/HTTP2-Settings: .*\r\n/, '')],
    ['settings the connection does not name', upgrade().replace(', HTTP2-Settings', '')],
    ['a body', upgrade('Content-Length: 2\r\n').replace('GET', 'POST').concat('hi')],
    ['two settings', upgrade('HTTP2-Settings: AAMAAABk\r\n')],
  ])('%s: answered in HTTP/1.1', async (_, text) => {
    const answer = (await raw(await listening(echo), [text])).toString('latin1');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});

test('switched off: an upgrade is not heard, a preface is refused', async () => {
  const listener = await listen(echo, { host: '127.0.0.1', port: 0 }, { maxHeaderBytes: 8192, http2: false });
  closing.push(() => listener.destroy());
  expect((await raw(listener, [upgrade()])).toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect((await raw(listener, [preface + settings.toString('latin1')])).toString('latin1')).not.toMatch(/HTTP\/1\.1 2|^\0/);
});

test('frames that make no sense, cut connections and heads without end leave nothing behind', async () => {
  const listener = await listening(echo);
  const random = (length: number) => Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)));
  const frame = () => { const payload = random(Math.floor(Math.random() * 40)); return Buffer.concat([Buffer.from([0, 0, payload.length, Math.floor(Math.random() * 11), Math.floor(Math.random() * 64), 0, 0, 0, Math.floor(Math.random() * 4)]), payload]); };
  const start = Buffer.concat([Buffer.from(preface), settings]);
  await Promise.all(Array.from({ length: 200 }, (_, i) => {
    const noise = Array.from({ length: 5 }, i % 2 === 0 ? frame : () => random(30));
    return raw(listener, i % 4 < 3 ? [Buffer.concat([start, ...noise])] : [upgrade(), Buffer.concat([start, ...noise])], 150);
  }));
  expect(await send(client(listener), { ':method': 'POST' }, 'alive')).toMatchObject({ text: 'POST / alive' });
  expect(await (await fetch(`http://127.0.0.1:${listener.port}/one`)).text()).toBe('GET /one ');
  for (const close of closing.splice(1)) close();
  await listener.close(); // waits for every connection
});
