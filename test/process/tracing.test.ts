// Spans of running sidecars at a collector: names, kinds, attributes and who is whose parent, as a real daprd sends them.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { type CollectedSpan, startCollector } from '../harness/collector.ts';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';

const caller = { trace: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' };
const traceparent = `00-${caller.trace}-${caller.span}-01`;
const soon = { OTEL_BSP_SCHEDULE_DELAY: '50' };
const component = (name: string, type: string, metadata = '[]') => `{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {name: ${name}}, spec: {type: ${type}, version: v1, metadata: ${metadata}}}`;
const configuration = (tracing: string, names = '') => `{apiVersion: dapr.io/v1alpha1, kind: Configuration, metadata: {name: c}, spec: {tracing: {samplingRate: "1", ${tracing}}${names && `, nameResolution: {component: sqlite, version: v1, configuration: {connectionString: "${names}"}}`}}}`;

let collector: Awaited<ReturnType<typeof startCollector>>;
beforeAll(async () => { collector = await startCollector(); });
afterAll(() => collector.stop());

/** What a test says of a span; attributes that depend on the run are left out. */
const facts = ({ name, kind, status, attributes }: CollectedSpan) => {
  const { 'server.port': _, ...rest } = attributes;
  return { name, kind, status, attributes: rest };
};
const http = (method: string, target: string, status: number, path = target) => ({ 'dapr.protocol': 'http', 'dapr.api': `${method} ${path}`, 'dapr.status_code': String(status), 'http.request.method': method, 'url.full': target, 'server.address': '127.0.0.1' });
const database = (system: string, name: string, statement: string) => ({ 'db.system': system, 'db.connection_string': system, 'db.name': name, 'db.statement': statement });

describe('two sidecars with one app, over OTLP/HTTP', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let alpha: Sidecar;
  let beta: Sidecar;
  beforeAll(async () => {
    app = await startApp(({ target }) => {
      if (target === '/dapr/subscribe') return Response.json([{ pubsubname: 'bus', topic: 'orders', route: '/orders' }, { pubsubname: 'bus', topic: 'unwanted', route: '/nowhere' }, { pubsubname: 'bus', topic: 'batch', route: '/batch', bulkSubscribe: { enabled: true, maxMessagesCount: 2, maxAwaitDurationMs: 5000 } }]);
      return target === '/nowhere' || target === '/missing' ? undefined : new Response('ok');
    });
    const config = configuration(`otel: {endpointAddress: "127.0.0.1:${collector.http}", protocol: http, isSecure: false, headers: ["x-key=abc"]}`, join(mkdtempSync(join(tmpdir(), 'outrigger-names-')), 'names.db'));
    const resources = { 'all.yaml': [component('store', 'state.in-memory'), component('bus', 'pubsub.in-memory'), component('env', 'secretstores.local.env'), component('tick', 'bindings.cron', '[{name: schedule, value: "@every 1s"}, {name: direction, value: input}]')].join('\n---\n') };
    [alpha, beta] = await Promise.all([
      startSidecar({ config, resources, env: soon, flags: ['--app-id=alpha', `--app-port=${app.port}`], waitFor: 'ready' }),
      startSidecar({ config, env: soon, flags: ['--app-id=beta', `--app-port=${app.port}`], waitFor: 'ready' }),
    ]);
  });
  afterAll(async () => {
    await Promise.all([alpha.stop(), beta.stop()]);
    await app.stop();
  });

  const call = async (method: string, target: string, headers: Record<string, string> = {}, body?: string) => {
    const response = await fetch(alpha.http + target, { method, headers, ...(body === undefined ? {} : { body }) });
    await response.arrayBuffer();
    return response.headers.get('traceparent') ?? '';
  };
  const traceOf = (header: string) => header.slice(3, 35);
  /** Spans of a trace, once there are that many. */
  const spansOf = async (header: string, count: number) => (await collector.saw((span) => span.traceId === traceOf(header), count)).sort((a, b) => a.start - b.start);

  test('a state call: child of the caller, named by its path; marks of the caller but no token', async () => {
    const answered = await call('POST', '/v1.0/state/store', { traceparent, tracestate: 'a=1', 'dapr-mark': 'x', 'dapr-api-token': 'secret' }, '[{"key":"k","value":1}]');
    const [span] = await collector.saw(({ spanId }) => spanId === answered.slice(36, 52));
    expect(facts(span!)).toEqual({ name: '/v1.0/state/store', kind: 'CLIENT', status: '', attributes: { ...http('POST', '/v1.0/state/store', 204), ...database('state', 'store', 'POST /v1.0/state/store'), 'dapr-mark': 'x' } });
    expect(span).toMatchObject({ traceId: caller.trace, parentId: caller.span, tracestate: 'a=1', flags: 0x301, resource: { 'service.name': 'alpha' }, scope: 'dapr-diagnostics', schemaUrl: 'https://opentelemetry.io/schemas/1.25.0' });
    expect(span!.end).toBeGreaterThanOrEqual(span!.start);
    expect(Math.abs(span!.start - Date.now())).toBeLessThan(10_000);
    expect(collector.exports[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-key': 'abc', 'content-type': 'application/x-protobuf' } });
  });

  test.each([
    ['GET', '/v1.0/state/store/k%20y?metadata.a=b', 204, '/v1.0/state/store/k y', '', database('state', 'store', 'GET /v1.0/state/store/k y')],
    ['GET', '/v1.0/state/none/k', 400, '/v1.0/state/none/k', 'error: Code(400): Bad Request', database('state', 'none', 'GET /v1.0/state/none/k')],
    ['GET', '/v1.0/secrets/env/PATH', 200, '/v1.0/secrets/env/PATH', '', database('secrets', 'env', 'GET /v1.0/secrets/env/PATH')],
    ['POST', '/v1.0/bindings/none', 500, '/v1.0/bindings/none', 'error: Code(500): Internal Server Error', database('bindings', 'none', 'POST /v1.0/bindings/none')],
    ['GET', '/v1.0/metadata', 200, '/v1.0/metadata', '', {}],
    ['GET', '/nowhere/at/all', 404, '/nowhere/at/all', 'error: Code(404): Not Found', {}],
  ])('%s %s is the first span of a new trace', async (method, target, status, name, error, more) => {
    const [span] = await spansOf(await call(method, target, {}, method === 'POST' ? '{"operation":"create"}' : undefined), 1);
    expect(facts(span!)).toEqual({ name, kind: 'CLIENT', status: error, attributes: { ...http(method, target, status, name), ...more } });
    expect(span!.parentId).toBe('');
  });

  test.each([
    ['POST', '/v1.0/invoke/beta/method/x/y%20z?q=1', {}, 'x/y z', 200],
    ['GET', '/v1.0/invoke/beta/method/missing', {}, 'missing', 404],
    ['GET', '/direct', { 'dapr-app-id': 'beta' }, 'direct', 200],
  ])('%s %s of another app: the sidecars’ spans hang on each other', async (method, target, headers, name, status) => {
    const answered = await call(method, target, { ...headers }, method === 'POST' ? 'hello' : undefined);
    const spans = await spansOf(answered, 2);
    const client = spans.find(({ kind }) => kind === 'CLIENT')!;
    const server = spans.find(({ kind }) => kind === 'SERVER')!;
    const error = status === 404 ? 'error: Code(404): Not Found' : '';
    expect(facts(client)).toEqual({ name: `CallLocal/beta/${name}`, kind: 'CLIENT', status: error, attributes: { ...http(method, target, status, target === '/direct' ? target : `/v1.0/invoke/beta/method/${name}`), 'rpc.service': 'ServiceInvocation', 'net.peer.name': 'beta' } });
    expect(facts(server)).toEqual({ name: `CallLocal/beta/${name}`, kind: 'SERVER', status: '', attributes: { 'rpc.service': 'ServiceInvocation', 'dapr.invoke_method': name, 'dapr.protocol': 'grpc', 'dapr.api': '/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream' } });
    expect([client.parentId, server.parentId, client.spanId]).toEqual(['', client.spanId, answered.slice(36, 52)]);
    expect([client, server].map(({ resource }) => resource['service.name'])).toEqual(['alpha', 'beta']);
    const [seen] = await app.saw((request) => request.header('traceparent')?.includes(client.traceId) ?? false);
    expect(seen!.header('traceparent')).toBe(`00-${server.traceId}-${server.spanId}-01`);
    expect(server.start).toBeGreaterThanOrEqual(client.start - 5);
  });

  test('the own app: one span, which the app sees', async () => {
    const answered = await call('GET', '/v1.0/invoke/alpha/method/own', { traceparent });
    const [span] = await collector.saw(({ spanId }) => spanId === answered.slice(36, 52));
    expect(span).toMatchObject({ name: 'CallLocal/alpha/own', kind: 'CLIENT', parentId: caller.span });
    const [seen] = await app.saw(({ target }) => target === '/own');
    expect(seen!.header('traceparent')).toBe(answered);
  });

  test('a published message: its delivery is a child of its publication', async () => {
    const spans = await spansOf(await call('POST', '/v1.0/publish/bus/orders', { 'content-type': 'application/json' }, '{"a":1}'), 2);
    const [published, delivered] = ['/v1.0/publish/bus/orders', 'pubsub/orders'].map((name) => spans.find((span) => span.name === name)!);
    expect(facts(published!)).toEqual({ name: '/v1.0/publish/bus/orders', kind: 'CLIENT', status: '', attributes: { ...http('POST', '/v1.0/publish/bus/orders', 204), 'messaging.system': 'pubsub' } });
    expect(facts(delivered!)).toEqual({ name: 'pubsub/orders', kind: 'CLIENT', status: '', attributes: { 'messaging.system': 'pubsub', 'messaging.destination.name': 'orders' } });
    expect(delivered!.parentId).toBe(published!.spanId);
    const [seen] = await app.saw((request) => request.target === '/orders' && (request.header('traceparent')?.includes(published!.traceId) ?? false));
    expect(seen!.header('traceparent')).toBe(`00-${delivered!.traceId}-${delivered!.spanId}-01`);
  });
  test('a delivery that the app refuses is marked', async () => {
    const spans = await spansOf(await call('POST', '/v1.0/publish/bus/unwanted', {}, 'x'), 2);
    expect(spans.find(({ name }) => name === 'pubsub/unwanted')?.status).toBe('error: Code(404): Not Found');
  });
  test('each message of a bulk publication has a span between publication and delivery', async () => {
    const target = '/v1.0/publish/bulk/bus/orders';
    const spans = await spansOf(await call('POST', target, {}, '[{"entryId":"1","event":"a","contentType":"text/plain"},{"entryId":"2","event":"b","contentType":"text/plain"}]'), 5);
    const [published] = spans.filter(({ kind, name }) => kind === 'CLIENT' && name === target);
    const messages = spans.filter(({ kind }) => kind === 'PRODUCER');
    expect(messages.map(facts)).toEqual([{ name: target, kind: 'PRODUCER', status: '', attributes: {} }, { name: target, kind: 'PRODUCER', status: '', attributes: {} }]);
    expect(messages.map(({ parentId }) => parentId)).toEqual([published!.spanId, published!.spanId]);
    const delivered = spans.filter(({ name }) => name === 'pubsub/orders');
    expect(delivered.map(({ parentId }) => parentId).sort()).toEqual(messages.map(({ spanId }) => spanId).sort());
  });

  test('each message of a batch has a span of its own; the app sees the last one’s', async () => {
    const target = '/v1.0/publish/bulk/bus/batch';
    const spans = await spansOf(await call('POST', target, {}, '[{"entryId":"1","event":"a","contentType":"text/plain"},{"entryId":"2","event":"b","contentType":"text/plain"}]'), 5);
    const messages = spans.filter(({ kind }) => kind === 'PRODUCER');
    const delivered = spans.filter(({ name }) => name === 'pubsub/batch');
    expect(delivered.map(({ parentId }) => parentId).sort()).toEqual(messages.map(({ spanId }) => spanId).sort());
    const [seen] = await app.saw((request) => request.target === '/batch');
    expect(delivered.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)).toContain(seen!.header('traceparent'));
  });

  test('an event of an input binding begins a trace', async () => {
    const [span] = await collector.saw(({ name }) => name === 'bindings/tick');
    expect(facts(span!)).toEqual({ name: 'bindings/tick', kind: 'CLIENT', status: '', attributes: { 'db.name': 'tick', 'db.system': 'bindings', 'db.connection_string': 'POST /tick', 'rpc.service': 'Dapr' } });
    expect(span!.parentId).toBe('');
  });

  test('health checks, calls that are not sampled and refused baggage leave no span', async () => {
    const before = collector.spans.length;
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await call('GET', '/v1.0/healthz');
    await call('GET', '/v1.0/metadata', { traceparent: `00-${trace}-${caller.span}-00` });
    await call('GET', '/v1.0/metadata', { traceparent: `00-${trace}-${caller.span}-01`, baggage: 'no baggage' });
    await spansOf(await call('GET', '/v1.0/metadata'), 1);
    expect(collector.spans.slice(before).filter(({ traceId, name }) => traceId === trace || name.includes('healthz'))).toEqual([]);
  });
});

describe('exporters', () => {
  const one = async (sidecar: Sidecar) => {
    const response = await fetch(`${sidecar.http}/v1.0/metadata`);
    return (response.headers.get('traceparent') ?? '').slice(3, 35);
  };
  test.each([
    ['OTLP/gRPC', 'otlp-grpc', () => configuration(`otel: {endpointAddress: "127.0.0.1:${collector.grpc}", protocol: grpc, isSecure: false}`), () => ({ OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip', OTEL_SERVICE_NAME: 'other' }), 'other'],
    ['Zipkin', 'zipkin', () => configuration(`zipkin: {endpointAddress: "http://127.0.0.1:${collector.http}/api/v2/spans"}`), () => ({}), 'test'],
    ['the environment alone', 'otlp-http', () => undefined, () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.http}`, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b' }), 'test'],
  ] as [string, string, () => string | undefined, () => Record<string, string>, string][])('%s: what is noted when the sidecar ends arrives', async (_, over, config, env, service) => {
    const text = config();
    const sidecar = await startSidecar({ env: env(), ...(text === undefined ? {} : { config: text }) });
    const trace = await one(sidecar);
    await sidecar.stop();
    expect(collector.spans.filter(({ traceId }) => traceId === trace)).toEqual([expect.objectContaining({ over, name: '/v1.0/metadata', kind: 'CLIENT', resource: expect.objectContaining({ 'service.name': service }) })]);
  });

  test('a collector that is away costs spans, one line in the log, and nothing else', async () => {
    const sidecar = await startSidecar({ env: soon, config: configuration('otel: {endpointAddress: "127.0.0.1:1", protocol: http, isSecure: false}, zipkin: {endpointAddress: "http://127.0.0.1:1/api/v2/spans"}') });
    for (let i = 0; i < 20; i++) {
      expect(await one(sidecar)).toMatch(/^[0-9a-f]{32}$/);
      await new Promise((done) => setTimeout(done, 20));
    }
    await expect.poll(() => sidecar.log().match(/spans do not arrive at/g)?.length).toBe(2);
    const started = Date.now();
    await sidecar.stop();
    expect(Date.now() - started).toBeLessThan(3000);
    expect(sidecar.log().match(/spans do not arrive at/g)).toHaveLength(2);
    expect(sidecar.log()).toContain('Daprd shutdown gracefully');
  });
});
