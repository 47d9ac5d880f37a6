// state.consul against a server with Consul's key/value API.
import { expect, test } from 'vitest';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { startConsul } from '../harness/consul.ts';
import { openComponent } from './open.ts';
import { describeStateStore } from './state.ts';

const type = 'state.consul';

describeStateStore({
  type,
  start: async () => {
    const consul = await startConsul();
    return { metadata: { httpAddr: consul.address }, stop: () => consul.stop() };
  },
  operations: [],
  quirks: { badEtag: 'none', tellsExpiry: false, keepsTtl: false, takesAnyOptions: true },
});

const open = async (metadata: Record<string, string>) => (await openComponent<StateStore>(type, metadata)).port;
const none = { metadata: {}, concurrency: '', consistency: '' };

test('keys have their folder, values are stored as they are, and nothing leads out of the folder', async () => {
  const consul = await startConsul('token');
  const store = await open({ httpAddr: `http://${consul.address}`, aclToken: 'token', keyPrefixPath: '/apps/one/', datacenter: 'dc 1' });
  await store.set({ ...none, key: 'app||a b', value: { json: '{"a":"<"}' } }, background);
  await store.set({ ...none, key: '../up', value: { bytes: new Uint8Array([65]) } }, background);
  expect(consul.stored()).toEqual({ 'apps/one/app||a b': '{"a":"\\u003c"}', 'apps/one/../up': 'A' });
  expect(consul.targets[0]).toBe('PUT /v1/kv/apps/one/app%7C%7Ca%20b?dc=dc%201');
  expect(await store.get({ key: 'app||a b', metadata: {}, consistency: 'strong' }, background)).toMatchObject({ etag: '' });
  expect(consul.targets.at(-1)).toBe('GET /v1/kv/apps/one/app%7C%7Ca%20b?dc=dc%201&consistent');
  await expect((await open({ httpAddr: consul.address, aclToken: 'wrong' })).delete({ ...none, key: 'k' }, background)).rejects.toThrow("couldn't delete key dapr/k: Unexpected response code: 403 (Permission denied)");
  await consul.stop();
});
test('where the agent is: the environment, else the usual port', async () => {
  const consul = await startConsul();
  Object.assign(process.env, { CONSUL_HTTP_ADDR: consul.address });
  try {
    await (await open({})).set({ ...none, key: 'k', value: { json: '1' } }, background);
    expect(consul.stored()).toEqual({ 'dapr/k': '1' });
  } finally {
    delete process.env.CONSUL_HTTP_ADDR;
    await consul.stop();
  }
  await expect((await open({ httpAddr: '127.0.0.1:1' })).get({ key: 'k', metadata: {}, consistency: '' }, background)).rejects.toThrow('Get "http://127.0.0.1:1/v1/kv/dapr/k": dial tcp 127.0.0.1:1: connect: connection refused');
  await expect(open({ httpAddr: 'unix:///run/consul' })).rejects.toThrow('Unknown protocol scheme: unix');
});
