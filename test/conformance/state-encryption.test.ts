// Encryption at rest in front of real state stores: what comes back, and that nothing readable stays in the store.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createComponentStore } from '../../src/blocks/components/store.ts';
import { createStateEncryption, type EncryptionKey } from '../../src/blocks/state/encryption.ts';
import type { StateStore, StateValue } from '../../src/blocks/state/port.ts';
import { createStateBlock, type NamedStateStore } from '../../src/blocks/state/state.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { type ServerName, startPostgres, startRedis } from '../harness/servers.ts';
import { openComponent } from './open.ts';

interface Row {
  type: string;
  version?: string;
  servers: ServerName[];
  start(): Promise<{ metadata: Record<string, string>; stop(): Promise<void> }>;
}
const postgresql = (version: string): Row => ({
  type: 'state.postgresql',
  version,
  servers: ['postgres'],
  start: async () => {
    const postgres = await startPostgres();
    return { metadata: { connectionString: `host=127.0.0.1 port=${postgres.port} user=postgres database=postgres` }, stop: () => postgres.stop() };
  },
});
const rows: Row[] = [
  { type: 'state.in-memory', servers: [], start: async () => ({ metadata: {}, stop: async () => undefined }) },
  {
    type: 'state.sqlite',
    servers: [],
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-sealed-'));
      return { metadata: { connectionString: join(dir, 'state.db') }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
    },
  },
  {
    type: 'state.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
    },
  },
  postgresql('v1'),
  postgresql('v2'),
];

const one: EncryptionKey = { name: 'one', hex: '00112233445566778899aabbccddeeff' };
const two: EncryptionKey = { name: 'two', hex: 'ffeeddccbbaa99887766554433221100ffeeddccbbaa9988' };
const text = (data: Uint8Array | null) => (data === null ? null : new TextDecoder().decode(data));
const json = (value: unknown): StateValue => ({ json: JSON.stringify(value) });
const item = (key: string, value: StateValue) => ({ key, value, metadata: {}, concurrency: '', consistency: '' });

for (const row of rows) {
  const body = () => {
    let server: Awaited<ReturnType<Row['start']>>;
    let port: StateStore;
    let open: (...keys: [EncryptionKey, ...EncryptionKey[]]) => Promise<NamedStateStore>;
    let store: NamedStateStore;
    beforeAll(async () => {
      server = await row.start();
      const loaded = await openComponent<StateStore>(row.type, server.metadata, row.version === undefined ? {} : { version: row.version });
      port = loaded.port;
      open = async (...keys) => {
        const components = createComponentStore();
        components.add({ ...loaded, encryption: await createStateEncryption('store', keys) });
        return createStateBlock({ components, appId: 'sealed', namespace: '', maxParallel: 8 }).store('store');
      };
      store = await open(one);
    });
    afterAll(async () => {
      await port?.close();
      await server?.stop();
    });
    const get = async (key: string, from = store) => text((await from.get(key, { consistency: '', metadata: {} }, background)).data);
    const stored = async (key: string) => text((await port.get({ key: `sealed||${key}`, metadata: {}, consistency: '' }, background)).data);
    const bulk = (keys: string[]) => store.bulkGet(keys, { parallelism: 0, metadata: {} }, background);

    test('values come back, and are sealed in the store', async () => {
      const values: Record<string, unknown> = { number: 12345678, bool: true, null: null, object: { secret: ['<x>', null, 1.5] }, list: [], text: 'plain text', empty: '' };
      await store.save(Object.entries(values).map(([key, value]) => item(key, json(value))), background);
      for (const [key, value] of Object.entries(values)) {
        expect([key, await get(key)]).toEqual([key, typeof value === 'string' ? value : JSON.stringify(value)]);
        expect(await stored(key)).toMatch(/^[A-Za-z0-9+/]{38,}={0,2}\|\|one$/);
      }
      expect((await bulk([...Object.keys(values), 'none'])).map(({ key, data, error }) => [key, text(data), error])).toEqual([
        ...Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value), undefined]),
        ['none', null, undefined],
      ]);
      expect(await get('none')).toBeNull();
    });
    test('bytes come back as bytes', async () => {
      const value = Uint8Array.from({ length: 256 }, (_, i) => i);
      await store.save([item('bytes', { bytes: value })], background);
      expect((await store.get('bytes', { consistency: '', metadata: {} }, background)).data).toEqual(value);
    });
    test('transactions seal what they write', async () => {
      await store.save([item('gone', json(1))], background);
      await store.transact([{ operation: 'upsert', ...item('t1', json({ a: 1 })) }, { operation: 'delete', ...item('gone', json(null)) }, { operation: 'upsert', ...item('t2', json('two')) }], {}, background);
      expect([await get('t1'), await get('t2'), await get('gone')]).toEqual(['{"a":1}', 'two', null]);
      expect(await stored('t1')).toMatch(/\|\|one$/);
    });
    test('etags guard as ever', async () => {
      await store.save([item('e', json(1))], background);
      const { etag } = await store.get('e', { consistency: '', metadata: {} }, background);
      await store.save([{ ...item('e', json(2)), etag }], background);
      await expect(store.save([{ ...item('e', json(3)), etag }], background)).rejects.toMatchObject({ http: 409 });
      expect(await get('e')).toBe('2');
    });
    test('after a change of keys both are read, and only the new one writes', async () => {
      await store.save([item('r', json('old'))], background);
      const rotated = await open(two, one);
      expect(await get('r', rotated)).toBe('old');
      await rotated.save([item('r', json('new'))], background);
      expect(await stored('r')).toMatch(/\|\|two$/);
      expect(await get('r', rotated)).toBe('new');
      await expect(get('r')).rejects.toMatchObject({ row: { code: 'ERR_STATE_GET' }, http: 500 });
    });
    test('what somebody else wrote is an error of that key alone', async () => {
      await port.set({ key: 'sealed||foreign', value: json('just json'), metadata: {}, concurrency: '', consistency: '' }, background);
      await store.save([item('own', json(1))], background);
      await expect(get('foreign')).rejects.toThrow('the record is not encrypted');
      const [own, foreign] = await bulk(['own', 'foreign']);
      expect([text(own!.data), foreign!.data, foreign!.error]).toEqual(['1', null, 'could not decrypt data for state store store: the record is not encrypted']);
      expect(foreign!.etag).toBeTruthy();
    });
    test('queries are refused', async () => {
      await expect(store.query('{}', {}, background)).rejects.toThrow(port.query ? 'cannot query encrypted store' : 'does not support querying');
    });
  };
  const title = `encryption on ${row.type}${row.version ? ` ${row.version}` : ''}`;
  if (row.servers.length > 0) describeWithServer(row.servers, title, body);
  else describe(title, body);
}
