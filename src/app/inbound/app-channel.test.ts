import { describe, expect, it } from 'vitest';
import { type CallContext, background } from '../../core/context.ts';
import type { Host, HttpRequest, HttpResponse } from '../../core/host.ts';
import type { Settings } from '../settings.ts';
import { createAppChannel } from './app-channel.ts';

function channel(app: Partial<Settings['app']>, respond: (request: HttpRequest) => Promise<HttpResponse>, appToken = '') {
  const settings = { appToken, app: { port: 8080, protocol: 'http', address: '127.0.0.1', maxConcurrency: 0, ...app } } as Settings;
  return createAppChannel(settings, { http: { send: respond } } as Partial<Host> as Host);
}
const request = { method: 'GET', path: '/x', headers: [] as string[], body: null };
const ok = async (): Promise<HttpResponse> => ({ status: 200, headers: [], body: null });

describe('app channel', () => {
  it('is absent without an app port', () => expect(channel({ port: 0 }, ok)).toBeUndefined());
  it.each([
    [{ protocol: 'http' }, 'http://127.0.0.1:8080', {}],
    [{ protocol: 'https' }, 'https://127.0.0.1:8080', { insecure: true }],
    [{ protocol: 'h2c', address: '::1' }, 'http://[::1]:8080', { h2c: true }],
  ] as const)('calls %o', async (app, origin, more) => {
    let seen: HttpRequest | undefined;
    await channel(app, async (sent) => { seen = sent; return ok(); })?.send(request, background);
    expect(seen).toMatchObject({ origin, path: '/x', ...more });
  });
  it('shows the app its token in place of any other, and the trace where the request has none', async () => {
    const seen: string[][] = [];
    const to = channel({}, async ({ headers }) => { seen.push(headers); return ok(); }, 'secret');
    const context: CallContext = { traceparent: 'tp', tracestate: 'ts', baggage: 'a=1' };
    await to?.send({ ...request, headers: ['dapr-api-token', 'mine', 'X-A', '1'] }, context);
    await to?.send({ ...request, headers: ['traceparent', 'own', 'Baggage', 'b=2'] }, context);
    expect(seen).toEqual([
      ['X-A', '1', 'Traceparent', 'tp', 'Tracestate', 'ts', 'Baggage', 'a=1', 'Dapr-Api-Token', 'secret'],
      ['traceparent', 'own', 'Baggage', 'b=2', 'Dapr-Api-Token', 'secret'],
    ]);
  });
  it('says that it cannot call gRPC apps yet', async () => {
    await expect(channel({ protocol: 'grpc' }, ok)?.send(request, background)).rejects.toThrow('speaks gRPC');
  });
});

describe('max concurrency', () => {
  it('holds a turn until a streamed answer has been read', async () => {
    let started = 0;
    const body = () => new ReadableStream<Uint8Array>({ start: (controller) => { controller.enqueue(new Uint8Array(1)); controller.close(); } });
    const to = channel({ maxConcurrency: 1 }, async () => { started++; return { status: 200, headers: [], body: body() }; })!;
    const first = await to.send(request, background);
    const second = to.send(request, background);
    await new Promise((done) => setTimeout(done, 5));
    expect(started).toBe(1);
    await new Response(first.body as ReadableStream).arrayBuffer();
    await (await second).body;
    expect(started).toBe(2);
  });
  it('gives the turn back when the app gives no answer, and lets waiting callers go', async () => {
    const to = channel({ maxConcurrency: 1 }, async () => { throw new Error('refused'); })!;
    await expect(to.send(request, background)).rejects.toThrow('refused');
    await expect(to.send(request, background)).rejects.toThrow('refused');

    const busy = channel({ maxConcurrency: 1 }, () => new Promise(() => undefined))!;
    void busy.send(request, background);
    const leaving = new AbortController();
    const waiting = busy.send(request, { ...background, signal: leaving.signal });
    leaving.abort();
    await expect(waiting).rejects.toThrow('context canceled');
  });
});
