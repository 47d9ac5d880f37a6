// The configuration stores that the conformance suite runs against, and what each has of its own.
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InMemoryConfigurationStore } from '../../src/adapters/configuration/in-memory.ts';
import type { ConfigurationStore } from '../../src/blocks/configuration/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startPostgres, startRedis } from '../harness/servers.ts';
import { describeConfigurationStore, item, listener } from './configuration.ts';
import { lines, openComponent } from './open.ts';

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;
/** A table as Dapr's reference describes it, and a trigger that tells changes on the channel `ch`. */
const table = `create table cfg (key varchar not null, value varchar not null, version varchar not null, metadata json);
  create function tell() returns trigger as $$ declare r record; begin if (tg_op = 'DELETE') then r = old; else r = new; end if;
  perform pg_notify('ch', json_build_object('table', tg_table_name, 'action', tg_op, 'data', row_to_json(r))::text); return null; end $$ language plpgsql;
  create trigger t after insert or update or delete on cfg for each row execute procedure tell()`;
const dsn = (port: number) => `host=127.0.0.1 port=${port} user=postgres database=postgres`;

describeConfigurationStore({
  type: 'configuration.in-memory',
  start: async () => ({ metadata: { items: '{"first":"1"}' }, write: async (key, value, store) => (store as InMemoryConfigurationStore).set(key, value), stop: async () => undefined }),
  unknown: 'subscription with id <id> does not exist',
  quirks: { metadata: true, tellsDeleted: false, plainKeys: false },
});
describeConfigurationStore({
  type: 'configuration.local.file',
  start: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'outrigger-configuration-'));
    const file = join(dir, 'configuration.json');
    writeFileSync(file, '{"first":"1"}');
    const write = async (key: string, value: ReturnType<typeof item> | undefined) => {
      // JSON leaves a member out that is undefined
      writeFileSync(`${file}.new`, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), [key]: value }));
      renameSync(`${file}.new`, file);
      await sleep(120);
    };
    return { metadata: { file }, write, stop: async () => rmSync(dir, { recursive: true, force: true }) };
  },
  unknown: 'subscription with id <id> does not exist',
  quirks: { metadata: true, tellsDeleted: false, plainKeys: false },
});
describeConfigurationStore({
  type: 'configuration.redis',
  servers: ['redis'],
  start: async () => {
    const redis = await startRedis();
    return {
      metadata: { redisHost: `127.0.0.1:${redis.port}` },
      write: async (key, value) => void (await (value === undefined ? redis.command('DEL', key) : redis.command('SET', key, `${value.value}||${value.version}`))),
      stop: () => redis.stop(),
    };
  },
  unknown: 'subscription with id <id> does not exist',
  quirks: { metadata: false, tellsDeleted: false, plainKeys: false },
});
describeConfigurationStore({
  type: 'configuration.postgresql',
  servers: ['postgres'],
  start: async () => {
    const postgres = await startPostgres();
    await postgres.sql(table);
    return {
      metadata: { connectionString: dsn(postgres.port), table: 'cfg', notifyChannel: 'ch' },
      write: async (key, value) => {
        const known = (await postgres.sql(`select count(*) from cfg where key = ${literal(key)}`)) !== '0';
        if (value === undefined) return void (await postgres.sql(`delete from cfg where key = ${literal(key)}`));
        const values = [value.value, value.version, JSON.stringify(value.metadata)].map(literal);
        await postgres.sql(known ? `update cfg set value = ${values[0]}, version = ${values[1]}, metadata = ${values[2]} where key = ${literal(key)}` : `insert into cfg values (${[literal(key), ...values].join(',')})`);
      },
      stop: () => postgres.stop(),
    };
  },
  unknown: 'unable to find subscription with ID : <id>',
  quirks: { metadata: true, tellsDeleted: true, plainKeys: true },
});

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
const open = async (type: string, metadata: Record<string, string>) => {
  const { port } = await openComponent<ConfigurationStore>(type, metadata);
  closing.push(() => port.close());
  return port;
};
const get = async (store: ConfigurationStore, keys: string[], metadata: Record<string, string> = {}) => Object.fromEntries(await store.get({ keys, metadata }, background));

describe('configuration.in-memory', () => {
  test('items from its metadata', async () => {
    const store = await open('configuration.in-memory', { items: '{"a":"1","b":{"value":"2","version":"3","metadata":{"x":"y"}},"c":{}}' });
    expect(await get(store, [])).toEqual({ a: item('1'), b: item('2', '3', { x: 'y' }), c: item('') });
    expect(await get(await open('configuration.in-memory', {}), [])).toEqual({});
  });
  test.each([['[]', 'it is no JSON object'], ['{"a":1}', "'a' is neither a text nor an object"], ['{"a":{"value":1}}', "value and version of 'a' must be texts"], ['{"a":{"metadata":{"x":1}}}', "metadata of 'a'"], ['{', 'is not JSON']])(
    'items %s are refused',
    (items, words) => expect(open('configuration.in-memory', { items })).rejects.toThrow(words),
  );
});

describe('configuration.local.file', () => {
  test('a file that is missing or wrong does not load; one that becomes wrong leaves the items as they are', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'outrigger-configuration-'));
    closing.push(async () => rmSync(dir, { recursive: true, force: true }));
    const file = join(dir, 'c.json');
    await expect(open('configuration.local.file', {})).rejects.toThrow('missing file in metadata');
    await expect(open('configuration.local.file', { file })).rejects.toThrow(file);
    writeFileSync(file, '{"a":');
    await expect(open('configuration.local.file', { file })).rejects.toThrow(`${file}: unexpected end of JSON input`);
    writeFileSync(file, '{"a":"1"}');
    const store = await open('configuration.local.file', { file });
    const told = listener();
    await store.subscribe({ keys: [], metadata: {} }, told.handler);
    lines.length = 0;
    writeFileSync(file, '{"a":2}');
    for (const end = Date.now() + 5000; !lines.join().includes('keeps the items it has') && Date.now() < end; ) await sleep(10);
    expect(lines.join()).toContain("'a' is neither a text nor an object");
    expect([await get(store, []), await told.quiet()]).toEqual([{ a: item('1') }, []]);
    writeFileSync(file, '{"a":"3"}');
    expect(await told.take(1)).toEqual([['a', item('3')]]);
  });
});

describeWithServer('redis', 'configuration.redis in Redis', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  const start = (more: Record<string, string> = {}) => open('configuration.redis', { redisHost: `127.0.0.1:${redis.port}`, ...more });

  test('values and versions as daprd splits them', async () => {
    for (const [key, value] of [['plain', 'v'], ['three', 'a||b||c'], ['onlyversion', '||7'], ['emptyversion', 'x||'], ['empty', '']]) await redis.command('SET', key as string, value as string);
    await redis.command('RPUSH', 'list', 'x');
    const store = await start();
    expect(await get(store, [])).toEqual({ plain: item('v'), three: item('a', 'b'), emptyversion: item('x') });
    expect(await get(store, ['list', 'onlyversion', 'plain', ''])).toEqual({ plain: item('v') });
  });
  test('more keys than fit into one command', async () => {
    const names = Array.from({ length: 2500 }, (_, i) => `many${i}`);
    await redis.command('MSET', ...names.flatMap((name) => [name, name]));
    const store = await start();
    expect(Object.keys(await get(store, names))).toHaveLength(2500);
    expect(Object.keys(await get(store, []))).toHaveLength(2503);
  });
  test('another database is another store', async () => {
    const store = await start({ redisDB: '3' });
    expect(await get(store, [])).toEqual({});
    const told = listener();
    await store.subscribe({ keys: ['k'], metadata: {} }, told.handler);
    await redis.command('EVAL', "redis.call('SELECT', 3) return redis.call('SET', 'k', 'three')", '0');
    await redis.command('SET', 'k', 'zero');
    expect(await told.take(1)).toEqual([['k', item('three')]]);
    expect(await told.quiet()).toEqual([]);
  });
  test('after an outage it listens again, and the server publishes again', async () => {
    const own = await startRedis();
    closing.push(() => own.stop());
    const store = await open('configuration.redis', { redisHost: `127.0.0.1:${own.port}` });
    const told = listener();
    await store.subscribe({ keys: ['k'], metadata: {} }, told.handler);
    await own.restart();
    for (const end = Date.now() + 10_000; told.events.length === 0 && Date.now() < end; await sleep(200)) await own.command('SET', 'k', 'back').catch(() => undefined);
    expect(told.events.length).toBeGreaterThan(0);
    expect([...(told.events[0]?.items ?? [])]).toEqual([['k', item('back')]]);
  });
  test('a subscription while Redis is away is answered and works later', async () => {
    const own = await startRedis();
    closing.push(() => own.stop());
    const store = await open('configuration.redis', { redisHost: `127.0.0.1:${own.port}`, redisMaxRetries: '-1', readTimeout: '500' });
    await own.kill();
    const told = listener();
    await store.subscribe({ keys: ['k'], metadata: {} }, told.handler);
    await own.restart();
    for (const end = Date.now() + 10_000; told.events.length === 0 && Date.now() < end; await sleep(200)) await own.command('SET', 'k', 'back').catch(() => undefined);
    expect(told.events.length).toBeGreaterThan(0);
  }, 20_000);
});

describeWithServer('postgres', 'configuration.postgresql in PostgreSQL', () => {
  let postgres: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    postgres = await startPostgres();
    await postgres.sql(`${table}; insert into cfg values ('a','1','1',null),('b','two','5','{"m":"x"}'),('b','older','4',null),('b','word','latest',null),('empty','','1',null)`);
  });
  afterAll(() => postgres.stop());
  const start = (more: Record<string, string> = {}) => open('configuration.postgresql', { connectionString: dsn(postgres.port), table: 'cfg', ...more });

  test('of several rows the highest version counts, an empty value is an item', async () => {
    expect(await get(await start(), [])).toEqual({ a: item('1', '1'), b: item('two', '5', { m: 'x' }), empty: item('', '1') });
  });
  test('metadata of a request asks for rows that have it', async () => {
    const store = await start();
    expect(await get(store, ['a', 'b'], { m: 'x' })).toEqual({ b: item('two', '5', { m: 'x' }) });
    expect(await get(store, ['a', 'b'], { m: 'm' })).toEqual({});
    expect(await get(store, ['a'], { pgNotifyChannel: 'ch' })).toEqual({ a: item('1', '1') });
  });
  test('a row that cannot be read is an error', async () => {
    await postgres.sql("create table bad (key varchar, value varchar, version varchar, metadata json); insert into bad values ('list','1','1','[1]'),('number','1','1','{\"a\":1}'),('nothing',null,'1',null)");
    const store = await start({ table: 'bad' });
    for (const key of ['list', 'number', 'nothing']) await expect(get(store, [key])).rejects.toThrow(/^unable to parse response from configuration store - error in reading data from configuration store: 'can't scan into dest/);
  });
  test('what does not load', async () => {
    await expect(start({ table: '' })).rejects.toThrow('missing postgreSQL configuration table name');
    await expect(start({ table: 'nothere' })).rejects.toThrow("postgreSQL configuration table 'nothere' does not exist");
    await expect(start({ table: 'Upper' })).rejects.toThrow("invalid table name 'Upper'. non-alphanumerics or upper cased table names are not supported");
    await expect(start({ table: 'x'.repeat(65) })).rejects.toThrow('max allowed field length is 64');
    await expect(start({ notifyChannel: 'Up' })).rejects.toThrow('invalid notifyChannel name "Up"');
    await expect(open('configuration.postgresql', { connectionString: 'host=127.0.0.1 port=1', table: 'cfg' })).rejects.toThrow('PostgreSQL configuration store connection error');
  });
  test('the channel may come with the request', async () => {
    const store = await start();
    const told = listener();
    await expect(store.subscribe({ keys: ['a'], metadata: {} }, told.handler)).rejects.toThrow('unable to subscribe to "cfg". notifyChannel must be set in component metadata or request metadata');
    await expect(store.subscribe({ keys: ['a'], metadata: { pgNotifyChannel: 'a;b' } }, told.handler)).rejects.toThrow('invalid notifyChannel name "a;b"');
    await store.subscribe({ keys: ['a'], metadata: { PGNOTIFYCHANNEL: 'a.b/c' } }, told.handler);
    await postgres.sql(`select pg_notify('a.b/c', '{"data":{"KEY":"a","Value":"by hand","extra":1}}')`);
    expect(await told.take(1)).toEqual([['a', item('by hand')]]);
    await postgres.sql(`select pg_notify('ch', '{"data":{"key":"a"}}')`);
    expect(await told.quiet()).toEqual([]);
  });
  test('numbers in a notification are texts; what cannot be used is dropped', async () => {
    const store = await start({ notifyChannel: 'ch' });
    const told = listener();
    await store.subscribe({ keys: [], metadata: {} }, told.handler);
    lines.length = 0;
    for (const payload of ['not json', '{"nodata":1}', '{"data":"text"}', '{"data":null}', '{"data":{"value":"no key"}}', '{"data":{"key":1}}', '[]', 'null']) await postgres.sql(`select pg_notify('ch', ${literal(payload)})`);
    await postgres.sql(`select pg_notify('ch', '{"data":{"key":"n","value":7,"version":3,"metadata":{"a":1,"b":"c","d":null}}}')`);
    expect(await told.take(1)).toEqual([['n', item('7', '3', { a: '1', b: 'c', d: '' })]]);
    expect(lines.filter((line) => /error in unmarshal|unknown format|no key in/.test(line))).toHaveLength(8);
  });
  test('when the connection that listens is cut it listens again', async () => {
    const store = await start({ notifyChannel: 'ch' });
    const told = listener();
    await store.subscribe({ keys: ['cut'], metadata: {} }, told.handler);
    await postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'");
    for (const end = Date.now() + 10_000; told.events.length === 0 && Date.now() < end; await sleep(100)) await postgres.sql(`select pg_notify('ch', '{"data":{"key":"cut","value":"back"}}')`);
    expect([...(told.events[0]?.items ?? [])]).toEqual([['cut', item('back')]]);
  });
});
