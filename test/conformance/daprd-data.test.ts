// Data that a daprd 1.18.2 wrote: ours reads it, goes on in it, and writes the same rows into the same tables.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StateStore, StateValue } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { sqlite } from '../../src/hosts/node/sqlite.ts';
import { describeWithServer } from '../harness/describe.ts';
import { type PostgresServer, startPostgres } from '../harness/servers.ts';
import { openComponent } from './open.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, `../fixtures/daprd-state/${name}.sql`), 'utf8');

// What the fixtures hold, in the order it was saved. daprd sorts the keys of objects, we keep the caller's order: here they are sorted.
const values: [string, unknown][] = [
  ['number', 123], ['true', true], ['text', 's'], ['null', null], ['object', { a: 1.5 }], ['html', '<b>&\u2028'], ['nested', { empty: {}, list: [1, 'x', { deep: null }] }],
  ['big', 12345678901], ['small', 1e-7], ['huge', 1e21], ['unicode', 'žluť 😀'],
];
const never = '2147483647'; // seconds: 2094
const item = (key: string, value: StateValue, metadata: Record<string, string> = {}, concurrency = '') => ({ key: `golden||${key}`, value, metadata, concurrency, consistency: '' });
const json = (value: unknown): StateValue => ({ json: JSON.stringify(value) });

/** The same calls that made the fixtures. */
async function writeAll(store: StateStore): Promise<void> {
  for (const [key, value] of values) await store.set(item(key, json(value)), background);
  await store.set(item('lifetime', json(1), { ttlInSeconds: never }), background);
  await store.set(item('over', json(1), { ttlInSeconds: '3600' }), background);
  await store.set(item('over', json(2)), background);
  await store.set(item('first', json(1), {}, 'first-write'), background);
  await store.transact!([{ operation: 'upsert', ...item('t1', json({ n: 1 })) }, { operation: 'upsert', ...item('t2', json('two')) }, { operation: 'delete', ...item('first', json(null)) }], {}, background);
  await store.set(item('bytes', { bytes: new Uint8Array([0, 255]) }), background);
}

async function readsAll(store: StateStore, etag: RegExp): Promise<void> {
  const get = (key: string) => store.get({ key: `golden||${key}`, metadata: {}, consistency: '' }, background);
  const expected: [string, unknown][] = [...values, ['over', 2], ['t1', { n: 1 }], ['t2', 'two']];
  for (const [key, value] of expected) {
    const { data, etag: tag, metadata } = await get(key);
    expect([key, JSON.parse(new TextDecoder().decode(data as Uint8Array))]).toEqual([key, value]);
    expect(tag).toMatch(etag);
    expect(metadata?.ttlExpireTime).toBeUndefined();
  }
  expect([...((await get('bytes')).data as Uint8Array)]).toEqual([0, 255]);
  expect((await get('lifetime')).metadata?.ttlExpireTime).toBe('2094-12-09T15:45:05Z');
  expect((await get('first')).data).toBeNull();
  // and goes on: the etag it reads is good for a write
  await store.set({ ...item('text', json('changed')), etag: (await get('text')).etag }, background);
  expect((await store.keysLike!({ pattern: 'golden||%' }, background)).keys[0]).toBe('golden||number');
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/;

describe('state.sqlite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-golden-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const look = async (file: string) => {
    const database = await sqlite.open(file);
    const all = (sql: string) => database.prepare(sql).all().map((row) => ({ ...row }));
    const seen = { columns: ['state', 'metadata'].map((table) => all(`PRAGMA table_info(${table})`)), indexes: all("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"), metadata: all('SELECT * FROM metadata'), rows: all('SELECT *, typeof(value) AS tv, typeof(is_binary) AS tb, typeof(expiration_time) AS te FROM state ORDER BY rowid') };
    database.close();
    return seen;
  };
  const open = async (file: string) => (await openComponent<StateStore>('state.sqlite', { connectionString: file })).port;

  test('reads and goes on in daprd\'s file', async () => {
    const file = join(dir, 'theirs.db');
    const database = await sqlite.open(file);
    database.exec(fixture('sqlite'));
    database.close();
    const store = await open(file);
    await readsAll(store, uuid);
    await store.close();
  });

  test('writes what daprd writes', async () => {
    const [theirs, ours] = [join(dir, 'fixture.db'), join(dir, 'ours.db')];
    const database = await sqlite.open(theirs);
    database.exec(fixture('sqlite'));
    database.close();
    const store = await open(ours);
    await writeAll(store);
    await store.close();
    const [a, b] = [await look(theirs), await look(ours)];
    expect(b.rows).toEqual(a.rows.map((row) => ({ ...row, etag: expect.stringMatching(uuid), update_time: expect.stringMatching(time), expiration_time: row.expiration_time && expect.stringMatching(time) })));
    expect({ ...b, rows: [] }).toEqual({ ...a, rows: [] });
  });
});

describeWithServer('postgres', 'state.postgresql', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());

  const versions = [
    { version: 'v1', table: 'state', metadataTable: 'dapr_metadata', metadata: {} as Record<string, string>, etag: /^\d+$/, row: "key || '|' || value::text || '|' || isbinary || '|' || (updatedate IS NULL) || '|' || coalesce(extract(year from expiredate)::text, '') || '|' || row_id" },
    { version: 'v2', table: 'v2_state', metadataTable: 'v2_metadata', metadata: { tablePrefix: 'v2_', metadataTableName: 'v2_metadata' }, etag: uuid, row: "key || '|' || encode(value, 'hex') || '|' || (updated_at IS NULL) || '|' || coalesce(extract(year from expires_at)::text, '') || '|' || row_id" },
  ];
  describe.each(versions)('$version', ({ version, table, metadataTable, metadata, etag, row }) => {
    const open = async () => (await openComponent<StateStore>('state.postgresql', { connectionString: server.url, ...metadata }, { version })).port;
    const drop = () => server.sql(`DROP TABLE IF EXISTS ${table}, ${metadataTable}`);
    const look = async () => ({
      columns: await server.sql(`SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity, identity_generation, identity_start FROM information_schema.columns WHERE table_name IN ('${table}', '${metadataTable}') ORDER BY table_name, ordinal_position`),
      indexes: await server.sql(`SELECT indexdef FROM pg_indexes WHERE tablename IN ('${table}', '${metadataTable}') ORDER BY 1`),
      metadata: await server.sql(`SELECT key, value FROM ${metadataTable} ORDER BY key`),
      next: await server.sql(`SELECT last_value, is_called FROM ${table}_row_id_seq`),
      rows: await server.sql(`SELECT ${row} FROM ${table} ORDER BY row_id`),
    });

    test('reads and goes on in daprd\'s tables', async () => {
      await drop();
      await server.sql(fixture(`postgresql-${version}`));
      const store = await open();
      await readsAll(store, etag);
      await store.close();
      expect(await server.sql(`SELECT value FROM ${metadataTable} WHERE key LIKE 'migrations%'`)).toBe(version === 'v1' ? '3' : '2');
    });

    test('writes what daprd writes', async () => {
      await drop();
      await server.sql(fixture(`postgresql-${version}`));
      const theirs = await look();
      await drop();
      const store = await open();
      await writeAll(store);
      await store.close();
      expect(await look()).toEqual(theirs);
    });
  });

  test('a table of the first migration only is brought up to date, its rows numbered by age', async () => {
    await server.sql('DROP TABLE IF EXISTS old, old_meta');
    await server.sql('CREATE TABLE old (key text NOT NULL PRIMARY KEY, value jsonb NOT NULL, isbinary boolean NOT NULL, insertdate TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(), updatedate TIMESTAMP WITH TIME ZONE NULL)');
    await server.sql("CREATE TABLE old_meta (key text PRIMARY KEY, value text NOT NULL); INSERT INTO old_meta VALUES ('migrations', '1')");
    await server.sql(`INSERT INTO old VALUES ('younger', '2', false, '2020-02-02'), ('older', '1', false, '2020-01-01')`);
    const { port: store } = await openComponent<StateStore>('state.postgresql', { connectionString: server.url, tableName: 'old', metadataTableName: 'old_meta' });
    await store.set({ key: 'new', value: json(3), metadata: {}, concurrency: '', consistency: '' }, background);
    expect(await store.keysLike!({ pattern: '%' }, background)).toEqual({ keys: ['older', 'younger', 'new'] });
    expect(await server.sql('SELECT key, row_id FROM old ORDER BY row_id')).toBe('older|1\nyounger|2\nnew|3');
    expect(await server.sql("SELECT value FROM old_meta WHERE key = 'migrations'")).toBe('3');
    await store.close();
  });

  test('sidecars that start together on an empty database create it once', async () => {
    await server.sql('DROP TABLE IF EXISTS t_state, t_meta');
    const stores = await Promise.all(Array.from({ length: 6 }, () => openComponent<StateStore>('state.postgresql', { connectionString: server.url, tablePrefix: 't_', metadataTableName: 't_meta' }, { version: 'v2', initTimeoutMs: 30_000 })));
    await Promise.all(stores.map(({ port }, i) => port.set({ key: `k${i}`, value: json(i), metadata: {}, concurrency: '', consistency: '' }, background)));
    expect(await server.sql('SELECT count(*) FROM t_state')).toBe('6');
    expect(await server.sql("SELECT count(*) FROM pg_indexes WHERE tablename = 't_state'")).toBe('3');
    await Promise.all(stores.map(({ port }) => port.close()));
  });

  test('the versions refuse each other\'s tables and leave them as they are', async () => {
    await server.sql('DROP TABLE IF EXISTS state, dapr_metadata');
    const first = await openComponent<StateStore>('state.postgresql', { connectionString: server.url });
    await expect(openComponent('state.postgresql', { connectionString: server.url }, { version: 'v2' })).rejects.toThrow('SQLSTATE 42703');
    expect(await server.sql('SELECT key, value FROM dapr_metadata ORDER BY key')).toBe('lock|lock\nmigrations|3');
    await first.port.close();
    await server.sql('DROP TABLE state, dapr_metadata');
    const second = await openComponent<StateStore>('state.postgresql', { connectionString: server.url }, { version: 'v2' });
    await expect(openComponent('state.postgresql', { connectionString: server.url })).rejects.toThrow('set tableName');
    await second.port.set({ key: 'k', value: json(1), metadata: {}, concurrency: '', consistency: '' }, background);
    await second.port.close();
  });
});
