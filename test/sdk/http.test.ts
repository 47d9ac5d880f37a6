// The official JavaScript SDK over HTTP, unmodified, against the built sidecar.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommunicationProtocolEnum, DaprClient, DaprServer, HttpMethod, LogLevel } from '@dapr/dapr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';

const component = (name: string, type: string, metadata: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([n, value]) => ({ name: n, value })) } });

let sidecar: Sidecar;
let client: DaprClient;
let server: DaprServer;
const received: unknown[] = [];

beforeAll(async () => {
  const appPort = await freePort();
  const secrets = join(process.env.TMPDIR ?? '/tmp', `outrigger-sdk-${process.pid}.json`);
  writeFileSync(secrets, JSON.stringify({ one: 'first secret', nested: { two: 'second secret' } }));
  sidecar = await startSidecar({
    flags: ['--app-id=sdk', `--app-port=${appPort}`],
    resources: {
      'state.yaml': component('state', 'state.in-memory'),
      'pubsub.yaml': component('pubsub', 'pubsub.in-memory'),
      'secrets.yaml': component('secrets', 'secretstores.local.file', { secretsFile: secrets }),
    },
  });
  const options = { daprHost: '127.0.0.1', daprPort: String(sidecar.ports.http), logger: { level: LogLevel.Error } };
  server = new DaprServer({ serverHost: '127.0.0.1', serverPort: String(appPort), communicationProtocol: CommunicationProtocolEnum.HTTP, clientOptions: options, logger: { level: LogLevel.Error } });
  await server.pubsub.subscribe('pubsub', 'orders', async (data: unknown) => void received.push(data));
  await server.invoker.listen('greet', async (data: { body?: string }) => ({ hello: JSON.parse(data.body ?? '{}').name }), { method: HttpMethod.POST });
  await server.invoker.listen('plain', async () => ({ ok: true }), { method: HttpMethod.GET });
  await server.start();
  // The SDK goes on as soon as the sidecar answers; the subscription exists when it says it is ready.
  while ((await fetch(`${sidecar.http}/v1.0/healthz`)).status !== 204) await sleep(20);
  client = new DaprClient({ ...options, communicationProtocol: CommunicationProtocolEnum.HTTP });
});
afterAll(async () => {
  await server?.stop();
  await client?.stop();
  await sidecar?.stop();
});

describe('the JavaScript SDK over HTTP', () => {
  it('state: save, get, bulk, transaction, delete, etags', async () => {
    await client.state.save('state', [{ key: 'a', value: { n: 1 } }, { key: 'b', value: 'two' }]);
    expect(await client.state.get('state', 'a')).toEqual({ n: 1 });
    expect(await client.state.get('state', 'b')).toBe('two');
    const bulk = await client.state.getBulk('state', ['a', 'b', 'missing']);
    expect(bulk.map((item) => [item.key, item.data])).toEqual([['a', { n: 1 }], ['b', 'two'], ['missing', undefined]]);
    await client.state.transaction('state', [
      { operation: 'upsert', request: { key: 'c', value: 'three' } },
      { operation: 'delete', request: { key: 'b' } },
    ]);
    expect(await client.state.get('state', 'c')).toBe('three');
    expect(await client.state.get('state', 'b')).toBeFalsy();
    await client.state.delete('state', 'a');
    expect(await client.state.get('state', 'a')).toBeFalsy();
    const refused = await client.state.save('state', [{ key: 'c', value: 'x', etag: 'wrong' }]);
    expect(String(refused?.error)).toMatch(/etag mismatch|409|Conflict/i);
  });

  it('publish and subscribe', async () => {
    await client.pubsub.publish('pubsub', 'orders', { order: 7 });
    for (let i = 0; i < 200 && received.length === 0; i++) await sleep(20);
    expect(received).toEqual([{ order: 7 }]);
    const bulk = await client.pubsub.publishBulk('pubsub', 'orders', ['x', { y: 1 }]);
    expect(bulk.failedMessages).toEqual([]);
    for (let i = 0; i < 200 && received.length < 3; i++) await sleep(20);
    expect(received).toHaveLength(3);
    expect(received).toContainEqual({ y: 1 });
    expect(received).toContain('x');
  });

  it('invoke', async () => {
    expect(await client.invoker.invoke('sdk', 'greet', HttpMethod.POST, { name: 'world' })).toEqual({ hello: 'world' });
    expect(await client.invoker.invoke('sdk', 'plain', HttpMethod.GET)).toEqual({ ok: true });
  });

  it('secrets', async () => {
    expect(await client.secret.get('secrets', 'one')).toEqual({ one: 'first secret' });
    expect(await client.secret.getBulk('secrets')).toEqual({ one: { one: 'first secret' }, 'nested:two': { 'nested:two': 'second secret' } });
  });

  it('metadata and health', async () => {
    expect(await client.health.isHealthy()).toBe(true);
    await client.metadata.set('owner', 'me');
    const metadata = await client.metadata.get();
    expect(metadata).toMatchObject({ id: 'sdk', extended: { owner: 'me' } });
    const names = (metadata as unknown as { components: { name: string }[] }).components.map((c) => c.name);
    expect(names.sort()).toEqual(['pubsub', 'secrets', 'state']);
  });
});
