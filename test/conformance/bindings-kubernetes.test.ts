// bindings.kubernetes against a server of the test's own with the list and watch of Kubernetes, as its API reference documents them. No cluster is behind it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { openComponent } from './open.ts';

const type = 'bindings.kubernetes';
const event = (name: string, resourceVersion: string, message: string) => ({ metadata: { name, namespace: 'apps', resourceVersion }, involvedObject: { kind: 'Pod' }, message, count: 1 });
const none = { metadata: { creationTimestamp: null }, involvedObject: {}, source: {}, firstTimestamp: null, lastTimestamp: null, eventTime: null, reportingComponent: '', reportingInstance: '' };
const seen = (name: string, resourceVersion: string, message: string) => ({ ...none, ...event(name, resourceVersion, message), metadata: { name, namespace: 'apps', resourceVersion, creationTimestamp: null } });

async function startCluster() {
  const targets: string[] = [];
  const watches = new Set<ServerResponse>();
  let [items, version, refuse]: [unknown[], string, boolean] = [[], '1', false];
  const server = createServer((incoming, outgoing) => {
    const target = incoming.url ?? '';
    targets.push(target);
    const json = (code: number, value: unknown) => outgoing.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (incoming.headers.authorization !== 'Bearer sesame' || refuse) return json(403, { kind: 'Status', message: 'events is forbidden', code: 403 });
    if (!target.includes('watch=true')) return json(200, { kind: 'EventList', metadata: { resourceVersion: version }, items });
    outgoing.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    watches.add(outgoing);
    outgoing.on('close', () => watches.delete(outgoing));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-kubernetes-'));
  const kubeconfigPath = join(folder, 'config');
  writeFileSync(kubeconfigPath, `current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "http://127.0.0.1:${(server.address() as AddressInfo).port}"}}]\nusers: [{name: u, user: {token: sesame}}]\n`);
  return {
    kubeconfigPath,
    targets,
    watching: () => watches.size,
    list: (now: unknown[], at: string) => void ([items, version] = [now, at]),
    refuse: (now: boolean) => void (refuse = now),
    /** A line, in two pieces. */
    send: (kind: string, object: unknown) => {
      const line = `${JSON.stringify({ type: kind, object })}\n`;
      for (const watch of watches) {
        watch.write(line.slice(0, 10));
        setTimeout(() => watch.write(line.slice(10)), 5);
      }
    },
    endWatches: () => { for (const watch of watches) watch.end(); },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      rmSync(folder, { recursive: true });
    },
  };
}

describe(type, () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>;
  let reading: { close(): Promise<void> } | undefined;
  beforeEach(async () => {
    cluster = await startCluster();
  });
  afterEach(async () => {
    await reading?.close();
    reading = undefined;
    await cluster.stop();
  });
  const read = async (metadata: Record<string, string> = {}, fails = false) => {
    const { port } = await openComponent<Binding>(type, { namespace: 'apps', kubeconfigPath: cluster.kubeconfigPath, ...metadata });
    expect([port.invoke, port.operations]).toEqual([undefined, undefined]);
    const events: unknown[] = [];
    reading = await port.read?.(async ({ data, metadata: more }) => {
      events.push(JSON.parse(new TextDecoder().decode(data)));
      expect(more).toEqual({});
      if (fails) throw new Error('the app said no');
      return undefined;
    });
    return events;
  };

  test('what is there, what comes, changes and goes', async () => {
    cluster.list([event('a', '1', 'first <1>')], '7');
    const events = await read({ resyncPeriod: '0' }, true);
    await expect.poll(cluster.watching).toBe(1);
    expect(cluster.targets).toEqual(['/api/v1/namespaces/apps/events', '/api/v1/namespaces/apps/events?allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=300&watch=true']);
    for (const [kind, object] of [['ADDED', { kind: 'Event', apiVersion: 'v1', ...event('b', '8', 'second') }], ['BOOKMARK', { metadata: { resourceVersion: '9' } }], ['MODIFIED', event('a', '10', 'changed')], ['DELETED', event('b', '11', 'second')]] as const) {
      cluster.send(kind, object);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await expect.poll(() => events.length).toBe(4);
    expect(events).toEqual([
      { event: 'add', oldVal: none, newVal: seen('a', '1', 'first <1>') },
      { event: 'add', oldVal: none, newVal: seen('b', '8', 'second') },
      { event: 'update', oldVal: seen('a', '1', 'first <1>'), newVal: seen('a', '10', 'changed') },
      { event: 'delete', oldVal: seen('b', '11', 'second'), newVal: none },
    ]);
  });
  test('a watch that ends goes on where it was; one that is too old begins with the list', async () => {
    cluster.list([event('a', '1', 'x'), event('b', '1', 'x')], '7');
    const events = await read({ resyncPeriod: '0' });
    await expect.poll(cluster.watching).toBe(1);
    cluster.send('MODIFIED', event('a', '12', 'y'));
    await expect.poll(() => events.length).toBe(3);
    cluster.endWatches();
    await expect.poll(() => cluster.targets.at(-1), { timeout: 3000 }).toContain('resourceVersion=12');
    cluster.list([event('a', '13', 'z')], '20');
    cluster.send('ERROR', { kind: 'Status', code: 410, message: 'too old resource version' });
    await expect.poll(() => events.length, { timeout: 3000 }).toBe(5);
    expect(events.slice(3)).toEqual([{ event: 'update', oldVal: seen('a', '12', 'y'), newVal: seen('a', '13', 'z') }, { event: 'delete', oldVal: seen('b', '1', 'x'), newVal: none }]);
  });
  test('every event is told again as often as asked for, and no more after the end', async () => {
    cluster.list([event('a', '1', 'x')], '7');
    const events = await read({ resyncPeriodInSec: '100ms' });
    await expect.poll(() => events.length).toBeGreaterThanOrEqual(3);
    expect(events[2]).toEqual({ event: 'update', oldVal: seen('a', '1', 'x'), newVal: seen('a', '1', 'x') });
    await reading?.close();
    const atEnd = events.length;
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect([events.length, cluster.watching()]).toEqual([atEnd, 0]);
  });
  test('a server that refuses is asked again', async () => {
    cluster.refuse(true);
    cluster.list([event('a', '1', 'x')], '7');
    const events = await read();
    await expect.poll(() => cluster.targets.length).toBe(1);
    cluster.refuse(false);
    await expect.poll(() => events.length, { timeout: 3000 }).toBe(1);
  });
  test('a namespace is needed', async () => {
    await expect(openComponent(type, { kubeconfigPath: cluster.kubeconfigPath })).rejects.toMatchObject({ message: 'failed to parse metadata: namespace is missing in metadata' });
    await expect(openComponent(type, { namespace: 'apps', kubeconfigPath: '/none' })).rejects.toThrow(/^failed to initialize Kubernetes client: /);
  });
});
