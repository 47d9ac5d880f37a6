// Error rows of service invocation that no recording shows: what a caller is told when a policy, a resolver or the other side says no.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { converse, request } from '../harness/raw-http.ts';
import { freePort } from '../harness/ports.ts';
import { startApp, startSidecar } from '../harness/sidecar.ts';

const document = (kind: string, name: string, spec: object) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind, metadata: { name }, spec });
const failed = (id: string, error: string) => `{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: ${id}, err: ${error}"}`;

describe('a caller is told', () => {
  let app: Awaited<ReturnType<typeof startApp>>;
  let own: Awaited<ReturnType<typeof startSidecar>>;
  let broken: Awaited<ReturnType<typeof startSidecar>>;
  let nobody: number;
  let answer = 500;
  beforeAll(async () => {
    nobody = await freePort();
    app = await startApp(async ({ target }) => {
      if (target === '/slow') await sleep(400);
      return new Response('', { status: target === '/slow' ? 200 : answer });
    });
    [own, broken] = await Promise.all([
      startSidecar({
        flags: ['--app-id=own', `--app-port=${app.port}`], waitFor: 'ready',
        config: document('Configuration', 'c', { nameResolution: { component: 'static', version: 'v1', configuration: { apps: { gone: `127.0.0.1:${nobody}` } } } }),
        resources: {
          'a.yaml': document('HTTPEndpoint', 'flaky', { baseUrl: `http://127.0.0.1:${app.port}` }),
          'b.yaml': document('HTTPEndpoint', 'away', { baseUrl: `http://127.0.0.1:${nobody}` }),
          'c.yaml': document('Resiliency', 'r', {
            policies: { circuitBreakers: { quick: { maxRequests: 1, timeout: '250ms', trip: 'consecutiveFailures >= 1' } }, timeouts: { short: '80ms' } },
            targets: { apps: { flaky: { circuitBreaker: 'quick' }, own: { timeout: 'short' }, gone: {} } },
          }),
        },
      }),
      startSidecar({ flags: ['--app-id=broken'], config: document('Configuration', 'c', { nameResolution: { component: 'nosuch', version: 'v1' } }) }),
    ]);
  });
  afterAll(async () => {
    await Promise.allSettled([own?.stop(), broken?.stop(), app?.stop()]);
  });
  const get = async (sidecar: typeof own, path: string, headers: string[] = [], verb = 'GET') => {
    const heard = (await converse(sidecar.ports.http, request(`${verb} ${path}`, undefined, headers))).answers[0];
    return [heard?.status, heard?.body, heard?.headers['content-type']];
  };
  const json = 'application/json';

  test('that the breaker is open, and that its one trial call is under way', async () => {
    expect((await get(own, '/v1.0/invoke/flaky/method/x'))[0]).toBe(500);
    expect(await get(own, '/v1.0/invoke/flaky/method/x')).toEqual([500, failed('flaky', 'circuit breaker is open'), json]);
    await sleep(300);
    answer = 200;
    const trial = get(own, '/v1.0/invoke/flaky/method/slow');
    await sleep(100);
    expect(await get(own, '/v1.0/invoke/flaky/method/x')).toEqual([500, failed('flaky', 'too many requests'), json]);
    expect((await trial)[0]).toBe(200);
    expect((await get(own, '/v1.0/invoke/flaky/method/x'))[0]).toBe(200);
  });

  test.each<[string, 'own' | 'broken', string, string[], number, string]>([
    ['that the time is over', 'own', '/v1.0/invoke/own/method/slow', [], 500, failed('own', 'context deadline exceeded')],
    ['that an id has too many dots', 'own', '/v1.0/invoke/a.b.c/method/x', [], 500, failed('a.b.c', 'invalid app id a.b.c')],
    ['the same by header', 'own', '/x', ['dapr-app-id: a.b.c'], 500, failed('a.b.c', 'invalid app id a.b.c')],
    ['the same by user and password', 'own', '/x', [`Authorization: Basic ${btoa('DAPR-app-id:a.b.c')}`], 500, failed('a.b.c', 'invalid app id a.b.c')],
    ['that a password of three parts names nobody', 'own', '/x', [`Authorization: Basic ${btoa('dapr-app-id:a:b')}`], 404, '{"errorCode":"ERR_DIRECT_INVOKE","message":"failed getting app id either from the URL path or the header dapr-app-id"}'],
    ['that another scheme names nobody', 'own', '/x', [`Authorization: basic ${btoa('dapr-app-id:own')}`], 404, '{"errorCode":"ERR_DIRECT_INVOKE","message":"failed getting app id either from the URL path or the header dapr-app-id"}'],
    ['that an app is unknown', 'own', '/v1.0/invoke/unknown/method/x', [], 500, failed('unknown', "couldn't find service: unknown")],
    ['that there is no resolver', 'broken', '/v1.0/invoke/some/method/x', [], 500, failed('some', 'name resolver not initialized')],
    ['that there is no resolver, where an address would do', 'broken', '/v1.0/invoke/http://127.0.0.1:1/method/x', [], 500, failed('http://127.0.0.1:1', 'name resolver not initialized')],
    ['that there is no resolver, where it is the app itself', 'broken', '/v1.0/invoke/broken/method/x', [], 500, failed('broken', 'name resolver not initialized')],
  ])('%s', async (_, from, path, headers, status, text) => {
    expect(await get(from === 'own' ? own : broken, path, headers)).toEqual([status, text, json]);
  });

  test('that nobody listens: the address in Go’s words', async () => {
    expect(await get(own, '/v1.0/invoke/away/method/x')).toEqual([500, expect.stringMatching(new RegExp(`dial tcp 127.0.0.1:${nobody}: connect: connection refused`)), json]);
  });

  test('that the other sidecar is away; a policy of one’s own takes the place of the built-in retries', async () => {
    const start = performance.now();
    const [status, text] = await get(own, '/v1.0/invoke/gone/method/x');
    expect([status, text]).toEqual([500, expect.stringContaining('failed to invoke, id: gone, err: ')]);
    expect(text).toContain('code = Unavailable');
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
