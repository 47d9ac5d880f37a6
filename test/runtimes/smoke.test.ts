// One suite on every runtime: real processes of Node, Bun, Deno and workerd loading the same core.
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startRedis } from '../harness/servers.ts';
import { startUpstashProxy } from '../harness/upstash-proxy.ts';
import { capabilities, dist, type HostName, type RunningHost, startHost } from './hosts.ts';

const names = Object.keys(capabilities) as HostName[];
const component = (name: string, type: string, metadata: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) } });
const yaml = (...documents: string[]) => documents.join('\n---\n');

describe('one core', () => {
  test('is one file, which no other file of the build carries again', () => {
    const core = readFileSync(join(dist, 'core.js'), 'utf8');
    expect(createHash('sha256').update(core).digest('hex')).toMatch(/^[0-9a-f]{64}$/);
    expect(core).toContain('ERR_STATE_STORE_NOT_FOUND');
    for (const host of ['node', 'bun', 'deno', 'worker']) expect(readFileSync(join(dist, `${host}.js`), 'utf8'), host).not.toContain('ERR_STATE_STORE_NOT_FOUND');
  });

  test.each(names)('is what %s runs', async (name) => {
    // a mark in a copy of the core must come out of every host
    const copy = mkdtempSync(join(tmpdir(), 'outrigger-build-'));
    const mark = `1.18.2-${randomUUID()}`;
    try {
      cpSync(dist, copy, { recursive: true });
      const core = readFileSync(join(copy, 'core.js'), 'utf8');
      expect(core.split('"1.18.2"')).toHaveLength(2);
      writeFileSync(join(copy, 'core.js'), core.replace('"1.18.2"', JSON.stringify(mark)));
      const host = await startHost(name, { build: copy, resources: '' });
      try {
        expect(await (await fetch(`${host.http}/v1.0/metadata`)).json()).toMatchObject({ id: 'test', runtimeVersion: mark });
      } finally {
        await host.stop();
      }
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});

const token = 'let-me-in';
const secret = 'from the environment';
const maxBodySize = 64 * 1024;

describeWithServer('redis', 'every host', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let upstash: Awaited<ReturnType<typeof startUpstashProxy>>;
  beforeAll(async () => {
    redis = await startRedis();
    upstash = await startUpstashProxy({ redisPort: redis.port, token: 'rest' });
  });
  afterAll(async () => {
    await upstash?.stop();
    await redis?.stop();
  });

  describe.each(names)('%s', (name) => {
    const can = capabilities[name];
    let app: Awaited<ReturnType<typeof startApp>>;
    let other: Awaited<ReturnType<typeof startApp>>;
    let host: RunningHost;
    let streaming: Awaited<ReturnType<typeof startStreaming>>;

    beforeAll(async () => {
      app = await startApp((request) => {
        if (request.target === '/events') return Response.json({ status: 'SUCCESS' });
        if (request.target.startsWith('/echo')) return new Response(request.body.length ? new Uint8Array(request.body) : null, { status: 201, headers: { 'x-method': request.method, 'x-target': request.target, 'content-type': request.header('content-type') ?? 'none' } });
        return undefined;
      });
      let flaky = 0;
      other = await startApp(async (request) => {
        if (request.target === '/flaky') return new Response('flaky', { status: ++flaky % 3 === 0 ? 200 : 503 });
        if (request.target === '/slow') await new Promise((done) => setTimeout(done, 1000));
        return new Response(`other ${request.method} ${request.target}`, { headers: { 'content-type': 'text/plain' } });
      });
      streaming = await startStreaming();
      host = await startHost(name, {
        appPort: app.port,
        maxBodySize: '64Ki',
        env: { DAPR_API_TOKEN: token, SMOKE_SECRET: secret },
        resources: yaml(
          component('mem', 'state.in-memory'),
          component('cloud', 'state.upstash.redis', { url: upstash.url, token: 'rest' }),
          component('secrets', 'secretstores.local.env'),
          component('bus', 'pubsub.in-memory'),
          component('web', 'bindings.http', { url: `http://127.0.0.1:${other.port}` }),
          JSON.stringify({ apiVersion: 'dapr.io/v2alpha1', kind: 'Subscription', metadata: { name: 'sub' }, spec: { pubsubname: 'bus', topic: 'news', routes: { default: '/events' } } }),
          JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'HTTPEndpoint', metadata: { name: 'outside' }, spec: { baseUrl: `http://127.0.0.1:${other.port}` } }),
          JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'HTTPEndpoint', metadata: { name: 'unsure' }, spec: { baseUrl: `http://127.0.0.1:${other.port}` } }),
          JSON.stringify({
            apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'policies' },
            spec: {
              policies: { timeouts: { short: '200ms' }, retries: { twice: { duration: '10ms', maxRetries: 2, matching: { httpStatusCodes: '503' } } }, circuitBreakers: { three: { trip: 'consecutiveFailures >= 3', timeout: '1h' } } },
              targets: { apps: { unsure: { timeout: 'short', retry: 'twice', circuitBreaker: 'three' } } },
            },
          }),
        ),
      });
    });
    afterAll(async () => {
      await host?.stop();
      await app?.stop();
      await other?.stop();
      await streaming?.stop();
    });

    const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
      const response = await fetch(host.http + path, {
        method,
        headers: { 'dapr-api-token': token, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
    };
    /** What comes back for bytes on the wire, until the connection closes. */
    const raw = (request: string) =>
      new Promise<string>((done) => {
        let answer = '';
        const socket = connect(host.port, '127.0.0.1', () => socket.write(request, 'latin1'));
        socket.setTimeout(3000, () => socket.destroy());
        socket.on('data', (data) => { answer += data.toString('latin1'); });
        socket.on('error', () => {});
        socket.on('close', () => done(answer));
      });

    test('resiliency: what fails is tried again, what takes too long is given up, and the breaker opens', async () => {
      const answer = async (path: string) => { const { status, text } = await call('GET', `/v1.0/invoke/unsure/method${path}`); return `${status} ${text.replace(/^.*err: (.*)"}$/, '$1')}`; };
      expect(await answer('/flaky')).toBe('200 flaky');
      expect(await answer('/slow')).toBe('500 context deadline exceeded');
      expect(await answer('/fine')).toBe('500 circuit breaker is open');
    });
    test('is healthy without a token', async () => {
      expect((await fetch(`${host.http}/v1.0/healthz`)).status).toBe(204);
      expect((await fetch(`${host.http}/v1.0/healthz/outbound`)).status).toBe(204);
    });

    test('asks for the token everywhere else', async () => {
      const refused = await fetch(`${host.http}/v1.0/metadata`);
      expect([refused.status, await refused.text(), refused.headers.get('content-type')]).toEqual([401, 'invalid api token\n', 'text/plain; charset=utf-8']);
      expect((await call('GET', '/v1.0/metadata', undefined, { 'dapr-api-token': 'wrong' })).status).toBe(401);
    });

    test('says what it has loaded', async () => {
      const { components, ...rest } = (await call('GET', '/v1.0/metadata')).json();
      expect(rest).toMatchObject({ id: 'test', runtimeVersion: '1.18.2' });
      expect(components.map((c: { name: string }) => c.name).sort()).toEqual(['bus', 'cloud', 'mem', 'secrets', 'web']);
      expect((await call('PUT', '/v1.0/metadata/colour', 'blue')).status).toBe(204);
      expect((await call('GET', '/v1.0/metadata')).json().extended.colour).toBe('blue');
    });

    test.each(['mem', 'cloud'])('keeps state in %s', async (store) => {
      const at = `/v1.0/state/${store}`;
      const key = `${name}-a`;
      expect((await call('POST', at, [{ key, value: { n: 1, text: '<é>' } }])).status).toBe(204);
      const first = await call('GET', `${at}/${key}`);
      expect([first.status, first.json()]).toEqual([200, { n: 1, text: '<é>' }]);
      const etag = first.headers.get('etag') as string;
      expect(etag).toBeTruthy();
      expect((await call('POST', at, [{ key, value: 2, etag }])).status).toBe(204);
      expect((await call('POST', at, [{ key, value: 3, etag }])).status).toBe(409);
      expect((await call('DELETE', `${at}/${key}`, undefined, { 'if-match': etag })).status).toBe(409);
      const operations = [{ operation: 'upsert', request: { key: `${name}-b`, value: 'b' } }, { operation: 'delete', request: { key } }];
      expect((await call('POST', `${at}/transaction`, { operations })).status).toBe(204);
      expect((await call('GET', `${at}/${key}`)).status).toBe(204);
      const bulk = (await call('POST', `${at}/bulk`, { keys: [`${name}-b`, key] })).json() as { key: string; data?: unknown }[];
      expect(Object.fromEntries(bulk.map((item) => [item.key, item.data]))).toEqual({ [`${name}-b`]: 'b', [key]: undefined });
    });

    test('writes to Redis what state.redis reads', async () => {
      await call('POST', '/v1.0/state/cloud', [{ key: `${name}-hash`, value: 'v' }]);
      expect(await redis.command('HMGET', `test||${name}-hash`, 'data', 'version')).toEqual(['"v"', '1']);
    });

    test('reads secrets', async () => {
      expect((await call('GET', '/v1.0/secrets/secrets/SMOKE_SECRET')).json()).toEqual({ SMOKE_SECRET: secret });
      expect((await call('GET', '/v1.0/secrets/none/x')).status).toBe(401);
    });

    test('publishes, and delivers where work outlives a request', async () => {
      const id = randomUUID();
      expect((await call('POST', '/v1.0/publish/bus/news', { id })).status).toBe(204);
      const here = (request: { target: string; text(): string }) => request.target === '/events' && request.text().includes(id);
      if (can.background) {
        const [event] = await app.saw(here);
        expect(event?.json()).toMatchObject({ data: { id }, topic: 'news', pubsubname: 'bus', specversion: '1.0' });
      } else {
        await expect(app.saw(here, 1, 300)).rejects.toThrow('the app saw 0');
      }
    });

    test('calls an HTTP binding', async () => {
      const answer = await call('POST', '/v1.0/bindings/web', { operation: 'get', metadata: { path: '/x?y=1' } });
      expect([answer.status, answer.text]).toEqual([200, 'other GET /x?y=1']);
    });

    test('invokes the app, an endpoint and a URL', async () => {
      const own = await call('POST', '/v1.0/invoke/test/method/echo/a?q=1', new Uint8Array([0, 255, 10]), { 'content-type': 'application/octet-stream' });
      expect([own.status, own.headers.get('x-method'), own.headers.get('x-target'), own.headers.get('content-type')]).toEqual([201, 'POST', '/echo/a?q=1', 'application/octet-stream']);
      const seen = app.requests.at(-1);
      expect([...(seen?.body ?? [])]).toEqual([0, 255, 10]);
      expect(seen?.header('dapr-api-token')).toBeUndefined();
      expect((await call('GET', '/v1.0/invoke/outside/method/p')).text).toBe('other GET /p');
      expect((await call('GET', `/v1.0/invoke/http://127.0.0.1:${other.port}/method/p`)).text).toBe('other GET /p');
    });

    test('passes a stream on while it runs, and stops it when the caller leaves', async () => {
      const gone = new AbortController();
      const response = await fetch(`${host.http}/v1.0/invoke/http://127.0.0.1:${streaming.port}/method/slow`, { headers: { 'dapr-api-token': token }, signal: gone.signal });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toContain('data: 1\n');
      expect(new TextDecoder().decode((await reader.read()).value)).toContain('data: 2\n');
      expect(streaming.left).toBe(0);
      gone.abort();
      await expect.poll(() => streaming.left, { timeout: 3000 }).toBe(1);
    });

    test('answers errors in Dapr\'s words', async () => {
      expect((await call('GET', '/v1.0/state/none/k')).json()).toMatchObject({ errorCode: 'ERR_STATE_STORE_NOT_FOUND' });
      expect((await call('POST', '/v1.0/state/mem', '[{')).json()).toEqual({ errorCode: 'ERR_MALFORMED_REQUEST', message: 'unexpected EOF' });
      for (const [method, path] of [['PUT', '/v1.0/state/mem/k'], ['GET', '/nowhere'], ['PATCH', '/v1.0/metadata']] as const) {
        const answer = await call(method, path);
        expect([answer.status, answer.json().errorCode]).toEqual([404, 'ERR_DIRECT_INVOKE']);
      }
      const head = await call('HEAD', '/v1.0/metadata');
      expect([head.status, head.text]).toEqual([404, '']);
    });

    test('keeps the body limit to the byte', async () => {
      const body = (size: number) => JSON.stringify([{ key: 'big', value: 'x'.repeat(size - 26) }]);
      expect(body(maxBodySize)).toHaveLength(maxBodySize);
      expect((await call('POST', '/v1.0/state/mem', body(maxBodySize))).status).toBe(204);
      const over = await call('POST', '/v1.0/state/mem', body(maxBodySize + 1));
      expect([over.status, over.json()]).toEqual([400, { errorCode: 'ERR_MALFORMED_REQUEST', message: 'stream too large' }]);
      expect((await call('PUT', '/v1.0/metadata/x', 'x'.repeat(maxBodySize + 1))).json()).toEqual({ errorCode: 'ERR_BODY_READ', message: 'failed to read request body: stream too large' });
      // a decoder that stops at the end of the first value never sees the rest
      expect((await call('POST', '/v1.0/state/mem', `[]${' '.repeat(maxBodySize)}`)).status).toBe(204);
    });

    test('routes the target as it was sent', async () => {
      await call('POST', '/v1.0/state/mem', [{ key: 'a/b c', value: 1 }, { key: '..', value: 'dots' }]);
      expect((await call('GET', '/v1.0/state/mem/a%2Fb+c')).text).toBe('1');
      const dots = await raw(`GET /v1.0/state/mem/%2e%2e HTTP/1.1\r\nHost: a\r\ndapr-api-token: ${token}\r\nConnection: close\r\n\r\n`);
      // %2e%2e is a key for Dapr; a host that takes it for a parent asks for /v1.0/state
      if (can.rawTarget) expect(dots).toContain('"dots"');
      else expect(dots).toContain('HTTP/1.1 404');
    });

    test('outlives rubbish', async () => {
      for (const rubbish of ['\0\x01\x02\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n', 'POST /v1.0/state/mem HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', ...(can.h2c ? [] : ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'])]) {
        const answer = await raw(rubbish);
        expect(answer.slice(9, 12)).toMatch(/^([45]..|)$/);
      }
      const verb = await raw(`FOO /v1.0/state/mem/none HTTP/1.1\r\nHost: a\r\ndapr-api-token: ${token}\r\nConnection: close\r\n\r\n`);
      if (can.oddVerbs) expect(verb).toContain('ERR_DIRECT_INVOKE');
      else expect(verb).not.toContain('HTTP/1.1 2');
      expect((await fetch(`${host.http}/v1.0/healthz`)).status).toBe(204);
    });
  });
});

/** A server whose answer never ends; counts the callers that left. */
async function startStreaming() {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let count = 0;
    const timer = setInterval(() => response.write(`data: ${++count}\n\n`), 50);
    response.once('close', () => {
      clearInterval(timer);
      started.left++;
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const started = {
    port: (server.address() as AddressInfo).port,
    left: 0,
    stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
  return started;
}
