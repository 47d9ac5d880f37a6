import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { StateStore } from '../../blocks/state/port.ts';
import { sqlite } from '../../hosts/node/sqlite.ts';
import definition from './sqlite.ts';

const lines: string[] = [];
const write = (message: string) => void lines.push(message);
const log = { debug: write, info: write, warn: write, error: write, fatal: write, always: write, scope: () => log };
const host = { runtime: 'node', sqlite, background: true } as unknown as Host;
let dir: string;
let file: string;
const opened: StateStore[] = [];

const open = async (properties: Record<string, string> = {}) => {
  const all = { connectionString: file, ...properties };
  const store = await definition.open(definition.metadata.parse(all), { host, log, name: 'lite', appId: 'a', namespace: '', properties: all, signal: new AbortController().signal });
  opened.push(store);
  return store;
};
const item = (key: string, value: unknown = 1, more: object = {}) => ({ key, value: value instanceof Uint8Array ? { bytes: value } : { json: JSON.stringify(value) }, metadata: {}, concurrency: '', consistency: '', ...more });
const get = (store: StateStore, key: string) => store.get({ key, metadata: {}, consistency: '' }, background);
const textIn = async (store: StateStore, key: string) => {
  const { data } = await get(store, key);
  return data === null ? null : textOfBytes(data);
};
const raw = async (sql: string) => {
  const database = await sqlite.open(file);
  const rows = database.prepare(sql).all().map((row) => ({ ...row }));
  database.close();
  return rows;
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outrigger-sqlite-'));
  file = join(dir, 'state.db');
  lines.length = 0;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  rmSync(dir, { recursive: true, force: true });
});

describe('state.sqlite', () => {
  it('keeps daprd\'s schema and counts its one migration', async () => {
    await open();
    expect((await raw('PRAGMA table_info(state)')).map(({ name, type, notnull, dflt_value, pk }) => [name, type, notnull, dflt_value, pk])).toEqual([
      ['key', 'TEXT', 1, null, 1], ['value', 'TEXT', 1, null, 0], ['is_binary', 'BOOLEAN', 1, null, 0], ['etag', 'TEXT', 1, null, 0],
      ['expiration_time', 'TIMESTAMP', 0, 'NULL', 0], ['update_time', 'TIMESTAMP', 1, 'CURRENT_TIMESTAMP', 0],
    ]);
    expect(await raw('SELECT * FROM metadata')).toEqual([{ key: 'migrations', value: '1' }]);
    expect(await raw('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }]);
  });

  it('stores JSON as text with Go\'s escapes and bytes as bare base64', async () => {
    const store = await open();
    await store.set(item('j', { a: '<&>' }), background);
    await store.set(item('b', new Uint8Array([0, 255])), background);
    expect(await raw('SELECT key, value, is_binary, typeof(value) t, typeof(is_binary) tb, expiration_time FROM state ORDER BY rowid')).toEqual([
      { key: 'j', value: '{"a":"\\u003c\\u0026\\u003e"}', is_binary: 0, t: 'text', tb: 'integer', expiration_time: null },
      { key: 'b', value: 'AP8=', is_binary: 1, t: 'text', tb: 'integer', expiration_time: null },
    ]);
    expect((await get(store, 'b')).data).toEqual(new Uint8Array([0, 255]));
  });

  it('expires, tells when, and clears a lifetime on overwrite', async () => {
    const store = await open();
    await store.set(item('t', 1, { metadata: { ttlInSeconds: '3600' } }), background);
    const at = (await get(store, 't')).metadata?.ttlExpireTime ?? '';
    expect(at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Math.abs(Date.parse(at) - Date.now() - 3600_000)).toBeLessThan(2000);
    await store.set(item('t', 2, { metadata: { ttlInSeconds: '-1' } }), background);
    expect((await get(store, 't')).metadata).toBeUndefined();
    await expect(store.set(item('t', 2, { metadata: { ttlInSeconds: '-2' } }), background)).rejects.toThrow("error parsing TTL: incorrect value for metadata 'ttlInSeconds': must be -1 or greater");
    // an expired row that nobody removed counts as absent, for first-write too
    await raw("UPDATE state SET expiration_time = '2001-01-01 00:00:00'");
    expect(await textIn(store, 't')).toBeNull();
    await store.set(item('t', 3, { concurrency: 'first-write' }), background);
    expect(await textIn(store, 't')).toBe('3');
  });

  it('undoes a failed transaction and not its neighbours in the group', async () => {
    const store = await open();
    await store.set(item('old'), background);
    const upsert = (key: string, value: unknown, more = {}) => ({ operation: 'upsert' as const, ...item(key, value, more) });
    const [before, broken, after] = await Promise.allSettled([
      store.set(item('before'), background),
      store.transact!([upsert('x', 1), { operation: 'delete', ...item('old') }, upsert('none', 1, { etag: 'wrong' })], {}, background),
      store.set(item('after'), background),
    ]);
    expect([before.status, broken.status, after.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((broken as PromiseRejectedResult).reason).toMatchObject({ kind: 'etagMismatch' });
    expect((await raw('SELECT key FROM state ORDER BY key')).map((r) => r.key)).toEqual(['after', 'before', 'old']);
  });

  it('lets exactly one of many first writes win', async () => {
    const store = await open();
    const other = await open();
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).set(item('f', i, { concurrency: 'first-write' }), background)));
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
  });

  it('waits for another writer as long as busyTimeout, then says unavailable', async () => {
    const store = await open({ busyTimeout: '300ms' });
    const other = await sqlite.open(file);
    other.exec('BEGIN IMMEDIATE');
    const patient = store.set(item('k', 1), background);
    setTimeout(() => other.exec('COMMIT'), 100);
    await patient;
    other.exec('BEGIN IMMEDIATE');
    const started = Date.now();
    await expect(store.set(item('k', 2), background)).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('database is locked') });
    expect(Date.now() - started).toBeGreaterThanOrEqual(250);
    // reads go on beside a writer
    expect(await textIn(store, 'k')).toBe('1');
    other.exec('ROLLBACK');
    await store.set(item('k', 3), background);
    other.close();
  });

  it('works without a write-ahead log beside a second connection', async () => {
    const [one, two] = [await open({ disableWAL: 'true' }), await open({ disableWAL: 'true' })];
    await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? one : two).set(item(`k${i}`, i), background)));
    expect(await raw('SELECT count(*) n FROM state')).toEqual([{ n: 50 }]);
    expect(await raw('PRAGMA journal_mode')).toEqual([{ journal_mode: 'delete' }]);
  });

  it('lists keys in the order they were written, page by page, and tells upper from lower case', async () => {
    const store = await open();
    for (const key of ['p||b', 'p||a', 'P||c', 'p*', 'p%x', 'q']) await store.set(item(key), background);
    const list = (pattern: string, pageSize?: number, continuationToken?: string) => store.keysLike!({ pattern, pageSize, continuationToken }, background);
    expect(await list('p||%')).toEqual({ keys: ['p||b', 'p||a'] });
    expect(await list('p\\%%')).toEqual({ keys: ['p%x'] });
    expect(await list('p*')).toEqual({ keys: ['p*'] });
    const first = await list('%', 4);
    expect(first.keys).toEqual(['p||b', 'p||a', 'P||c', 'p*']);
    expect(await list('%', 4, first.continuationToken)).toEqual({ keys: ['p%x', 'q'] });
    await expect(list('')).rejects.toBeInstanceOf(AdapterError);
  });

  it('reports what SQLite says when the table or the file is broken', async () => {
    const store = await open();
    await store.set(item('k'), background);
    await raw('DROP TABLE state');
    await expect(get(store, 'k')).rejects.toMatchObject({ kind: 'internal', message: 'SQL logic error: no such table: state (1)' });
    await expect(store.set(item('k', 1, { etag: 'x' }), background)).rejects.toMatchObject({ kind: 'internal' });
    await store.close();
    writeFileSync(file, 'this is no database at all, although it is a file of some length');
    await expect(open()).rejects.toThrow('file is not a database');
    file = join(dir, 'none', 'state.db');
    await expect(open()).rejects.toThrow('unable to open database file');
  });

  it('refuses what does not fit on the disk, and nothing else', async () => {
    const store = await open({ connectionString: `${file}?_pragma=max_page_count(30)` });
    const results = await Promise.allSettled([store.set(item('small', 1), background), store.set(item('large', 'x'.repeat(200_000)), background), store.set(item('last', 2), background)]);
    expect(results.map((r) => r.status === 'fulfilled' || (r.reason as AdapterError).message)).toEqual([true, 'database or disk is full (13)', true]);
    expect([await textIn(store, 'small'), await textIn(store, 'large'), await textIn(store, 'last')]).toEqual(['1', null, '2']);
    await store.delete(item('small'), background);
    expect(await textIn(store, 'small')).toBeNull();
  });

  it('removes expired rows and notes when', async () => {
    const store = await open({ cleanupInterval: '1s' });
    await store.set(item('gone', 1, { metadata: { ttlInSeconds: '1' } }), background);
    await store.set(item('stays', 1, { metadata: { ttlInSeconds: '3600' } }), background);
    await expect.poll(() => raw('SELECT key FROM state'), { timeout: 6000 }).toEqual([{ key: 'stays' }]);
    expect(await raw("SELECT value FROM metadata WHERE key = 'last-cleanup'")).toEqual([{ value: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/) }]);
  });

  it('reads connection strings as daprd does', async () => {
    await expect(open({ connectionString: '' })).rejects.toThrow('missing connection string');
    await expect(open({ connectionString: `${file}?_pragma=Busy_Timeout(1)` })).rejects.toThrow("found forbidden option '_pragma=busy_timeout'");
    await expect(open({ timeout: '1ms' })).rejects.toThrow("invalid value for 'timeout'");
    await expect(open({ tableName: 'bad name' })).rejects.toThrow('invalid identifier: bad name');
    const memory = await open({ connectionString: ':memory:' });
    await memory.set(item('m'), background);
    expect(await textIn(memory, 'm')).toBe('1');
    const writer = await open({ connectionString: `file:${dir}/with%20space.db?_pragma=cache_size(10)&_txlock=deferred`, disableWAL: 'yes' });
    await writer.set(item('k', 'v'), background);
    expect(statSync(join(dir, 'with space.db')).size).toBeGreaterThan(0);
    const reader = await open({ connectionString: `file:${dir}/with%20space.db?mode=ro` });
    expect(await textIn(reader, 'k')).toBe('"v"');
    await expect(reader.set(item('k'), background)).rejects.toThrow('readonly database');
  });

  it('finishes the writes under way before it closes', async () => {
    const store = await open();
    const writes = Promise.all(Array.from({ length: 1200 }, (_, i) => store.set(item(`k${i}`), background)));
    await store.close();
    await writes;
    expect(await raw('SELECT count(*) n FROM state')).toEqual([{ n: 1200 }]);
    await expect(store.set(item('late'), background)).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('gives each bad row its own error in a bulk read', async () => {
    const store = await open();
    await store.set(item('good', utf8('x')), background);
    await raw("INSERT INTO state (key, value, is_binary, etag) VALUES ('bad', '§', 1, 'e')");
    const results = await store.bulkGet!(['good', 'bad', 'none'].map((key) => ({ key, metadata: {}, consistency: '' })), background);
    expect(results.map(({ key, data, error }) => [key, data, error?.slice(0, 28)])).toEqual([['good', utf8('x'), undefined], ['bad', null, 'failed to decode binary data'], ['none', null, undefined]]);
  });
});
