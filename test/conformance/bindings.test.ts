// The bindings that the conformance suite runs against, and what each does besides.
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding, InvokeResult } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { startApp } from '../harness/app.ts';
import { startMosquitto, startRedis } from '../harness/servers.ts';
import { type BindingRow, describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const rows: BindingRow[] = [
  {
    type: 'bindings.http',
    start: async () => {
      const app = await startApp(() => new Response('ok'));
      return { metadata: { url: `http://127.0.0.1:${app.port}` }, stop: () => app.stop() };
    },
    operations: ['create', 'get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'],
    quirks: { noRoundTrip: true },
  },
  { type: 'bindings.cron', start: async () => ({ metadata: { schedule: '@every 200ms' }, stop: async () => undefined }), eventWithinMs: 300 },
  {
    type: 'bindings.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
    },
    operations: ['create', 'delete', 'get', 'increment'],
    request: { key: 'k' },
    quirks: { missing: 'empty' },
  },
  {
    type: 'bindings.localstorage',
    start: async () => {
      const folder = mkdtempSync(join(tmpdir(), 'outrigger-files-'));
      return { metadata: { rootPath: join(folder, 'made') }, stop: async () => rmSync(folder, { recursive: true }) };
    },
    operations: ['create', 'get', 'list', 'delete'],
    request: { fileName: 'a/b.txt' },
    quirks: { missing: 'error' },
  },
  {
    type: 'bindings.mqtt3',
    servers: ['mosquitto'],
    start: async () => {
      const mosquitto = await startMosquitto();
      const url = `mqtt://127.0.0.1:${mosquitto.port}`;
      const other = await connectAsync(url);
      const timer = setInterval(() => other.publish('room/a', 'tick', { qos: 1 }), 100);
      const stop = async () => {
        clearInterval(timer);
        await other.endAsync();
        await mosquitto.stop();
      };
      return { metadata: { url, topic: 'room/+', consumerID: 'conformance' }, stop };
    },
    operations: ['create'],
    request: { topic: 'room/b' },
    eventWithinMs: 300,
  },
];
for (const row of rows) describeBinding(row);

const invoking = (binding: Binding) => (operation: string, data: string, metadata: Record<string, string> = {}): Promise<InvokeResult | null> =>
  (binding.invoke as NonNullable<Binding['invoke']>)({ operation, data: new TextEncoder().encode(data), metadata }, background);
const text = (result: InvokeResult | null) => new TextDecoder().decode(result?.data);

describe('bindings.http', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  beforeAll(async () => {
    app = await startApp((request) => {
      if (request.target.endsWith('/slow')) return new Promise((resolve) => setTimeout(() => resolve(new Response('late')), 2000));
      if (request.target.endsWith('/moved')) return new Response(null, { status: 302, headers: { location: '/there' } });
      if (request.target.endsWith('/cut')) throw new Error('cut');
      if (request.target.endsWith('/large')) return new Response('x'.repeat(100_000));
      return new Response('answer', { status: request.target.endsWith('/missing') ? 404 : 200, headers: [['X-One', '1'], ['X-One', '2']] });
    });
  });
  afterAll(() => app.stop());
  const open = async (metadata: Record<string, string> = {}) => invoking((await openComponent<Binding>('bindings.http', { url: `http://127.0.0.1:${app.port}/base/`, ...metadata })).port);

  test('metadata in capitals and the token become headers, bodies go with post, put and patch only', async () => {
    const invoke = await open({ securityToken: 'secret', securityTokenHeader: 'x-token' });
    await invoke('put', '{"a":1}', { path: '/sub?x=1', 'X-Mine': 'ü', lower: 'no', 'Content-Type': 'text/xml', Host: 'elsewhere', 'Content-Length': '3', baggage: 'b=1' });
    await invoke('get', '{"a":1}');
    const [put, got] = app.requests.slice(-2);
    expect([put?.method, put?.target, put?.text(), put?.header('content-type'), put?.header('x-token'), put?.header('baggage'), put?.header('lower'), put?.header('content-length')]).toEqual(['PUT', '/base/sub?x=1', '{"a":1}', 'text/xml', 'secret', 'b=1', undefined, '7']);
    expect(Buffer.from(put?.header('x-mine') ?? '', 'latin1').toString()).toBe('ü');
    expect(put?.header('host')).toBe(`127.0.0.1:${app.port}`);
    expect([got?.method, got?.target, got?.text(), got?.header('content-type'), got?.header('accept')]).toEqual(['GET', '/base/', '', undefined, 'application/json; charset=utf-8']);
  });
  test('the answer comes with its status and headers, an error too', async () => {
    const invoke = await open();
    const found = await invoke('get', '');
    expect([text(found), found?.error]).toEqual(['answer', undefined]);
    expect(found?.metadata).toMatchObject({ statusCode: '200', status: '200 OK', 'X-One': '1, 2' });
    const missing = await invoke('get', '', { path: 'missing' });
    expect([text(missing), missing?.metadata.status, missing?.error?.message]).toEqual(['answer', '404 Not Found', 'received status code 404']);
    expect((await invoke('get', '', { path: 'missing', errorIfNot2XX: 'false' }))?.error).toBeUndefined();
    expect((await (await open({ errorIfNot2XX: 'no' }))('get', '', { path: 'missing' }))?.error).toBeUndefined();
  });
  test('redirects are followed', async () => {
    const moved = await (await open())('get', '', { path: 'moved' });
    expect([text(moved), app.requests.at(-1)?.target]).toEqual(['answer', '/there']);
  });
  test('an answer that takes too long, is cut or never comes is an error that names the call', async () => {
    const invoke = await open({ responseTimeout: '200ms' });
    await expect(invoke('get', '', { path: 'slow' })).rejects.toThrow(`Get "http://127.0.0.1:${app.port}/base/slow": context deadline exceeded`);
    await expect(invoke('create', '', { path: 'cut' })).rejects.toThrow(`Post "http://127.0.0.1:${app.port}/base/cut": `);
    await expect((await open({ url: 'http://127.0.0.1:1' }))('get', '')).rejects.toThrow('Get "http://127.0.0.1:1": dial tcp 127.0.0.1:1: connect: connection refused');
    await expect((await open({ url: '' }))('get', '')).rejects.toThrow('Get "": unsupported protocol scheme ""');
  });
  test('an answer above the limit is cut off, or an error where that is asked for', async () => {
    expect(text(await (await open({ maxResponseBodySize: '10Ki' }))('get', '', { path: 'large' }))).toHaveLength(10_240);
    expect(text(await (await open({ maxResponseBodySize: '0' }))('get', '', { path: 'large' }))).toHaveLength(100_000);
    await expect((await open({ maxResponseBodySize: '10Ki', errorIfTooLarge: 'true' }))('get', '', { path: 'large' })).rejects.toThrow('larger than maxResponseBodySize');
  });
  test.each([[{ maxResponseBodySize: 'lots' }, 'invalid value for maxResponseBodySize'], [{ MTLSRootCA: '/none.pem' }, 'provided "MTLSRootCA" value is neither'], [{ mtlsRenegotiation: 'Sometimes' }, 'invalid renegotiation value: Sometimes']] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata)).rejects.toThrow(message);
  });
});

describe('bindings.cron', () => {
  test('tells the time and the zone', async () => {
    const { port } = await openComponent<Binding>('bindings.cron', { schedule: '* * * * * *' });
    const event = await new Promise<{ data: Uint8Array; metadata: Record<string, string> }>((resolve) => void port.read?.(async (e) => void resolve(e) as undefined));
    expect(event.data).toHaveLength(0);
    expect(event.metadata.timeZone).toBe('Local');
    expect(event.metadata.readTimeUTC).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? \+0000 UTC$/);
    expect(Math.abs(Date.parse((event.metadata.readTimeUTC as string).replace(' +0000 UTC', 'Z').replace(' ', 'T')) - Date.now())).toBeLessThan(1500);
    await port.close();
  });
  test.each([[{}, 'schedule not set'], [{ schedule: 'sometimes' }, "invalid schedule format 'sometimes': expected 5 to 6 fields, found 1: [sometimes]"]] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(openComponent('bindings.cron', metadata)).rejects.toThrow(message);
  });
});

describe('bindings.localstorage', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-files-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  test('neither dots nor links lead out of the folder', async () => {
    writeFileSync(join(folder, 'secret'), 'outside');
    const { port } = await openComponent<Binding>('bindings.localstorage', { rootPath: join(folder, 'root') });
    symlinkSync(folder, join(folder, 'root', 'up'));
    symlinkSync('../../..', join(folder, 'root', 'far'));
    symlinkSync('loop', join(folder, 'root', 'loop'));
    const invoke = invoking(port);
    await expect(invoke('get', '', { fileName: 'up/secret' })).rejects.toThrow('file not found');
    await expect(invoke('get', '', { fileName: '../secret' })).rejects.toThrow('file not found');
    await invoke('create', '"mine now"', { fileName: 'far/secret' });
    expect(text(await invoke('get', '', { fileName: '/secret' }))).toBe('mine now');
    await expect(invoke('get', '', { fileName: 'loop/x' })).rejects.toThrow('too many levels of symbolic links');
    expect(readdirSync(folder).sort()).toEqual(['root', 'secret']);
  });
  test.each([['', 'must not be empty'], ['/proc/x', 'disallowed location'], ['/etc/../sys', 'disallowed location'], [join(folder, 'secret'), 'represents a file and not a directory']])('rootPath %j is refused', async (rootPath, message) => {
    await expect(openComponent('bindings.localstorage', { rootPath })).rejects.toThrow(message);
  });
});
