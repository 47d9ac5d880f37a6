// Resources that change while the sidecar runs: calls go on without a failure, the app gets what it is to get, and no more.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { component, count, logged, put, startersOfFile } from '../harness/changing.ts';
import { freePort } from '../harness/ports.ts';
import type { Sidecar } from '../harness/sidecar.ts';
import { until } from '../harness/until.ts';

const subscription = (name: string, pubsubname: string, topic: string, route: string) =>
  JSON.stringify({ apiVersion: 'dapr.io/v2alpha1', kind: 'Subscription', metadata: { name }, spec: { pubsubname, topic, routes: { default: route } } });

const { ends, sidecarWith, appWith } = startersOfFile();
const post = (url: string, body: unknown) => fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
const status = async (url: string) => (await fetch(url)).status;

test('a component that changes again and again under load: every call is answered, every write is kept', async () => {
  const store = (busyTimeout: number) => component('db', 'state.sqlite', { connectionString: 'data.db', busyTimeout: `${busyTimeout}ms` });
  const sidecar = await sidecarWith({ resources: { 'db.yaml': store(2000) } });
  const url = `${sidecar.http}/v1.0/state/db`;
  let over = false;
  const bad: string[] = [];
  const written: string[] = [];
  const client = async (id: number) => {
    for (let i = 0; !over; i++) {
      const key = `${id}-${i}`;
      const save = await post(url, [{ key, value: key }]);
      if (save.status === 204) written.push(key);
      else bad.push(`save ${save.status} ${await save.text()}`);
      const read = await fetch(`${url}/${key}`);
      const text = await read.text();
      if (read.status !== 200 || text !== `"${key}"`) bad.push(`read ${read.status} ${text}`);
    }
  };
  const clients = Array.from({ length: 8 }, (_, id) => client(id));
  for (let i = 1; i <= 8; i++) {
    put(sidecar, 'db.yaml', store(2000 + i));
    await logged(sidecar, 'Component updated: db (state.sqlite/v1)', i);
    await sleep(50);
  }
  over = true;
  await Promise.all(clients);
  expect(bad).toEqual([]);
  expect(written.length).toBeGreaterThan(100);
  for (const key of written.slice(-20)) expect(await (await fetch(`${url}/${key}`)).text()).toBe(`"${key}"`);
  expect(sidecar.log()).not.toMatch(/level=(error|warning)/);
});

test('a call that takes its time ends on the old component, those after it go to the new one', async () => {
  const old = await appWith(async () => { await sleep(2500); return new Response('old'); });
  const fresh = await appWith(() => new Response('new'));
  const binding = (port: number) => component('out', 'bindings.http', { url: `http://127.0.0.1:${port}` });
  const sidecar = await sidecarWith({ resources: { 'out.yaml': binding(old.port) } });
  const call = async () => (await post(`${sidecar.http}/v1.0/bindings/out`, { operation: 'get' })).text();
  let slowIsOver = false;
  const slow = call().finally(() => { slowIsOver = true; });
  await old.saw(() => true);
  put(sidecar, 'out.yaml', binding(fresh.port));
  await logged(sidecar, 'Closing existing Component to reload: out');
  expect(await call()).toBe('new');
  expect(slowIsOver).toBe(false);
  expect(await slow).toBe('old');
});

test('an app that publishes while it deals with a message is not in the way of the pub/sub component that changes', async () => {
  const published: number[] = [];
  const app = await appWith(async ({ method, target }) => {
    if (method === 'POST' && target === '/first') {
      await sleep(500);
      published.push((await post(`${sidecar.http}/v1.0/publish/bus/second`, 1)).status);
    }
    return new Response(null, { status: method === 'POST' ? 200 : 404 });
  });
  const sidecar: Sidecar = await sidecarWith({
    resources: { 'bus.yaml': component('bus', 'pubsub.in-memory'), 's.yaml': subscription('s', 'bus', 'first', '/first') },
    flags: [`--app-port=${app.port}`], waitFor: 'ready',
  });
  expect((await post(`${sidecar.http}/v1.0/publish/bus/first`, 1)).status).toBe(204);
  await app.saw(({ target }) => target === '/first');
  const started = Date.now();
  put(sidecar, 'bus.yaml', component('bus', 'pubsub.in-memory', { other: 'x' }));
  await logged(sidecar, 'Component updated: bus');
  expect(Date.now() - started).toBeLessThan(3000);
  expect(published).toEqual([204]);
  // and the subscription is there again
  await until(async () => {
    await post(`${sidecar.http}/v1.0/publish/bus/first`, 2);
    return app.requests.filter(({ target }) => target === '/first').length > 1;
  });
});

test('subscriptions: the second of one topic takes over when the first goes, one in a pub/sub component that comes later starts with it', async () => {
  const app = await appWith(({ method }) => new Response(null, { status: method === 'POST' ? 200 : 404 }));
  const sidecar = await sidecarWith({ resources: { 'b.yaml': subscription('one', 'bus', 't', '/one'), 'c.yaml': subscription('two', 'bus', 't', '/two') }, flags: [`--app-port=${app.port}`], waitFor: 'ready' });
  const posts = (path: string) => app.requests.filter(({ method, target }) => method === 'POST' && target === path).length;
  const publish = () => post(`${sidecar.http}/v1.0/publish/bus/t`, 1);
  expect((await publish()).status).toBe(404);
  expect(app.requests.filter(({ target }) => target === '/dapr/subscribe')).toEqual([]);
  put(sidecar, 'a.yaml', component('bus', 'pubsub.in-memory'));
  await logged(sidecar, 'Component updated: bus');
  await until(async () => (await publish()).status === 204 && posts('/one') > 0);
  expect(app.requests.filter(({ target }) => target === '/dapr/subscribe').length).toBe(1);
  put(sidecar, 'b.yaml', null);
  await until(async () => (await publish()).status === 204 && posts('/two') > 0);
  const ones = posts('/one');
  await publish();
  await sleep(100);
  expect(posts('/one')).toBe(ones);
});

test('input bindings come, change and go', async () => {
  const app = await appWith(() => new Response());
  const cron = (route: string) => component('tick', 'bindings.cron', { schedule: '@every 100ms', route });
  const sidecar = await sidecarWith({ flags: [`--app-port=${app.port}`], waitFor: 'ready' });
  const posts = (path: string) => app.requests.filter(({ method, target }) => method === 'POST' && target === path).length;
  put(sidecar, 't.yaml', cron('/first'));
  await until(async () => posts('/first') > 1);
  expect(app.requests.filter(({ method }) => method === 'OPTIONS').length).toBe(1);
  put(sidecar, 'x.yaml', component('other', 'bindings.http', { url: 'http://127.0.0.1:1' }));
  await logged(sidecar, 'Component updated: other');
  expect(app.requests.filter(({ method }) => method === 'OPTIONS').length).toBe(1); // not asked again
  put(sidecar, 't.yaml', cron('/second'));
  await until(async () => posts('/second') > 1);
  const firsts = posts('/first');
  put(sidecar, 't.yaml', null);
  await until(async () => !(await (await fetch(`${sidecar.http}/v1.0/metadata`)).text()).includes('tick'));
  const seconds = posts('/second');
  await sleep(400);
  expect([posts('/first'), posts('/second')]).toEqual([firsts, seconds]);
});

test('a component waits for its secret store however often the folder changes, and starts once with it; without it, it waits again', async () => {
  const sidecar = await sidecarWith({});
  writeFileSync(join(sidecar.home, 's.json'), JSON.stringify({ db: join(sidecar.home, 'x.db') }));
  const needs = component('needs', 'state.sqlite', {}, { metadata: [{ name: 'connectionString', secretKeyRef: { name: 'db' } }] }, { auth: { secretStore: 'file' } });
  const store = component('file', 'secretstores.local.file', { secretsFile: join(sidecar.home, 's.json') });
  const url = `${sidecar.http}/v1.0/state/needs/k`;
  put(sidecar, 'a.yaml', needs);
  await logged(sidecar, "references a secret store that isn't loaded: file");
  put(sidecar, 'b.yaml', component('b', 'state.in-memory'));
  await logged(sidecar, 'Component updated: b');
  expect(await status(url)).toBe(400);
  put(sidecar, 'z.yaml', store);
  await until(async () => (await status(url)) === 204);
  expect(count(sidecar, 'Component loaded: needs')).toBe(1);
  put(sidecar, 'z.yaml', null);
  await until(async () => (await status(url)) === 400);
  put(sidecar, 'z.yaml', store);
  await until(async () => (await status(url)) === 204);
});

test('a secret that changes is noticed by the full look, as is what no event tells; the interval is a flag', async () => {
  const target = await appWith(({ target }) => new Response(target));
  const sidecar = await sidecarWith({ resources: { 'a.yaml': component('file', 'secretstores.local.file', { secretsFile: 's.json' }) }, flags: ['--hot-reload-reconcile-interval=500ms'], waitFor: 'none' });
  mkdirSync(join(sidecar.home, 'elsewhere'));
  const file = join(sidecar.home, 'elsewhere/out.yaml');
  writeFileSync(file, component('out', 'bindings.http', { url: `http://127.0.0.1:${target.port}/one` }));
  writeFileSync(join(sidecar.home, 's.json'), '{}');
  symlinkSync(file, join(sidecar.home, 'resources/out.yaml'));
  const call = async () => (await post(`${sidecar.http}/v1.0/bindings/out`, { operation: 'get' }).catch(() => undefined))?.text();
  await until(async () => (await call()) === '/one');
  writeFileSync(file, component('out', 'bindings.http', { url: `http://127.0.0.1:${target.port}/two` }));
  await until(async () => (await call()) === '/two');
});

test('a component that does not open ends the sidecar with 1, under ignoreErrors it is missing until its file is better', async () => {
  const broken = component('a', 'state.sqlite', {}, { ignoreErrors: true });
  const sidecar = await sidecarWith({ resources: { 'a.yaml': component('a', 'state.in-memory') } });
  put(sidecar, 'a.yaml', broken);
  await logged(sidecar, 'Ignoring error processing component: process component a error: ');
  expect(await status(`${sidecar.http}/v1.0/state/a/k`)).toBe(500);
  put(sidecar, 'a.yaml', component('a', 'state.in-memory'));
  await logged(sidecar, 'Component updated: a');
  expect(await status(`${sidecar.http}/v1.0/state/a/k`)).toBe(204);
  expect(count(sidecar, 'Ignoring error')).toBe(1);
  put(sidecar, 'a.yaml', component('a', 'state.sqlite'));
  expect(await sidecar.exited).toEqual({ code: 1, signal: null });
  expect(sidecar.log()).toMatch(/level=fatal msg="Fatal error from runtime: process component a error: /);
});

test.each([
  ['a name that is there twice', (sidecar: Sidecar) => put(sidecar, 'b.yaml', component('a', 'state.redis')), 'failed to load resources from disk: duplicate definition of Component name a (state.redis/v1) with existing a (state.in-memory/v1)'],
  ['a folder that is gone', ({ home }: Sidecar) => rmSync(join(home, 'resources'), { recursive: true }), 'failed to read resource directories: '],
])('%s ends the sidecar with 1', async (_, change, text) => {
  const sidecar = await sidecarWith({ resources: { 'a.yaml': component('a', 'state.in-memory') } });
  change(sidecar);
  expect(await sidecar.exited).toEqual({ code: 1, signal: null });
  expect(sidecar.log()).toContain(`Fatal error from runtime: ${text}`);
});

test('a folder that is replaced by another of its name is watched on', async () => {
  // Deno tells nothing of the new folder: there the full look has to find it
  const flags = process.env.OUTRIGGER_RUNTIME === 'deno' ? ['--hot-reload-reconcile-interval=1s'] : [];
  const sidecar = await sidecarWith({ resources: { 'a.yaml': component('a', 'state.in-memory') }, flags });
  const folder = join(sidecar.home, 'resources');
  for (const name of ['b', 'c']) {
    mkdirSync(`${folder}.next`);
    writeFileSync(join(`${folder}.next`, 'x.yaml'), component(name, 'state.in-memory'));
    renameSync(folder, join(sidecar.home, `before-${name}`));
    renameSync(`${folder}.next`, folder);
    await until(async () => (await status(`${sidecar.http}/v1.0/state/${name}/k`)) === 204);
  }
  put(sidecar, 'y.yaml', component('d', 'state.in-memory'));
  await until(async () => (await status(`${sidecar.http}/v1.0/state/d/k`)) === 204);
});

test('a stop while a component is being replaced is a clean end', async () => {
  const sidecar = await sidecarWith({ resources: { 'a.yaml': component('a', 'state.in-memory') } });
  const mute = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((done) => mute.listen(port, '127.0.0.1', done));
  ends.push(async () => mute.close());
  put(sidecar, 'a.yaml', component('a', 'state.redis', { redisHost: `127.0.0.1:${port}` }, { initTimeout: '60s' }));
  await logged(sidecar, 'Adding Component for processing: a');
  const waiting = fetch(`${sidecar.http}/v1.0/state/a/k`).then((answer) => answer.status, () => 0);
  await sleep(300);
  sidecar.child.kill('SIGTERM');
  const exit = await sidecar.exited;
  expect([exit.code, await waiting]).toEqual([0, 500]);
});
