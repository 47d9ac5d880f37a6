// How state.upstash.redis uses Upstash's client: one request for many commands, bytes that are no text, tokens, retries, errors.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startUpstash } from '../harness/upstash-proxy.ts';
import { openComponent } from './open.ts';

const open = async (metadata: Record<string, string>) => (await openComponent<StateStore>('state.upstash.redis', metadata)).port;
const get = (store: StateStore, key: string) => store.get({ key, metadata: {}, consistency: '' }, background);
const set = (store: StateStore, key: string, bytes: Uint8Array) => store.set({ key, value: { bytes }, metadata: {}, concurrency: '', consistency: '' }, background);

describeWithServer('redis', 'state.upstash.redis on a database', () => {
  let upstash: Awaited<ReturnType<typeof startUpstash>>;
  beforeAll(async () => {
    upstash = await startUpstash('right');
  });
  afterAll(() => upstash.stop());

  test('what is asked in one turn travels in one request', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    await set(store, 'k', new Uint8Array([1]));
    await get(store, 'k'); // the server knows the scripts now
    const before = upstash.requests.length;
    await Promise.all(Array.from({ length: 100 }, (_, i) => get(store, `k${i}`)));
    expect(upstash.requests.slice(before)).toEqual([{ path: '/pipeline', commands: 100 }]);
    await get(store, 'k');
    expect(upstash.requests.at(-1)).toEqual({ path: '/', commands: 1 });
  });
  test('one failing command of a request leaves the others alone', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    await upstash.redis.command('RPUSH', 'list', 'x');
    await set(store, 'fine', new Uint8Array([7]));
    const [bad, fine] = await Promise.allSettled([get(store, 'list'), get(store, 'fine')]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('WRONGTYPE') } });
    expect(fine).toMatchObject({ status: 'fulfilled', value: { etag: '1' } });
  });
  test('large bytes that are no text survive', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    const bytes = new Uint8Array(200_000).map((_, i) => (i * 7) % 256);
    await set(store, 'large', bytes);
    expect(Buffer.from((await get(store, 'large')).data as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
    expect(Buffer.from((await upstash.redis.commandBuffer('HGET', 'large', 'data')) as Buffer).equals(Buffer.from(bytes))).toBe(true);
  });
  test('every byte survives, alone and together, and what looks like a packed text', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const values = [...Array.from(all, (byte) => new Uint8Array([byte])), all, new TextEncoder().encode('\u{feff}OK'), new TextEncoder().encode('OK'), new TextEncoder().encode('\u00c3\u00bf \u4e2d \u{1f600}'), new Uint8Array(0)];
    await Promise.all(values.map((bytes, i) => set(store, `byte${i}`, bytes)));
    const got = await Promise.all(values.map((_, i) => get(store, `byte${i}`)));
    expect(got.map(({ data }) => Buffer.from(data as Uint8Array).toString('hex'))).toEqual(values.map((bytes) => Buffer.from(bytes).toString('hex')));
    for (const [i, bytes] of values.entries()) expect(((await upstash.redis.commandBuffer('HGET', `byte${i}`, 'data')) as Buffer).equals(Buffer.from(bytes))).toBe(true);
  });
  test('a plain string, as Dapr wrote before it knew etags, is read whatever its bytes', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    await upstash.redis.command('SET', 'old', 'caf\u00e9');
    expect(await get(store, 'old')).toEqual({ data: new Uint8Array(Buffer.from('caf\u00e9')) });
    expect(await get(store, 'nobody')).toEqual({ data: null });
    await upstash.redis.command('HSET', 'foreign', 'x', '1');
    await expect(get(store, 'foreign')).rejects.toThrow("required hash field 'data' or 'version' was not found");
  });
  test('a server that forgot its scripts gets them again', async () => {
    const store = await open({ url: upstash.url, token: 'right' });
    await set(store, 'before', new Uint8Array([200]));
    await upstash.redis.command('SCRIPT', 'FLUSH');
    expect(await Promise.all([get(store, 'before'), get(store, 'before')])).toEqual([{ data: new Uint8Array([200]), etag: '1' }, { data: new Uint8Array([200]), etag: '1' }]);
  });
  test('a wrong token, a wrong address and no address are errors when it opens', async () => {
    await expect(open({ url: upstash.url, token: 'wrong' })).rejects.toThrow('Unauthorized');
    await expect(open({ url: 'http://127.0.0.1:1', token: 'x', maxRetries: '0' })).rejects.toThrow('no answer from http://127.0.0.1:1');
    await expect(open({ url: 'redis://x', token: 'x' })).rejects.toThrow("url is not an http address: 'redis://x'");
    await expect(open({ token: 'x' })).rejects.toThrow('missing url');
  });
});

describe('state.upstash.redis in front of trouble', () => {
  const answering = async (answer: (count: number, incoming: IncomingMessage, outgoing: ServerResponse) => void) => {
    let count = 0;
    const server = createServer((incoming, outgoing) => {
      incoming.resume();
      incoming.on('end', () => answer(count++, incoming, outgoing));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count, stop: () => server.close() };
  };
  const reply = (outgoing: ServerResponse, body: unknown, headers: Record<string, string> = {}) => outgoing.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

  test('a cut connection is tried again, and its own writes are asked for', async () => {
    const tokens: unknown[] = [];
    const server = await answering((count, incoming, outgoing) => {
      tokens.push(incoming.headers['upstash-sync-token']);
      if (count === 0) incoming.socket.destroy();
      else reply(outgoing, { result: btoa('PONG') }, { 'upstash-sync-token': `t${count}` });
    });
    const store = await open({ url: server.url, token: 't' });
    await store.ping?.(background);
    expect(tokens).toEqual(['', '', 't1', 't2']);
    server.stop();
  });
  test('silence ends after the timeout', async () => {
    const server = await answering((count, _, outgoing) => count < 2 && reply(outgoing, { result: btoa('PONG') }));
    const store = await open({ url: server.url, token: 't', timeout: '300ms' });
    const from = performance.now();
    await expect(get(store, 'k')).rejects.toMatchObject({ kind: 'unavailable', message: `no answer from ${server.url} within 300 ms` });
    expect(performance.now() - from).toBeLessThan(1500);
    server.stop();
  });
  test('an answer that is no JSON is an error', async () => {
    const server = await answering((_, __, outgoing) => outgoing.writeHead(502).end('<html>'));
    await expect(open({ url: server.url, token: 't' })).rejects.toMatchObject({ kind: 'unavailable', message: `the answer of ${server.url} is no JSON` });
    server.stop();
  });
  test('a plan that is used up may be tried later; the value in the request stays secret', async () => {
    const server = await answering((count, _, outgoing) => (count < 2 ? reply(outgoing, { result: btoa('PONG') }) : outgoing.writeHead(429).end(JSON.stringify({ error: 'ERR max daily request limit exceeded. Limit: 10000' }))));
    const store = await open({ url: server.url, token: 't' });
    await expect(set(store, 'k', new TextEncoder().encode('secret'))).rejects.toMatchObject({ kind: 'unavailable', message: 'ERR max daily request limit exceeded. Limit: 10000' });
    server.stop();
  });
  test('nothing tells Upstash about the platform', async () => {
    const names = new Set<string>();
    const server = await answering((_, incoming, outgoing) => {
      for (const name of Object.keys(incoming.headers)) names.add(name);
      reply(outgoing, { result: btoa('PONG') });
    });
    await open({ url: server.url, token: 't' });
    expect([...names].filter((name) => name.startsWith('upstash-')).sort()).toEqual(['upstash-encoding', 'upstash-sync-token']);
    server.stop();
  });
});
