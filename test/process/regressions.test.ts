// Defects that Dapr shipped and mended in 1.17 and 1.18 (its release notes), asked of this sidecar from outside; those that a recording or a test nearer to the source shows are not repeated here.
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { converse, request } from '../harness/raw-http.ts';
import { startApp, startSidecar } from '../harness/sidecar.ts';

const component = (name: string, type: string, metadata: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) } });
const configuration = (spec: object) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'c' }, spec });
const knows = (apps: Record<string, { ports: { internal: number } }>) =>
  ({ nameResolution: { component: 'static', version: 'v1', configuration: { apps: Object.fromEntries(Object.entries(apps).map(([id, { ports }]) => [id, `127.0.0.1:${ports.internal}`])) } } });

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
const sidecarWith: typeof startSidecar = async (options) => {
  const sidecar = await startSidecar(options);
  ends.push(() => sidecar.stop());
  return sidecar;
};
const appWith: typeof startApp = async (handler) => {
  const app = await startApp(handler);
  ends.push(() => app.stop());
  return app;
};
const json = (value: unknown) => Response.json(value);

describe('invocation: bodies travel while they come', () => {
  /** Says each piece as it hears it, and that it was all. */
  const app = createServer((incoming, outgoing) => {
    outgoing.writeHead(incoming.url === '/fails' ? 500 : 200, { 'content-type': 'text/plain' });
    outgoing.flushHeaders();
    incoming.on('data', (piece: Buffer) => outgoing.write(`heard ${piece.toString().slice(0, 8)};`));
    incoming.on('end', () => outgoing.end('end'));
    incoming.on('error', () => {});
  });
  let callee: Awaited<ReturnType<typeof startSidecar>>;
  let caller: Awaited<ReturnType<typeof startSidecar>>;
  beforeAll(async () => {
    await once(app.listen(0, '127.0.0.1'), 'listening');
    callee = await startSidecar({ flags: ['--app-id=callee', `--app-port=${(app.address() as AddressInfo).port}`], waitFor: 'ready' });
    caller = await startSidecar({ flags: ['--app-id=caller'], config: configuration(knows({ callee })) });
  });
  afterAll(async () => {
    await Promise.allSettled([caller?.stop(), callee?.stop()]);
    app.closeAllConnections();
    app.close();
  });

  test.each([
    ['the own app, in chunks', 'callee', '/says', undefined],
    ['the own app, in chunks, and it fails', 'callee', '/fails', undefined],
    ['another app, in chunks', 'caller', '/says', undefined],
    ['the own app, of a known length beyond what is kept', 'callee', '/says', 1_000_000],
    ['another app, of a known length beyond what is kept', 'caller', '/says', 1_000_000],
  ])('%s', async (_, from, path, length) => {
    const { http } = from === 'callee' ? callee : caller;
    const call = send(`${http}/v1.0/invoke/callee/method${path}`, { method: 'POST', headers: length === undefined ? {} : { 'content-length': length } });
    const answered = once(call, 'response');
    call.write('piece 1.'.padEnd(20_000));
    await sleep(100);
    if (length === undefined) {
      // the request is not at its end: what is heard now did not wait for it
      const [response] = (await answered) as [import('node:http').IncomingMessage];
      const [first] = (await once(response, 'data')) as [Buffer];
      expect([response.statusCode, first.toString()]).toEqual([path === '/fails' ? 500 : 200, expect.stringMatching(/^heard piece 1\.;/)]);
      call.end('piece 2.');
      let rest = '';
      for await (const piece of response) rest += String(piece);
      expect(rest).toMatch(/end$/);
      return;
    }
    call.end(Buffer.alloc(length - 20_000));
    const [response] = (await answered) as [import('node:http').IncomingMessage];
    let text = '';
    for await (const piece of response) text += String(piece);
    expect([response.statusCode, text.startsWith('heard piece 1.;'), text.endsWith('end')]).toEqual([200, true, true]);
  });
});

test('invocation: an app that speaks HTTP/2 without TLS: the answer is whole, also under a policy, also behind another sidecar', async () => {
  const app = createHttp2((incoming, outgoing) => {
    incoming.resume();
    outgoing.writeHead(incoming.url === '/fails' ? 500 : 200, { 'content-type': 'text/plain', 'content-length': 300_000 });
    // the head is there well before the body
    setTimeout(() => outgoing.end('x'.repeat(300_000)), 150);
  });
  await once(app.listen(0, '127.0.0.1'), 'listening');
  ends.push(async () => app.close());
  const policies = { policies: { timeouts: { t: '3s' }, retries: { r: { duration: '10ms', maxRetries: 1 } } }, targets: { apps: { callee: { timeout: 't', retry: 'r' } } } };
  const resources = { 'r.yaml': JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'r' }, spec: policies }) };
  const callee = await sidecarWith({ flags: ['--app-id=callee', '--app-protocol=h2c', `--app-port=${(app.address() as AddressInfo).port}`], resources, waitFor: 'ready' });
  const caller = await sidecarWith({ flags: ['--app-id=caller'], resources, config: configuration(knows({ callee })) });
  for (const { http } of [callee, caller]) {
    for (const [path, status] of [['/fine', 200], ['/fails', 500]] as const) {
      const answer = await fetch(`${http}/v1.0/invoke/callee/method${path}`, { method: 'POST', body: 'x' });
      expect([answer.status, (await answer.text()).length]).toEqual([status, 300_000]);
    }
  }
});

test('invocation: a body that middleware makes shorter or longer has the length it then has, in both directions', async () => {
  // two bytes become one, two become three
  const app = await appWith(() => new Response('ıııɐɐ', { headers: { 'content-type': 'text/plain', 'content-length': '10' } }));
  const upper = { name: 'upper', type: 'middleware.http.uppercase' };
  const { http, ports } = await sidecarWith({
    flags: [`--app-port=${app.port}`], waitFor: 'ready', config: configuration({ httpPipeline: { handlers: [upper] } }), resources: { 'upper.yaml': component('upper', upper.type, { direction: 'both' }) },
  });
  for (const [sent, seen] of [['ııı', 'III'], ['ɐɐɐ', 'ⱯⱯⱯ']] as const) {
    const heard = await converse(ports.http, request('POST /v1.0/invoke/test/method/echo', sent));
    expect([heard.answers[0]?.status, heard.answers[0]?.body, heard.rest]).toEqual([200, 'IIIⱯⱯ', '']);
    const got = app.requests.at(-1);
    expect([got?.text(), got?.header('content-length') ?? 'chunks']).toEqual([seen, expect.stringMatching(new RegExp(`^(${Buffer.byteLength(seen)}|chunks)$`))]);
  }
  // the connection is still in step
  expect(await (await fetch(`${http}/v1.0/invoke/test/method/echo`, { method: 'POST', body: 'x' })).text()).toBe('IIIⱯⱯ');
});

test('access control: whom the default denies reaches no path of the app, however it is written; the own app is not asked', async () => {
  const app = await appWith(() => new Response('reached'));
  const callee = await sidecarWith({
    flags: ['--app-id=callee', `--app-port=${app.port}`], waitFor: 'ready',
    config: configuration({ accessControl: { defaultAction: 'deny', trustDomain: 'public', policies: [{ appId: 'caller', trustDomain: 'public', namespace: 'default', defaultAction: 'allow', operations: [{ name: '/open', httpVerb: ['*'], action: 'allow' }] }] } }),
  });
  const caller = await sidecarWith({ flags: ['--app-id=caller'], config: configuration(knows({ callee })) });
  for (const [path, method] of [['open', 'open'], ['open/../closed', 'closed'], ['open%2F..%2Fclosed', 'closed'], ['open//closed', 'open/closed'], ['%2e%2e/closed', 'closed'], ['', '']] as const) {
    const heard = await converse(caller.ports.http, request(`GET /v1.0/invoke/callee/method/${path}`));
    expect([heard.answers[0]?.status, heard.answers[0]?.body]).toEqual([403, `{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: callee, err: rpc error: code = PermissionDenied desc = access control policy has denied access to id:  operation: ${method} verb: GET"}`]);
  }
  expect(app.requests.filter(({ target }) => target !== '/dapr/config' && target !== '/dapr/subscribe')).toEqual([]);
  expect(await (await fetch(`${callee.http}/v1.0/invoke/callee/method/closed`)).text()).toBe('reached');
});

test.each(['closes the connection', 'answers 500', 'never answers'])('publish/subscribe: a message in hand at the shutdown, when the app %s, is no dead letter and comes again', async (how) => {
  let ending = false;
  const app = await appWith(async ({ target }) => {
    if (target === '/dapr/subscribe') return json([{ pubsubname: 'bus', topic: 'orders', route: '/orders', deadLetterTopic: 'dead' }, { pubsubname: 'bus', topic: 'dead', route: '/dead' }]);
    if (target === '/orders' && !ending) {
      while (!ending) await sleep(20);
      if (how === 'closes the connection') throw new Error('gone');
      if (how === 'never answers') await sleep(3000);
      return new Response('', { status: 500 });
    }
    return new Response('{}');
  });
  const options = (file: string) => ({ flags: [`--app-port=${app.port}`], waitFor: 'ready' as const, resources: { 'bus.yaml': component('bus', 'pubsub.sqlite', { connectionString: file, redeliverInterval: '50ms', leaseTime: '1s' }) } });
  const file = `/tmp/regressions-${process.pid}-${how.length}.db`;
  ends.push(async () => { const { rmSync } = await import('node:fs'); for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true }); });
  const first = await startSidecar(options(file));
  expect((await fetch(`${first.http}/v1.0/publish/bus/orders`, { method: 'POST', body: '{"n":1}', headers: { 'content-type': 'application/json' } })).status).toBe(204);
  await app.saw(({ target }) => target === '/orders');
  const stopped = first.stop('SIGTERM');
  await sleep(100);
  ending = true;
  await stopped;
  await sidecarWith(options(file));
  const orders = await app.saw(({ target }) => target === '/orders', 2);
  expect(orders[1]?.json()).toMatchObject({ data: { n: 1 } });
  expect(app.requests.filter(({ target }) => target === '/dead')).toEqual([]);
});

test('input bindings do not wait for the app to say what it subscribes to, nor for each other', async () => {
  const app = await appWith(async ({ method, target }) => {
    if (target === '/dapr/subscribe' || (method === 'OPTIONS' && target === '/stuck')) await sleep(20_000, undefined, { ref: false });
    return new Response();
  });
  await sidecarWith({ flags: [`--app-port=${app.port}`], resources: { 'a.yaml': component('stuck', 'bindings.cron', { schedule: '@every 100ms' }), 'b.yaml': component('tick', 'bindings.cron', { schedule: '@every 100ms' }), 'c.yaml': component('bus', 'pubsub.in-memory') } });
  await app.saw(({ method, target }) => method === 'POST' && target === '/tick', 2, 4000);
});

test('metrics: what takes less than a millisecond is counted in every histogram', async () => {
  const app = await appWith(() => new Response());
  const { http, ports } = await sidecarWith({ flags: [`--app-port=${app.port}`], waitFor: 'ready', resources: { 'mem.yaml': component('mem', 'state.in-memory') } });
  for (let i = 0; i < 20; i++) await (await fetch(`${http}/v1.0/state/mem/k`)).text();
  for (let i = 0; i < 5; i++) await (await fetch(`${http}/v1.0/invoke/test/method/m`)).text();
  const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/`)).text();
  expect(text).toMatch(/dapr_http_server_latency_count\{[^}]*path="\/v1.0\/state\/mem"[^}]*\} 20\n/);
  expect(text).toMatch(/dapr_component_state_latencies_count\{[^}]*operation="get"[^}]*\} 20\n/);
  expect(text).toMatch(/dapr_http_client_roundtrip_latency_count\{[^}]*path="\/m"[^}]*\} 5\n/);
});

test('secrets: a denied one is denied in every spelling of its path', async () => {
  const { ports } = await sidecarWith({
    resources: { 's.yaml': component('s', 'secretstores.local.env') }, env: { OPEN: 'o', CLOSED: 'c' }, config: configuration({ secrets: { scopes: [{ storeName: 's', defaultAccess: 'deny', allowedSecrets: ['OPEN'] }] } }),
  });
  const get = async (path: string) => (await converse(ports.http, request(`GET /v1.0/secrets/${path}`))).answers[0];
  expect((await get('s/OPEN'))?.body.trim()).toBe('{"OPEN":"o"}');
  for (const path of ['s/CLOSED', 's/%43LOSED', 's//CLOSED', 's/OPEN/../CLOSED', 's/OPEN/%2e%2e/CLOSED', 's/CLOSED?metadata.x=OPEN', '/s/CLOSED/', 's/CLOSED%20', '%73/CLOSED']) {
    const answer = await get(path);
    expect([path, answer?.status === 403 || answer?.status === 404, answer?.body.includes('"c"')]).toEqual([path, true, false]);
  }
});
