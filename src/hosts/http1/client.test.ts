import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpFailure, type HttpRequest } from '../../core/host.ts';
import { createBunHttpClient } from '../bun/http-client.ts';
import { createNodeHttpClient } from '../node/http-client.ts';

/** test/runtimes runs this file on Bun, too. */
const createClient = 'bun' in process.versions ? createBunHttpClient : createNodeHttpClient;

const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/small': (_, r) => { r.setHeader('set-cookie', ['a=1', 'b=2']); r.end('hi'); },
  '/chunks-at-once': (_, r) => { r.write('a'); r.end('b'); },
  '/chunks-later': (_, r) => { r.write('a'); setTimeout(() => r.end('b'), 20); },
  '/cut': (q, r) => { r.writeHead(200, { 'content-length': 10 }); r.write('abc'); setTimeout(() => q.socket.destroy(), 10); },
  '/drop': (q) => { q.socket.destroy(); },
  '/big': (_, r) => { r.end(Buffer.alloc(1 << 20, 'x')); },
  '/moved': (_, r) => { r.writeHead(302, { location: '/small' }); r.end(); },
  '/moved307': (_, r) => { r.writeHead(307, { location: '/small' }); r.end(); },
  '/long-header': (_, r) => { r.setHeader('x-long', 'x'.repeat(5000)); r.end(); },
  '/never': () => undefined,
};
let server: Server;
let origin: string;
const client = createClient({ maxHeaderBytes: 4096 });
const send = (path: string, more: Partial<HttpRequest> = {}) => client.send({ method: 'GET', origin, path, headers: [], ...more });
const text = async (body: Uint8Array | ReadableStream<Uint8Array> | null) => new Response(body as BodyInit | null).text();

beforeAll(async () => {
  server = createServer((request, response) => {
    const route = routes[request.url as string];
    if (route) return route(request, response);
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(parts).toString() })));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await client.close();
  server.closeAllConnections();
  server.close();
});

describe('answers', () => {
  it('come back as bytes where they are small, with every repeated header', async () => {
    const { status, headers, body } = await send('/small');
    expect(status).toBe(200);
    expect(body).toBeInstanceOf(Uint8Array);
    expect(headers.filter((_, i) => headers[i - 1] === 'set-cookie')).toEqual(['a=1', 'b=2']);
    expect((await send('/chunks-at-once')).body).toBeInstanceOf(Uint8Array);
  });
  it('come back as streams where they are large or take their time', async () => {
    const later = await send('/chunks-later');
    expect(later.body).toBeInstanceOf(ReadableStream);
    expect(await text(later.body)).toBe('ab');
    expect((await text((await send('/big')).body)).length).toBe(1 << 20);
  });
  it('that are cut give what came and then fail', async () => {
    const { status, body } = await send('/cut');
    expect(status).toBe(200);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('abc');
    await expect(reader.read()).rejects.toBeInstanceOf(HttpFailure);
  });
  it('stop when nobody reads on', async () => {
    const { body } = await send('/big');
    await (body as ReadableStream).cancel();
    expect((await send('/small')).status).toBe(200);
  });
});

describe('requests', () => {
  it('keep path, method and body as they are', async () => {
    const sent = await send('/a%2Fb/../%41?x=%20+y', { method: 'PATCH', headers: ['X-A', '1', 'x-a', '2'], body: new TextEncoder().encode('{}') });
    expect(JSON.parse(await text(sent.body))).toMatchObject({ method: 'PATCH', url: '/a%2Fb/../%41?x=%20+y', headers: { 'x-a': '1, 2', 'content-length': '2' }, body: '{}' });
  });
  it('stream a body chunked, or under the length that the headers name', async () => {
    const stream = () => new ReadableStream<Uint8Array>({ start: (c) => { c.enqueue(Buffer.from('ab')); c.enqueue(Buffer.from('c')); c.close(); } });
    expect(JSON.parse(await text((await send('/x', { method: 'POST', body: stream() })).body)).headers).toMatchObject({ 'transfer-encoding': 'chunked' });
    expect(JSON.parse(await text((await send('/x', { method: 'POST', headers: ['Content-Length', '3'], body: stream() })).body))).toMatchObject({ headers: { 'content-length': '3' }, body: 'abc' });
  });
  it('may be many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, () => send('/small')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });
  it('may go to any number of places: connections nobody uses make room', async () => {
    let most = 0;
    const everywhere = createServer((_, response) => response.end('hi'));
    everywhere.on('connection', () => everywhere.getConnections((_, count) => { most = Math.max(most, count); }));
    await new Promise<void>((done) => everywhere.listen(0, '0.0.0.0', done));
    const { port } = everywhere.address() as AddressInfo;
    const own = createClient();
    for (let i = 0; i < 400; i++) {
      const { body } = await own.send({ method: 'GET', origin: `http://127.0.${i >> 8}.${(i & 255) || 1}:${port}`, path: '/', headers: [] });
      expect(await text(body)).toBe('hi');
    }
    expect(most).toBeLessThan(300);
    await own.close();
    everywhere.close();
  });
  it('follow redirects only where asked, and not with a body', async () => {
    expect((await send('/moved')).status).toBe(302);
    expect((await send('/moved', { followRedirects: true, method: 'POST', body: Buffer.from('x') })).status).toBe(200);
    expect((await send('/moved307', { followRedirects: true })).status).toBe(200);
    expect((await send('/moved307', { followRedirects: true, method: 'POST', body: Buffer.from('x') })).status).toBe(307);
  });
});

describe('failures', () => {
  const failure = (promise: Promise<unknown>) => promise.then(() => undefined, (error: HttpFailure) => `${error.kind}: ${error.message}`);
  it('are worded as Go words them', async () => {
    const free = createServer();
    await new Promise<void>((done) => free.listen(0, '127.0.0.1', done));
    const { port } = free.address() as AddressInfo;
    await new Promise((done) => free.close(done));
    expect(await failure(send('/x', { origin: `http://127.0.0.1:${port}` }))).toBe(`refused: dial tcp 127.0.0.1:${port}: connect: connection refused`);
    expect(await failure(send('/drop'))).toBe('reset: EOF');
    expect(await failure(send('/long-header'))).toBe('other: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 4096 bytes; aborted');
    expect((await send('/long-header', { maxHeaderBytes: 16_384 })).status).toBe(200);
  });
  it('nothing is sent twice but what does no harm, once, where the connection had been idle', async () => {
    let seen = 0;
    const count = (request: IncomingMessage) => { if (request.url === '/drop') seen++; };
    server.on('request', count);
    const times = async (more: Partial<HttpRequest>) => {
      await send('/small'); // the connection stays open
      seen = 0;
      expect(await failure(send('/drop', more))).toBe('reset: EOF');
      return seen;
    };
    expect(await times({ method: 'POST' })).toBe(1);
    expect(await times({ method: 'DELETE' })).toBe(1);
    expect(await times({ body: Buffer.from('x') })).toBe(1);
    expect(await times({})).toBe(2);
    seen = 0;
    const fresh = createClient();
    await failure(fresh.send({ method: 'GET', origin, path: '/drop', headers: [] }));
    expect(seen).toBe(1);
    await fresh.close();
    server.off('request', count);
  });
  it('end when the caller goes away', async () => {
    const before = new AbortController();
    before.abort();
    expect(await failure(send('/small', { signal: before.signal }))).toBe('aborted: context canceled');
    const during = new AbortController();
    const waiting = failure(send('/never', { signal: during.signal }));
    setTimeout(() => during.abort(), 10);
    expect(await waiting).toBe('aborted: context canceled');
  });
  it('end while they wait for a connection, when the caller goes away', async () => {
    const own = createClient();
    const leaving = new AbortController();
    const many = Array.from({ length: 1024 }, () => own.send({ method: 'GET', origin, path: '/never', headers: [], signal: leaving.signal }).catch(() => undefined));
    const first = new AbortController();
    const waiting = failure(own.send({ method: 'GET', origin, path: '/small', headers: [], signal: first.signal }));
    const second = own.send({ method: 'GET', origin, path: '/small', headers: [] });
    first.abort();
    expect(await waiting).toBe('aborted: context canceled');
    leaving.abort();
    expect((await second).status).toBe(200);
    await Promise.all(many);
    await own.close();
  });
});
