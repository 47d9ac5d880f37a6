import { afterEach, describe, expect, it, vi } from 'vitest';
import { background } from '../../core/context.ts';
import { HttpFailure, type HttpPort, type HttpRequest, type HttpResponse } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { createResiliency } from '../resiliency/resiliency.ts';
import type { HttpEndpointResource } from '../resources/kinds.ts';
import { createAddresses } from './addresses.ts';
import type { AppChannel, AppRequest } from './app-channel.ts';
import { createEndpoints } from './endpoints.ts';
import { createHttpLeg } from './http-leg.ts';
import { createInvokeBlock, type InvokeOptions, type InvokeRequest } from './invoke.ts';
import { RemoteFailure, type RemoteLeg } from './remote-leg.ts';

const answer = (status = 200): HttpResponse => ({ status, headers: [], body: null });
const call = (id: string, more: Partial<InvokeRequest> = {}): InvokeRequest => ({ id, method: 'x', verb: 'GET', query: '', headers: [], body: null, length: undefined, ...more });
const plain = ['User-Agent', 'Go-http-client/1.1', 'Accept-Encoding', 'gzip'];

function block(more: Partial<InvokeOptions> = {}, http: HttpPort = { send: async () => answer() }) {
  const toApp: AppRequest[] = [];
  const channel: AppChannel = { origin: 'http://127.0.0.1:80', healthy: true, close: async () => undefined, send: async (request) => { toApp.push(request); return answer(); } };
  const endpoints = createEndpoints(http, { env: {}, log: { warn: () => undefined } as Partial<Logger> as Logger, secretStore: () => undefined });
  const addresses = createAddresses(() => ({ state: 'ready', resolver: { cacheMs: 0, resolve: async (id) => [`${id}:1`], close: async () => undefined } }));
  const log = { info: () => undefined, warn: () => undefined, debug: () => undefined } as Partial<Logger> as Logger;
  const options: InvokeOptions = { resiliency: createResiliency({ log }), log, appId: 'own', namespace: '', channel: () => channel, addresses, endpoints, leg: { call: async () => answer() }, hostAddress: '10.0.0.1', hostname: 'box', passApiToken: true, ownSpans: false, ...more };
  return { toApp, channel, endpoints, invoke: (request: InvokeRequest) => createInvokeBlock(options).invoke(request, background) };
}
const refusal = (promise: Promise<unknown>) => promise.then(() => undefined, (error: { http: number; message: string }) => `${error.http} ${error.message}`);

describe('the own app', () => {
  it('gets path, query and verb; unusual verbs arrive as POST', async () => {
    const { invoke, toApp } = block();
    await invoke(call('own', { method: 'a b/../c', query: 'q=%zz', verb: 'PROPFIND' }));
    await invoke(call('own.default'));
    expect(toApp).toEqual([{ method: 'POST', path: '/c?q=%zz', headers: plain, body: null }, { method: 'GET', path: '/x', headers: plain, body: null }]);
  });
  it('is refused in daprd’s words', async () => {
    expect(await refusal(block({ channel: () => undefined }).invoke(call('own')))).toBe('500 failed to invoke, id: own, err: cannot invoke local endpoint: app channel not initialized');
    const ill = { ...block().channel, healthy: false };
    expect(await refusal(block({ channel: () => ill }).invoke(call('own')))).toBe('500 failed to invoke, id: own, err: rpc error: code = Internal desc = app is not in a healthy state');
    const dead = { ...block().channel, send: async () => { throw new HttpFailure('reset', 'EOF'); } };
    expect(await refusal(block({ channel: () => dead }).invoke(call('own', { verb: 'POST', query: 'a' })))).toBe('500 failed to invoke, id: own, err: Post "http://127.0.0.1:80/x?a": EOF');
    expect(await refusal(block().invoke(call('own', { verb: 'CONNECT' })))).toBe('500 failed to invoke, id: own, err: rpc error: code = InvalidArgument desc = invalid HTTP verb');
    expect(await refusal(block().invoke(call('a.b.c')))).toBe('500 failed to invoke, id: a.b.c, err: invalid app id a.b.c');
  });
  it('may pack its answer where only the sidecar asked for that', async () => {
    const packed = new Uint8Array(await new Response(new Blob(['hello']).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer());
    const gzip = { ...block().channel, send: async (): Promise<HttpResponse> => ({ status: 200, headers: ['Content-Encoding', 'gzip', 'X-A', '1'], body: packed }) };
    const response = await block({ channel: () => gzip }).invoke(call('own'));
    expect([response.headers, await new Response(response.body as ReadableStream).text()]).toEqual([['X-A', '1'], 'hello']);
    expect((await block({ channel: () => gzip }).invoke(call('own', { headers: ['Accept-Encoding', 'gzip'] }))).body).toBe(packed);
  });
});

describe('another app', () => {
  afterEach(() => { vi.useRealTimers(); });
  const leg = (...outcomes: (HttpResponse | RemoteFailure)[]) => {
    const calls: object[] = [];
    const way: RemoteLeg = { call: async (address, { headers, sender, calleeId }) => { calls.push({ address, headers, sender, calleeId }); const next = outcomes.shift() ?? answer(); if (next instanceof Error) throw next; return next; } };
    return { calls, way };
  };
  it('is told who calls, and no lie about it', async () => {
    const { calls, way } = leg();
    const response = await block({ leg: way, namespace: 'shop' }).invoke(call('beta', { headers: ['dapr-caller-app-id', 'liar', 'X-Forwarded-For', '203.0.113.9'] }));
    expect(response.remote).toBe(true);
    expect(calls).toEqual([{ address: 'beta:1', headers: ['X-Forwarded-For', '203.0.113.9', ...plain], sender: { appId: 'own', namespace: 'shop', address: '10.0.0.1', hostname: 'box' }, calleeId: 'beta' }]);
  });
  it('is tried again while it is unavailable: three times, a second apart, but never with a stream', async () => {
    vi.useFakeTimers();
    const gone = () => new RemoteFailure('Unavailable', 'gone');
    const failing = leg(gone(), gone(), gone(), gone());
    const result = refusal(block({ leg: failing.way }).invoke(call('beta')));
    await vi.advanceTimersByTimeAsync(3000);
    expect(await result).toBe('500 failed to invoke, id: beta, err: failed to invoke target beta after 3 retries. Error: rpc error: code = Unavailable desc = gone');
    expect(failing.calls.length).toBe(4);

    const recovering = leg(gone());
    const recovered = block({ leg: recovering.way }).invoke(call('beta'));
    await vi.advanceTimersByTimeAsync(1000);
    expect((await recovered).status).toBe(200);

    const streaming = leg(gone());
    expect(await refusal(block({ leg: streaming.way }).invoke(call('beta', { body: new ReadableStream() })))).toBe('500 failed to invoke, id: beta, err: rpc error: code = Unavailable desc = gone');
    expect(streaming.calls.length).toBe(1);
  });
  it('may deny the call', async () => {
    expect(await refusal(block({ leg: leg(new RemoteFailure('PermissionDenied', 'no')).way }).invoke(call('beta')))).toBe('403 failed to invoke, id: beta, err: rpc error: code = PermissionDenied desc = no');
  });
  it('beside a sidecar that speaks only gRPC is refused with a clear error', async () => {
    const result = refusal(block({ leg: createHttpLeg({ send: async () => answer() }) }).invoke(call('beta')));
    expect(await result).toMatch(/code = Unimplemented desc = the sidecar at beta:1 does not speak/);
  });
});

describe('outside services', () => {
  const resource = (name: string, baseUrl: string, headers: HttpEndpointResource['headers'] = []): HttpEndpointResource => ({ name, baseUrl, headers, namespace: '', scopes: [], source: { file: '', document: 1 }, clientTls: {}, secretStore: '' });
  it('are called at their base URL with the headers of the resource; URLs get no token of the app', async () => {
    const sent: HttpRequest[] = [];
    const { invoke, endpoints } = block({}, { send: async (request) => { sent.push(request); return answer(); } });
    await endpoints.load(resource('own', 'https://api.test/base', [{ name: 'X-Fixed', value: 'f' }]));
    await invoke(call('own', { headers: ['x-fixed', 'mine'], query: 'a=1' }));
    await invoke(call('own', { method: '' }));
    await invoke(call('http://127.0.0.1:81'));
    expect(sent.map(({ origin, path, followRedirects, headers }) => ({ origin, path, followRedirects, headers }))).toEqual([
      { origin: 'https://api.test', path: '/base/x?a=1', followRedirects: true, headers: [...plain, 'X-Fixed', 'f'] },
      { origin: 'https://api.test', path: '/base', followRedirects: true, headers: [...plain, 'X-Fixed', 'f'] },
      { origin: 'http://127.0.0.1:81', path: '/x', followRedirects: undefined, headers: plain },
    ]);
    expect(sent[2]?.insecure).toBeUndefined();
  });
});
