// Input bindings from a running sidecar to an app: who is asked, what arrives, what happens at the end.
import { afterEach, expect, test } from 'vitest';
import type { AppHandler } from '../harness/app.ts';
import { startApp, startSidecar } from '../harness/sidecar.ts';

const cron = (name: string, metadata: Record<string, string>) => `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: ${name}
spec:
  type: bindings.cron
  version: v1
  metadata:
${Object.entries(metadata).map(([field, value]) => `  - name: ${field}\n    value: ${JSON.stringify(value)}\n`).join('')}`;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
async function run(components: Record<string, string>, handler: AppHandler, options: Partial<NonNullable<Parameters<typeof startSidecar>[0]>> = {}) {
  const app = await startApp(handler);
  ends.push(() => app.stop());
  const sidecar = await startSidecar({ ...options, resources: components, flags: [`--app-port=${app.port}`, ...(options.flags ?? [])], waitFor: 'ready' });
  ends.push(() => sidecar.stop());
  return { app, sidecar };
}
const posts = (path: string) => (request: { method: string; target: string }) => request.method === 'POST' && request.target === path;

test('the app is asked, then gets each event by POST at the route', async () => {
  const { app, sidecar } = await run(
    { 'a.yaml': cron('tick', { schedule: '@every 200ms' }), 'b.yaml': cron('tock', { schedule: '@every 200ms', route: '/in/the box?x=1' }), 'c.yaml': cron('quiet', { schedule: '@every 100ms' }) },
    (request) => new Response(null, { status: request.target === '/quiet' ? 404 : request.method === 'OPTIONS' && request.target === '/tick' ? 405 : 200 }),
    { env: { APP_API_TOKEN: 'shown' } },
  );
  const [first] = await app.saw(posts('/tick'), 2);
  await app.saw(posts('/in/the%20box?x=1'), 2);
  expect([first?.text(), first?.header('content-type'), first?.header('dapr-api-token'), first?.header('timezone')]).toEqual(['', 'application/json', 'shown', 'Local']);
  expect(first?.header('readtimeutc')).toMatch(/^\d{4}-\d\d-\d\d .* \+0000 UTC$/);
  const asked = app.requests.filter(({ method }) => method === 'OPTIONS');
  expect(asked.map(({ target }) => target).sort()).toEqual(['/in/the%20box?x=1', '/quiet', '/tick']);
  expect(asked[0]?.header('dapr-api-token')).toBe('shown');
  expect(app.requests.filter(posts('/quiet'))).toEqual([]);
  expect(sidecar.log()).toContain('app has not subscribed to binding quiet.');
});

test('a component that says it is an input is not asked about, one that says it is an output is not read', async () => {
  const { app, sidecar } = await run(
    { 'a.yaml': cron('tick', { schedule: '@every 100ms', direction: 'input' }), 'b.yaml': cron('never', { schedule: '@every 100ms', direction: 'output' }) },
    () => new Response(),
  );
  await app.saw(posts('/tick'), 2);
  expect(app.requests.filter(({ method, target }) => method === 'OPTIONS' || target === '/never')).toEqual([]);
  const { components } = (await (await fetch(`${sidecar.http}/v1.0/metadata`)).json()) as { components: { name: string; capabilities?: string[] }[] };
  expect(components.map(({ name, capabilities }) => [name, capabilities])).toEqual([['tick', ['INPUT_BINDING']], ['never', undefined]]);
});

test('events the app refuses are lost, later ones come', async () => {
  const { app } = await run({ 'a.yaml': cron('tick', { schedule: '@every 100ms', direction: 'input' }) }, () => new Response('no', { status: 500 }));
  await app.saw(posts('/tick'), 3);
});

test('the end waits for the event at the app', async () => {
  let answered = false;
  const { app, sidecar } = await run({ 'a.yaml': cron('tick', { schedule: '@every 300ms', direction: 'input' }) }, async (request) => {
    if (request.method !== 'POST') return new Response();
    await new Promise((resolve) => setTimeout(resolve, 700));
    answered = true;
    return new Response();
  }, { flags: ['--dapr-graceful-shutdown-seconds=5'] });
  await app.saw(posts('/tick'), 1);
  const { code } = await sidecar.stop('SIGTERM');
  expect([code, answered]).toEqual([0, true]);
  const seen = app.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(app.requests).toHaveLength(seen);
});

test('while health checks say the app is unhealthy nothing is delivered', async () => {
  let healthy = true;
  const { app } = await run({ 'a.yaml': cron('tick', { schedule: '@every 100ms', direction: 'input' }) }, (request) => new Response(null, { status: request.target === '/healthz' && !healthy ? 500 : 200 }), {
    flags: ['--enable-app-health-check', '--app-health-probe-interval=1', '--app-health-threshold=1'],
  });
  await app.saw(posts('/tick'), 1);
  healthy = false;
  const events = () => app.requests.filter(posts('/tick')).length;
  await expect.poll(async () => {
    const before = events();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return events() - before;
  }, { timeout: 8000 }).toBe(0);
  healthy = true;
  const before = events();
  await expect.poll(() => events() - before, { timeout: 5000 }).toBeGreaterThan(1);
});
