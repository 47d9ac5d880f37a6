// The Task API of examples/task-api, run as its README says, on each of its three stores.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { freePort } from '../harness/ports.ts';
import { type Started, start } from '../harness/process.ts';
import { type PostgresServer, type RedisServer, startPostgres, startRedis } from '../harness/servers.ts';

const root = resolve(import.meta.dirname, '../..');

describeWithServer(['redis', 'postgres'], 'examples/task-api', () => {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-example-'));
  let redis: RedisServer;
  let postgres: PostgresServer;
  const running = new Set<Started>();

  /** One app with its sidecar, through `outrigger run`; resolves once the app answers through it. */
  async function run(appId: string, program: string, resources: string[]) {
    const [appPort, httpPort] = [await freePort(), await freePort()];
    const process = start(
      [join(root, 'bin/daprd'), 'run', '--app-id', appId, '--app-port', String(appPort), '--dapr-http-port', String(httpPort), '--config', 'config.yaml', ...resources.flatMap((r) => ['--resources-path', r]), '--', 'node', program],
      { cwd: home },
    );
    running.add(process);
    for (const end = Date.now() + 20_000; ; await sleep(50)) {
      const ready = await fetch(`http://127.0.0.1:${httpPort}/v1.0/healthz`).then((r) => r.status === 204, () => false);
      if (ready) break;
      if (process.over() || Date.now() > end) throw new Error(`${appId} did not get ready:\n${process.log()}`);
    }
    return {
      app: `http://127.0.0.1:${appPort}`,
      log: process.log,
      stop: async () => {
        running.delete(process);
        return process.stop('SIGTERM');
      },
    };
  }

  beforeAll(async () => {
    [redis, postgres] = [await startRedis(), await startPostgres()];
    cpSync(join(root, 'examples/task-api'), home, { recursive: true });
    // The servers of the test listen elsewhere; nothing else of the example changes.
    for (const file of ['stores/redis/statestore.yaml', 'stores/postgresql/statestore.yaml']) {
      const text = readFileSync(join(home, file), 'utf8').replace('localhost:6379', `127.0.0.1:${redis.port}`).replace('localhost:5432', `127.0.0.1:${postgres.port}`);
      writeFileSync(join(home, file), text);
    }
    // A table of names instead of multicast, which a build machine may not have.
    writeFileSync(join(home, 'config.yaml'), JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'test' }, spec: { nameResolution: { component: 'sqlite', configuration: { connectionString: join(home, 'names.sqlite') } } } }));
  });
  afterAll(async () => {
    await Promise.all([...running].map((p) => p.stop('SIGTERM')));
    await Promise.all([redis?.stop(), postgres?.stop()]);
    rmSync(home, { recursive: true, force: true });
  });

  it('saves, publishes, reads a secret and calls the second app; the store is a matter of YAML', async () => {
    const notifications = await run('notifications', 'notifications.mjs', ['resources']);
    const titles: string[] = [];
    for (const store of ['sqlite', 'redis', 'postgresql']) {
      const resources = ['resources', `stores/${store}`];
      const title = `a task in ${store}`;
      titles.push(title);
      const first = await run('task-api', 'task-api.mjs', resources);
      const created = await fetch(`${first.app}/tasks`, { method: 'POST', body: JSON.stringify({ title }) });
      const task = (await created.json()) as { id: string };
      expect(task, first.log()).toMatchObject({ title, done: false, notified: { sent: true, task: task.id, from: 'tasks@example.com' } });
      expect(created.status).toBe(201);
      await first.stop();
      // Another process of the same app reads what the first one wrote.
      const second = await run('task-api', 'task-api.mjs', resources);
      expect(await (await fetch(`${second.app}/tasks/${task.id}`)).json()).toEqual({ id: task.id, title, done: false });
      expect((await fetch(`${second.app}/tasks/none`)).status).toBe(404);
      await second.stop();
    }
    let events: { type: string; source: string; topic: string; pubsubname: string; specversion: string; data: { title: string } }[] = [];
    for (const end = Date.now() + 10_000; events.length < titles.length && Date.now() < end; await sleep(50)) events = (await (await fetch(`${notifications.app}/events`)).json()) as typeof events;
    expect(events.map((e) => e.data.title)).toEqual(titles);
    expect(events[0]).toMatchObject({ type: 'com.dapr.event.sent', source: 'task-api', topic: 'task-created', pubsubname: 'pubsub', specversion: '1.0' });
    await notifications.stop();
  }, 120_000);
});
