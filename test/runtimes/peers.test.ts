// Calls between two sidecars: the way they go depends on the runtimes of both, what the app and the caller see does not.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApp } from '../harness/app.ts';
import { type Runtime, type Sidecar, startSidecar } from '../harness/sidecar.ts';

describe.each<[Runtime, Runtime]>([['bun', 'bun'], ['bun', 'node'], ['node', 'bun']])('a sidecar on %s calls one on %s', (callerOn, calleeOn) => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let caller: Sidecar;
  let callee: Sidecar;
  let cut = false;
  const startCallee = (flags: string[] = []) => startSidecar({ runtime: calleeOn, flags: ['--app-id=callee', `--app-port=${app.port}`, '--dapr-graceful-shutdown-seconds=10', ...flags], waitFor: 'ready' });
  const call = (path: string, init?: RequestInit) => fetch(`${caller.http}/v1.0/invoke/callee/method${path}`, init);
  beforeAll(async () => {
    app = await startApp(async (request) => {
      const { pathname, searchParams } = new URL(request.target, 'http://app');
      if (pathname === '/size') return new Response('x'.repeat(Number(searchParams.get('n'))), { status: 201, headers: { 'x-one': '1', 'content-length': String(searchParams.get('n')) } });
      if (pathname === '/parts') return new Response(new ReadableStream({ async start(controller) { for (const part of 'abcdef') { controller.enqueue(new TextEncoder().encode(part)); await sleep(50); } controller.close(); } }));
      if (pathname === '/echo') return new Response(new Uint8Array(request.body), { headers: { 'x-method': request.method } });
      if (pathname === '/slow') { await sleep(Number(searchParams.get('ms'))); return new Response('slow'); }
      if (pathname === '/cut' && cut) throw new Error('cut');
      return new Response(null, { status: 204 });
    });
    callee = await startCallee();
    const name = { apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'c' }, spec: { nameResolution: { component: 'static', version: 'v1', configuration: { apps: { callee: `127.0.0.1:${callee.ports.internal}` } } } } };
    caller = await startSidecar({ runtime: callerOn, config: JSON.stringify(name), flags: ['--app-id=caller'] });
    await call('/first');
  });
  afterAll(async () => {
    await Promise.allSettled([caller?.stop(), callee?.stop(), app?.stop()]);
  });

  test('bodies of every size, bytes and streams, in both directions', async () => {
    for (const size of [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_000]) {
      const answer = await call(`/size?n=${size}`);
      expect([answer.status, answer.headers.get('x-one'), (await answer.arrayBuffer()).byteLength]).toEqual([201, '1', size]);
      const body = new Uint8Array(size).map((_, i) => i);
      const echoed = await call('/echo', { method: 'PUT', body });
      expect(echoed.headers.get('x-method')).toBe('PUT');
      expect(Buffer.compare(Buffer.from(await echoed.arrayBuffer()), Buffer.from(body)), `${size} bytes`).toBe(0);
    }
    // long enough for somebody to look whether the caller is still there
    expect(await (await call('/parts')).text()).toBe('abcdef');
    expect((await call('/size?n=7', { method: 'HEAD' })).headers.get('content-length')).toBeDefined();
    expect((await call('/nothing')).status).toBe(204);
  });

  test('many calls at once each get their own answer', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, async (_, i) => (await call('/echo', { method: 'POST', body: `call ${i}` })).text()));
    expect(answers).toEqual(Array.from({ length: 200 }, (_, i) => `call ${i}`));
  });

  test('the app is told who calls', async () => {
    await call('/who', { headers: { 'x-mine': 'a\tb' } });
    const request = app.requests.findLast(({ target }) => target === '/who');
    expect(request?.header('dapr-caller-app-id')).toBe('caller');
    expect(request?.header('dapr-callee-app-id')).toBe('callee');
    expect(request?.header('x-mine')).toBe('a\tb');
    expect(request?.header('outrigger-leg')).toBeUndefined();
  });

  test('a caller that leaves ends the call, one that breaks off at the app is told', async () => {
    const gone = new AbortController();
    const left = call('/slow?ms=30000', { signal: gone.signal }).catch((error: Error) => error.name);
    await app.saw(({ target }) => target === '/slow?ms=30000');
    gone.abort();
    expect(await left).toBe('AbortError');
    cut = true;
    const broken = await call('/cut');
    expect([broken.status, ((await broken.json()) as { errorCode: string }).errorCode]).toEqual([500, 'ERR_DIRECT_INVOKE']);
    expect((await call('/after')).status).toBe(204);
  });

  test('a callee that stops answers what it has in hand, and another takes its place', async () => {
    const inHand = Array.from({ length: 20 }, async () => (await call('/slow?ms=700')).text());
    await app.saw(({ target }) => target === '/slow?ms=700', 20);
    const stopped = callee.stop('SIGTERM');
    expect(await Promise.all(inHand)).toEqual(Array.from({ length: 20 }, () => 'slow'));
    const { internal } = callee.ports;
    await stopped;
    callee = await startCallee([`--dapr-internal-grpc-port=${internal}`]);
    expect((await call('/again')).status).toBe(204);
    await callee.stop('SIGKILL');
    callee = await startCallee([`--dapr-internal-grpc-port=${internal}`]);
    expect((await call('/again')).status).toBe(204);
    expect((await call('/again')).status).toBe(204);
  });
});
