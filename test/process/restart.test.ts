// Restarts inside the process (SIGHUP, resources that only a restart can apply): nothing that is sent to the sidecar is refused, cut or lost.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { component, count, logged, put, startersOfFile } from '../harness/changing.ts';
import { freePort } from '../harness/ports.ts';
import type { Runtime, Sidecar } from '../harness/sidecar.ts';

const configuration = (spec: Record<string, unknown>) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'c' }, spec });
const resiliency = (timeout: string) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'r' }, spec: { policies: { timeouts: { t: timeout } }, targets: { apps: { nobody: { timeout: 't' } } } } });

const { ends, sidecarWith, appWith } = startersOfFile();
/** A folder of its own for what two sidecars share. */
const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-restart-'));
  ends.push(async () => rmSync(path, { recursive: true, force: true }));
  return path;
};
const ready = 'dapr initialized. Status: Running';
async function until(look: () => boolean, ms = 5000): Promise<void> {
  for (const end = Date.now() + ms; !look() && Date.now() < end; ) await sleep(10);
}
/** Restarts it and waits until the new run is ready. */
async function hangUp(sidecar: Sidecar): Promise<void> {
  const before = count(sidecar, ready);
  sidecar.child.kill('SIGHUP');
  await logged(sidecar, ready, before + 1);
}

/** One connection that is kept, and opened again only where the other side closes it. Unlike fetch it never repeats a request. */
function client(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  ends.push(async () => agent.destroy());
  return {
    /** How many connections it took. */
    connections: () => sockets.size,
    /** Rejects where the connection was refused or cut. */
    call: (method: string, path: string, body?: string) => new Promise<{ status: number; text: string }>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, method, path, agent, headers: body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }));
      });
      sent.on('socket', (socket) => sockets.add(socket));
      sent.on('error', reject);
      sent.end(body);
    }),
  };
}
type Client = ReturnType<typeof client>;
const said = (error: unknown) => ({ status: 0, text: (error as Error).message });

describe.each<Runtime>(['node', 'bun', 'deno'])('on %s', (runtime) => {
  test('five SIGHUPs and five changes of a Resiliency under load: every call is answered, every connection stays, every write is kept', async () => {
    let over = false;
    const delivered = new Set<unknown>();
    const app = await appWith(async ({ target, json }) => {
      if (target === '/event') {
        delivered.add((json() as { data: unknown }).data);
        return new Response();
      }
      if (target === '/dapr/subscribe') return Response.json([{ pubsubname: 'bus', topic: 't', route: '/event' }]);
      if (target !== '/stream') return new Response(target);
      return new Response(new ReadableStream<Uint8Array>({
        async start(controller) {
          for (let i = 0; !over; i++) {
            controller.enqueue(new TextEncoder().encode(`${i}\n`));
            await sleep(10);
          }
          controller.enqueue(new TextEncoder().encode('end\n'));
          controller.close();
        },
      }));
    });
    const found = configuration({ nameResolution: { component: 'sqlite', version: 'v1', configuration: { connectionString: join(folder(), 'names.db') } } });
    const env = { DAPR_HOST_IP: '127.0.0.1' };
    const sidecar = await sidecarWith({
      runtime, env, config: found, waitFor: 'ready', flags: [`--app-port=${app.port}`, '--dapr-graceful-shutdown-seconds=5'],
      resources: { 'db.yaml': component('db', 'state.sqlite', { connectionString: 'data.db' }), 'bus.yaml': component('bus', 'pubsub.sqlite', { connectionString: 'bus.db' }), 'r.yaml': resiliency('1s') },
    });
    const other = await sidecarWith({ runtime, env, config: found, flags: ['--app-id=other'] });

    const bad: string[] = [];
    const written: string[] = [];
    const published: string[] = [];
    const expecting = async (one: Client, wanted: string, ...args: Parameters<Client['call']>) => {
      const { status, text } = await one.call(...args).catch(said);
      const good = `${status} ${text}` === wanted;
      if (!good) bad.push(`${args.join(' ')}: ${status} ${text}`);
      return good;
    };
    const clients: Client[] = [];
    const users = Array.from({ length: 6 }, async (_, id) => {
      const own = client(sidecar.ports.http);
      const remote = client(other.ports.http);
      clients.push(own, remote);
      for (let i = 0; !over; i++) {
        const key = `${id}-${i}`;
        if (await expecting(own, '204 ', 'POST', '/v1.0/state/db', JSON.stringify([{ key, value: key }]))) written.push(key);
        await expecting(own, `200 "${key}"`, 'GET', `/v1.0/state/db/${key}`);
        if (await expecting(own, '204 ', 'POST', '/v1.0/publish/bus/t', `"${key}"`)) published.push(key);
        await expecting(own, `200 /own/${i}`, 'GET', `/v1.0/invoke/test/method/own/${i}`);
        await expecting(remote, `200 /remote/${i}`, 'GET', `/v1.0/invoke/test/method/remote/${i}`);
      }
    });
    const watching = async () => {
      const [api, metrics] = [client(sidecar.ports.http), client(sidecar.ports.metrics)];
      clients.push(api, metrics);
      for (; !over; await sleep(5)) {
        const answers = [await metrics.call('GET', '/').catch(said), await api.call('GET', '/v1.0/metadata').catch(said), await api.call('GET', '/v1.0/healthz').catch(said)].map(({ status }) => status);
        // health says truthfully that it is not ready
        if (`${answers}` !== '200,200,204' && `${answers}` !== '200,200,500') bad.push(`metrics, metadata, health: ${answers}`);
      }
    };
    users.push(watching());
    const streams = [sidecar, other].map(({ ports }) => client(ports.http).call('GET', '/v1.0/invoke/test/method/stream').catch(said));

    await app.saw(({ target }) => target === '/remote/5', 6);
    for (let i = 1; i <= 5; i++) {
      await hangUp(sidecar);
      await sleep(30);
      if (i % 2 === 1) await hangUp(other);
      put(sidecar, 'r.yaml', resiliency(`${i + 1}s`));
      await logged(sidecar, ready, 2 * i + 1);
      await sleep(30);
    }
    over = true;
    await Promise.all(users);

    expect(bad).toEqual([]);
    expect(clients.map((one) => one.connections())).toEqual(clients.map(() => 1));
    for (const { status, text } of await Promise.all(streams)) {
      const lines = text.trimEnd().split('\n');
      expect([status, lines.at(-1), lines.slice(0, -1)]).toEqual([200, 'end', lines.slice(0, -1).map((_, i) => String(i))]);
      expect(lines.length).toBeGreaterThan(20);
    }
    expect(written.length).toBeGreaterThan(100);
    const { text } = await client(sidecar.ports.http).call('POST', '/v1.0/state/db/bulk', JSON.stringify({ keys: written, parallelism: 10 }));
    const kept = new Map((JSON.parse(text) as { key: string; data?: string }[]).map(({ key, data }) => [key, data]));
    expect(written.filter((key) => kept.get(key) !== key)).toEqual([]);
    await until(() => published.every((key) => delivered.has(key)));
    expect(published.filter((key) => !delivered.has(key))).toEqual([]);
    for (const { log } of [sidecar, other]) expect(log()).not.toMatch(/level=(error|warning|fatal)/);
  });
});

/** A server that takes connections and never says a word: a component that opens slowly, and is then left out. */
async function slowly(timeout: string): Promise<string> {
  const mute = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((done) => mute.listen(port, '127.0.0.1', done));
  ends.push(async () => mute.close());
  return component('slow', 'state.redis', { redisHost: `127.0.0.1:${port}` }, { initTimeout: timeout, ignoreErrors: true });
}
const memory = component('mem', 'state.in-memory');
const saving = '[{"key":"a","value":1}]';

describe('a restart', () => {
  test('does not begin before the components of the one before it are open: calls that wait for them get them; several requests are one', async () => {
    const sidecar = await sidecarWith({ resources: { '0.yaml': await slowly('400ms'), '1.yaml': memory }, waitFor: 'ready' });
    const one = client(sidecar.ports.http);
    sidecar.child.kill('SIGHUP');
    await logged(sidecar, 'Dapr runtime stopped');
    const waiting = one.call('POST', '/v1.0/state/mem', saving);
    for (let i = 0; i < 3; i++) {
      sidecar.child.kill('SIGHUP');
      await sleep(20);
    }
    expect(count(sidecar, ready)).toBe(1);
    expect((await waiting).status).toBe(204);
    expect((await one.call('POST', '/v1.0/state/mem', saving)).status).toBe(204);
    await logged(sidecar, ready, 3);
    await sleep(600);
    expect([count(sidecar, ready), one.connections()]).toEqual([3, 1]);
  });

  test('does not wait for an invocation longer than a second: it goes on beside the new run and keeps its place at the app', async () => {
    let inHand = 0;
    let most = 0;
    const app = await appWith(async ({ target }) => {
      most = Math.max(most, ++inHand);
      await sleep(target === '/long' ? 2500 : 50);
      inHand--;
      return new Response(target);
    });
    const sidecar = await sidecarWith({ flags: [`--app-port=${app.port}`, '--app-max-concurrency=2', '--dapr-graceful-shutdown-seconds=5'], waitFor: 'ready' });
    const call = (path: string) => client(sidecar.ports.http).call('GET', `/v1.0/invoke/test/method${path}`);
    const long = call('/long');
    let isOver = false;
    void long.finally(() => { isOver = true; });
    await app.saw(({ target }) => target === '/long');
    most = 0;
    const started = Date.now();
    sidecar.child.kill('SIGHUP');
    await logged(sidecar, 'Dapr is shutting down');
    expect((await Promise.all([1, 2, 3, 4].map((i) => call(`/${i}`)))).map(({ text }) => text)).toEqual(['/1', '/2', '/3', '/4']);
    expect(Date.now() - started).toBeLessThan(2200);
    expect([isOver, most]).toEqual([false, 2]);
    expect((await long).text).toBe('/long');
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });

  test('waits for a call that uses a component, and not for ever', async () => {
    const target = await appWith(async ({ target: path }) => { await sleep(path === '/short' ? 1500 : 6000); return new Response('late'); });
    const binding = (name: string) => component(name, 'bindings.http', { url: `http://127.0.0.1:${target.port}/${name}` });
    const sidecar = await sidecarWith({ resources: { 'a.yaml': binding('short'), 'b.yaml': binding('long') }, flags: ['--dapr-graceful-shutdown-seconds=2'] });
    const stopsAfter = async (name: string) => {
      const called = client(sidecar.ports.http).call('POST', `/v1.0/bindings/${name}`, '{"operation":"get"}').catch(said);
      await target.saw(({ target: path }) => path === `/${name}`);
      const started = Date.now();
      sidecar.child.kill('SIGHUP');
      await logged(sidecar, 'Dapr runtime stopped', count(sidecar, 'Dapr runtime stopped') + 1);
      return { called, ms: Date.now() - started };
    };
    const short = await stopsAfter('short');
    expect(short.ms).toBeGreaterThan(1300);
    expect(await short.called).toEqual({ status: 200, text: 'late' });
    expect(sidecar.log()).not.toContain('graceful shutdown time');
    await logged(sidecar, ready, 2);
    const long = await stopsAfter('long');
    expect(long.ms).toBeGreaterThan(1800);
    expect(long.ms).toBeLessThan(3500);
    expect(sidecar.log()).toContain('Restarting although the graceful shutdown time is over for calls or messages in hand');
    await logged(sidecar, ready, 3);
  });

  test('waits no longer than the graceful shutdown time for a message at the app, and the calls of that moment are answered all the same', async () => {
    let answer = () => {};
    const app = await appWith(async ({ target }) => {
      if (target === '/dapr/subscribe') return Response.json([{ pubsubname: 'bus', topic: 't', route: '/event' }]);
      if (target === '/out') await sleep(700);
      return target === '/event' ? new Promise((resolve) => { answer = () => resolve(new Response()); }) : new Response(target);
    });
    const resources = { 'bus.yaml': component('bus', 'pubsub.in-memory'), 'out.yaml': component('out', 'bindings.http', { url: `http://127.0.0.1:${app.port}/out` }), 'db.yaml': component('db', 'state.sqlite', { connectionString: 'data.db' }) };
    const sidecar = await sidecarWith({ resources, flags: [`--app-port=${app.port}`], waitFor: 'ready' });
    await client(sidecar.ports.http).call('POST', '/v1.0/publish/bus/t', '1');
    await app.saw(({ target }) => target === '/event');
    let over = false;
    const statuses = new Set<number>();
    const users = Array.from({ length: 8 }, async () => {
      const one = client(sidecar.ports.http);
      while (!over) statuses.add((await one.call('POST', '/v1.0/state/db', saving).catch(said)).status);
    });
    sidecar.child.kill('SIGHUP');
    await logged(sidecar, 'Dapr is shutting down');
    await sleep(700);
    const started = Date.now();
    const slow = client(sidecar.ports.http).call('POST', '/v1.0/bindings/out', '{"operation":"get"}').catch(said);
    await logged(sidecar, 'Dapr runtime stopped');
    expect(Date.now() - started).toBeGreaterThan(600);
    expect(await slow).toEqual({ status: 200, text: '/out' });
    await logged(sidecar, ready, 2);
    over = true;
    await Promise.all(users);
    answer();
    expect([...statuses]).toEqual([204]);
    expect(sidecar.log()).toContain('Restarting although the graceful shutdown time is over for calls or messages in hand');
  });

  test('finds an app that probes found healthy healthy, until they say otherwise', async () => {
    let well = true;
    const app = await appWith(async ({ target }) => {
      if (target === '/healthz') await sleep(300);
      return new Response(target, { status: target === '/healthz' && !well ? 500 : 200 });
    });
    const sidecar = await sidecarWith({ flags: [`--app-port=${app.port}`, '--enable-app-health-check', '--app-health-check-path=/healthz', '--app-health-probe-interval=1', '--app-health-threshold=1'], waitFor: 'ready' });
    await logged(sidecar, 'App entered healthy status');
    const one = client(sidecar.ports.http);
    await hangUp(sidecar);
    expect(await one.call('GET', '/v1.0/invoke/test/method/x')).toEqual({ status: 200, text: '/x' });
    well = false;
    await logged(sidecar, 'App entered un-healthy status');
    expect((await one.call('GET', '/v1.0/invoke/test/method/x')).status).toBe(500);
    await hangUp(sidecar);
    expect((await one.call('GET', '/v1.0/invoke/test/method/x')).status).toBe(500);
  });

  test('leaves its entry in the name resolver as it is, and moves it where the Configuration names another', async () => {
    const names = folder();
    const found = (file: string) => configuration({ nameResolution: { component: 'sqlite', version: 'v1', configuration: { connectionString: join(names, file) } } });
    const entries = (file: string) => {
      const database = new DatabaseSync(join(names, file), { readOnly: true });
      try {
        return database.prepare('SELECT registration_id AS id FROM hosts').all().map(({ id }) => id);
      } finally {
        database.close();
      }
    };
    const sidecar = await sidecarWith({ config: found('a.db'), waitFor: 'ready' });
    const before = entries('a.db');
    expect(before.length).toBe(1);
    await hangUp(sidecar);
    expect(entries('a.db')).toEqual(before);
    writeFileSync(join(sidecar.home, 'config.yaml'), found('b.db'));
    await hangUp(sidecar);
    expect([entries('a.db').length, entries('b.db').length]).toEqual([0, 1]);
    await hangUp(sidecar);
    sidecar.child.kill('SIGTERM');
    await sidecar.exited;
    expect(entries('b.db')).toEqual([]);
  });

  test('lets nobody past the handlers of a pipeline', async () => {
    const app = await appWith(({ target }) => new Response(target));
    const handlers = { handlers: [{ name: 'only', type: 'middleware.http.routerchecker' }] };
    const only = component('only', 'middleware.http.routerchecker', { rule: '^[A-Za-z0-9/._-]*/allowed$' });
    const port = await freePort();
    const found = configuration({ nameResolution: { component: 'static', version: 'v1', configuration: { apps: { test: `127.0.0.1:${port}` } } } });
    const other = await sidecarWith({ config: found, flags: ['--app-id=other'] });
    const sidecar = await sidecarWith({ config: configuration({ appHttpPipeline: handlers }), resources: { '0.yaml': await slowly('300ms'), '1.yaml': only }, flags: [`--app-port=${app.port}`, `--dapr-internal-grpc-port=${port}`], waitFor: 'none' });
    await logged(sidecar, 'Internal server (calls from other sidecars) is running');
    let over = false;
    const statuses = new Map<string, number>();
    const users = [sidecar, other].flatMap(({ ports }) => ['/allowed', '/else'].map(async (path) => {
      const one = client(ports.http);
      while (!over) {
        const { status } = await one.call('GET', `/v1.0/invoke/test/method${path}`).catch(said);
        statuses.set(`${path} ${status}`, (statuses.get(`${path} ${status}`) ?? 0) + 1);
      }
    }));
    await logged(sidecar, ready);
    for (let i = 0; i < 3; i++) await hangUp(sidecar);
    over = true;
    await Promise.all(users);
    expect([...statuses.keys()].sort()).toEqual(['/allowed 200', '/else 400']);
    expect(app.requests.filter(({ target }) => target === '/else')).toEqual([]);
  });

  test('that a stop overtakes ends cleanly: while it waits for calls these are answered, while components load they are told', async () => {
    let answer = () => {};
    const target = await appWith(() => new Promise((resolve) => { answer = () => resolve(new Response('late')); }));
    const out = component('out', 'bindings.http', { url: `http://127.0.0.1:${target.port}` });
    const flags = ['--dapr-graceful-shutdown-seconds=5'];
    const first = await sidecarWith({ resources: { 'out.yaml': out, 'mem.yaml': memory }, flags });
    const slow = client(first.ports.http).call('POST', '/v1.0/bindings/out', '{"operation":"get"}');
    await target.saw(() => true);
    first.child.kill('SIGHUP');
    await logged(first, 'Dapr is shutting down');
    await sleep(50);
    const held = client(first.ports.http).call('POST', '/v1.0/state/mem', saving);
    await sleep(300); // a request that a stop finds unread is cut
    first.child.kill('SIGTERM');
    await logged(first, 'beginning shutdown');
    answer();
    expect(await slow).toEqual({ status: 200, text: 'late' });
    expect((await held).status).toBe(204);
    expect(await first.exited).toEqual({ code: 0, signal: null });

    const second = await sidecarWith({ resources: { 'mem.yaml': memory }, config: configuration({ features: [{ name: 'HotReload', enabled: false }] }), flags });
    put(second, '0.yaml', await slowly('60s'));
    second.child.kill('SIGHUP');
    await logged(second, 'Dapr runtime stopped');
    const waiting = client(second.ports.http).call('POST', '/v1.0/state/mem', saving);
    await sleep(300);
    second.child.kill('SIGTERM');
    expect((await waiting).status).toBe(500);
    expect(await second.exited).toEqual({ code: 0, signal: null });
  });

  test('with a Configuration that cannot be read ends it with 1 as in daprd, when the calls in hand are answered', async () => {
    const app = await appWith(async () => { await sleep(600); return new Response('late'); });
    const sidecar = await sidecarWith({ config: 'spec: {}\n', flags: [`--app-port=${app.port}`, '--dapr-graceful-shutdown-seconds=5'] });
    const slow = client(sidecar.ports.http).call('GET', '/v1.0/invoke/test/method/x');
    await app.saw(({ target }) => target === '/x');
    writeFileSync(join(sidecar.home, 'config.yaml'), 'spec: [');
    sidecar.child.kill('SIGHUP');
    expect(await slow).toEqual({ status: 200, text: 'late' });
    expect(await sidecar.exited).toEqual({ code: 1, signal: null });
    expect(sidecar.log().trim().split('\n').at(-1)).toContain('level=fatal msg="Fatal error from runtime: error loading configuration');
  });
});
