// The official JavaScript SDK over HTTP, unmodified: routes, dead letters, bulk, all verbs, locks and bindings; checked against a real daprd when written.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommunicationProtocolEnum, DaprClient, DaprPubSubStatusEnum, DaprServer, HttpMethod, LogLevel } from '@dapr/dapr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';

const component = (name: string, type: string, metadata: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([n, value]) => ({ name: n, value })) } });
const verbs = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE];

const home = mkdtempSync(join(tmpdir(), 'outrigger-sdk-'));
let sidecar: Sidecar;
let client: DaprClient;
let server: DaprServer;
const heard = new Map<string, unknown[]>();
const listener = (name: string, status = DaprPubSubStatusEnum.SUCCESS) => async (data: unknown) => {
  heard.set(name, [...(heard.get(name) ?? []), data]);
  return status;
};
const saw = async (name: string, count = 1): Promise<unknown[]> => {
  for (const end = Date.now() + 5000; (heard.get(name)?.length ?? 0) < count && Date.now() < end; ) await sleep(10);
  return heard.get(name) ?? [];
};

beforeAll(async () => {
  const appPort = await freePort();
  writeFileSync(join(home, 'secrets.json'), JSON.stringify({ one: '1', nested: { two: '2' } }));
  sidecar = await startSidecar({
    flags: ['--app-id=sdk', `--app-port=${appPort}`],
    resources: {
      'state.yaml': component('state', 'state.sqlite', { connectionString: join(home, 'state.db') }),
      'bus.yaml': component('bus', 'pubsub.in-memory'),
      'secrets.yaml': component('secrets', 'secretstores.local.file', { secretsFile: join(home, 'secrets.json') }),
      'lock.yaml': component('lock', 'lock.sqlite', { connectionString: join(home, 'lock.db') }),
      'files.yaml': component('files', 'bindings.localstorage', { rootPath: join(home, 'files') }),
      'tick.yaml': component('tick', 'bindings.cron', { schedule: '@every 1s' }),
    },
  });
  const options = { daprHost: '127.0.0.1', daprPort: String(sidecar.ports.http), communicationProtocol: CommunicationProtocolEnum.HTTP, logger: { level: LogLevel.Error } };
  server = new DaprServer({ serverHost: '127.0.0.1', serverPort: String(appPort), communicationProtocol: CommunicationProtocolEnum.HTTP, clientOptions: options, logger: { level: LogLevel.Error } });
  await server.pubsub.subscribe('bus', 'plain', listener('plain'));
  await server.pubsub.subscribe('bus', 'routed', listener('none'), { default: '/small', rules: [{ match: 'event.type == "big"', path: '/big' }] });
  for (const route of ['big', 'small']) server.pubsub.subscribeToRoute('bus', 'routed', `/${route}`, listener(route));
  await server.pubsub.subscribeWithOptions('bus', 'deadly', { callback: listener('deadly', DaprPubSubStatusEnum.DROP), deadLetterTopic: 'grave' });
  await server.pubsub.subscribe('bus', 'grave', listener('grave'));
  await server.pubsub.subscribeBulk('bus', 'bulk', listener('bulk'), { maxMessagesCount: 10, maxAwaitDurationMs: 50 });
  for (const verb of verbs) await server.invoker.listen('echo', async ({ body, query, headers }) => ({ verb, body, query, mine: (headers as Record<string, string>)['x-mine'] }), { method: verb });
  await server.binding.receive('tick', listener('tick'));
  await server.start();
  while ((await fetch(`${sidecar.http}/v1.0/healthz`)).status !== 204) await sleep(20);
  client = new DaprClient(options);
});
afterAll(async () => {
  await server?.stop();
  await client?.stop();
  await sidecar?.stop();
  rmSync(home, { recursive: true, force: true });
});

describe('the JavaScript SDK over HTTP, all of it', () => {
  it('values of every kind come back as they were saved', async () => {
    const values = ['text', '', 0, 1.5, true, false, { a: { b: [1, null] } }, [1, 'x'], 'ünï\u2028', '{"json":"text"}', '5'];
    const keys = values.map((_, i) => `k${i}`);
    await client.state.save('state', values.map((value, i) => ({ key: `k${i}`, value })));
    expect(await Promise.all(keys.map((key) => client.state.get('state', key)))).toEqual(values);
    const bulk = await client.state.getBulk('state', keys);
    expect(bulk.map(({ data }) => data)).toEqual(values);
    await client.state.save('state', [{ key: 'a key/with?all#é', value: 1 }]);
    expect(await client.state.get('state', encodeURIComponent('a key/with?all#é'))).toBe(1);
  });
  it('events reach the route, the dead letter topic and the list they belong to', async () => {
    for (const data of ['text', { a: 1 }, [1, 2], 'ü']) expect(await client.pubsub.publish('bus', 'plain', data)).toEqual({});
    expect(new Set((await saw('plain', 4)).map((data) => JSON.stringify(data)))).toEqual(new Set(['"text"', '{"a":1}', '[1,2]', '"ü"']));
    await client.pubsub.publish('bus', 'routed', { specversion: '1.0', id: '1', source: 's', type: 'big', data: { n: 1 }, datacontenttype: 'application/json' }, { contentType: 'application/cloudevents+json' });
    await client.pubsub.publish('bus', 'routed', { n: 2 });
    expect([await saw('big'), await saw('small')]).toEqual([[{ n: 1 }], [{ n: 2 }]]);
    await client.pubsub.publish('bus', 'deadly', 'corpse');
    expect([await saw('grave'), await saw('deadly')]).toEqual([['corpse'], ['corpse']]);
    expect(await client.pubsub.publishBulk('bus', 'bulk', ['a', { b: 1 }, { entryID: 'x', event: 'c', contentType: 'text/plain' }])).toEqual({ failedMessages: [] });
    expect(new Set((await saw('bulk', 3)).map((data) => JSON.stringify(data)))).toEqual(new Set(['"a"', '{"b":1}', '"c"']));
  });
  it('invocation: every verb, queries, headers, megabytes, and five hundred at once get their own answers', async () => {
    for (const verb of verbs.slice(1)) expect(await client.invoker.invoke('sdk', 'echo?a=1&b=%C3%BC', verb, { x: verb }, { headers: { 'x-mine': 'yes' } })).toMatchObject({ verb, body: JSON.stringify({ x: verb }), mine: 'yes' });
    expect(await client.invoker.invoke('sdk', 'echo?a=1', HttpMethod.GET)).toMatchObject({ verb: HttpMethod.GET });
    await expect(client.invoker.invoke('sdk', 'none', HttpMethod.GET)).rejects.toThrow(/404/);
    const big = 'x'.repeat(3 << 20);
    expect(await client.invoker.invoke('sdk', 'echo', HttpMethod.POST, { big })).toMatchObject({ body: JSON.stringify({ big }) });
    const all = await Promise.all(Array.from({ length: 500 }, (_, i) => client.invoker.invoke('sdk', 'echo', HttpMethod.POST, { i })));
    expect(all.map((answer) => (answer as { body: string }).body)).toEqual(all.map((_, i) => JSON.stringify({ i })));
  });
  it('locks, bindings, secrets, labels', async () => {
    expect([await client.lock.lock('lock', 'r', 'me', 10), await client.lock.lock('lock', 'r', 'you', 10)]).toEqual([{ success: true }, { success: false }]);
    expect([await client.lock.unlock('lock', 'r', 'you'), await client.lock.unlock('lock', 'r', 'me'), await client.lock.unlock('lock', 'r', 'me')]).toEqual([{ status: 2 }, { status: 0 }, { status: 1 }]);
    expect(await client.binding.send('files', 'create', 'hello', { fileName: 'f.txt' })).toEqual({ fileName: 'f.txt' });
    expect(await client.binding.send('files', 'get', '', { fileName: 'f.txt' })).toBe('hello');
    expect((await saw('tick')).length).toBeGreaterThan(0);
    expect(await client.secret.getBulk('secrets')).toEqual({ one: { one: '1' }, 'nested:two': { 'nested:two': '2' } });
    expect(await client.metadata.set('label', 'b c')).toBe(true);
    expect(await client.metadata.get()).toMatchObject({ extended: { label: 'b c' } });
  });
  it('a shutdown that is asked for ends well', async () => {
    await client.sidecar.shutdown();
    expect((await sidecar.exited).code).toBe(0);
  });
});
