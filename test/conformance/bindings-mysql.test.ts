// bindings.mysql on a real MariaDB: values and parameters of every kind in the forms measured at daprd 1.18.2.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseMysqlDsn } from '../../src/adapters/mysql/dsn.ts';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startMariadb } from '../harness/servers.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.mysql';

describeWithServer('mariadb', type, () => {
  let server: Awaited<ReturnType<typeof startMariadb>>;
  let port: Binding;
  beforeAll(async () => {
    server = await startMariadb();
    port = (await openComponent<Binding>(type, { url: server.url })).port;
  });
  afterAll(async () => {
    await port?.close();
    await server?.stop();
  });
  const invoke = (operation: string, metadata: Record<string, string>, by = port) => (by.invoke as NonNullable<Binding['invoke']>)({ operation, data: new Uint8Array(0), metadata }, background);
  const query = async (sql: string, params = '') => new TextDecoder().decode((await invoke('query', { sql, params }))?.data);
  const exec = async (sql: string, params = '') => (await invoke('exec', { sql, params }))?.metadata['rows-affected'];

  describeBinding({ type, start: async () => ({ metadata: { url: server.url }, stop: async () => undefined }), operations: ['exec', 'query', 'close'] });

  test('columns of every type, as text and prepared', async () => {
    await exec(`create table k (ti tinyint, tu tinyint unsigned, si smallint, mi mediumint, i int, iu int unsigned, bi bigint, bu bigint unsigned, fl float, db double, de decimal(10,3), b1 bit(1), b8 bit(10), dt date, dm datetime, d3 datetime(3), ts timestamp null, tm time,
      yr year, ch char(3), vc varchar(10), bn binary(3), vb varbinary(5), tb tinyblob, bl blob, tt tinytext, tx text, mt mediumtext, lt longtext, en enum('a','b'), st set('a','b'), js json, ge point, bo boolean)`);
    expect(await exec(`insert into k values (1,200,2,3,4,4000000000,9007199254740993,18446744073709551615,1.1,2.2,3.500,1,b'1000000001','2024-02-03','2024-02-03 04:05:06','2024-02-03 04:05:06.120','2024-02-03 04:05:06','-12:34:56',2024,'a','b<','c','d','tb','bl','tt','tx','mt','lt','a','a,b','{"b": 1, "a": "x"}',point(1,2),true)`)).toBe('1');
    expect(await exec('insert into k (i) values (7)')).toBe('1');
    const full = '[{"b1":"AQ==","b8":"AgE=","bi":9007199254740993,"bl":"Ymw=","bn":"YwAA","bo":1,"bu":18446744073709551615,"ch":"a","d3":"2024-02-03T04:05:06.12Z","db":2.2,"de":"3.500","dm":"2024-02-03T04:05:06Z","dt":"2024-02-03T00:00:00Z","en":"a","fl":1.1,"ge":"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==","i":4,"iu":4000000000,"js":"{\\"b\\": 1, \\"a\\": \\"x\\"}","lt":"lt","mi":3,"mt":"mt","si":2,"st":"a,b","tb":"dGI=","ti":1,"tm":"-12:34:56","ts":"2024-02-03T04:05:06Z","tt":"tt","tu":200,"tx":"tx","vb":"ZA==","vc":"b\\u003c","yr":2024}]';
    expect(await query('select * from k where i = 4')).toBe(full);
    expect(await query('select * from k where i = ?', '[4]')).toBe(full);
    const empty = '[{"b1":null,"b8":null,"bl":null,"bn":null,"ge":null,"i":7,"tb":null,"vb":null}]';
    expect(await query('select * from k where i = 7')).toBe(empty);
    expect(await query('select * from k where i = ?', '[7]')).toBe(empty);
    expect(await query('select * from k where i = 8')).toBe('null');
    expect(await query('select sum(i) s, avg(i) a, count(*) c, max(dm) m, group_concat(vc) g from k where i = 4')).toBe('[{"a":"4.0000","c":1,"g":"b\\u003c","m":"2024-02-03T04:05:06Z","s":"4"}]');
  });

  test.each([
    ["1, -1, 1.5, 'x', null, true", '', '{"-1":-1,"1":1,"1.5":"1.5","NULL":null,"TRUE":1,"x":"x"}'],
    ['1 a, 2 a', '', '{"a":2}'],
    ['1/0 z', '', '{}'],
    ["cast('2024-01-02 03:04:05.120' as datetime(3)) d, cast('a' as binary(2)) b, x'6162' h, 1e20 e, cast('0000-00-00' as date) z", '', '{"b":"YQA=","d":"2024-01-02T03:04:05.12Z","e":100000000000000000000,"h":"YWI=","z":"0001-01-01T00:00:00Z"}'],
    ['cast(123456789.125 as float) b, cast(0.1 as float) c, 1e300*10 d, ? e', '[1]', '{"b":123456790,"c":0.1,"d":1e+301,"e":1}'],
    ['? a, ? b, ? c, ? d, ? e', '[1, 1.5, "s", true, null]', '{"a":1,"b":1.5,"c":"s","d":1,"e":null}'],
  ])('select %s with %j', async (columns, params, json) => {
    expect(await query(`select ${columns}`, params)).toBe(`[${json}]`);
  });

  test('exec tells how many rows changed, query what was read; both what was asked and how long it took', async () => {
    await exec('create table t (a int primary key, b varchar(10), c bigint)');
    const sql = 'insert into t values (?, ?, ?), (2, null, null)';
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/);
    expect(await invoke('exec', { sql, params: '[1, "it\'s", 9007199254740993]' })).toEqual({ data: new Uint8Array(0), metadata: { operation: 'exec', sql, 'rows-affected': '2', 'start-time': time, 'end-time': time, duration: expect.stringMatching(/^[\d.]+(µs|ms|s)$/) } });
    expect(await query('select * from t order by a')).toBe('[{"a":1,"b":"it\'s","c":9007199254740993},{"a":2}]');
    expect(await exec("update t set b = 'x'")).toBe('2');
    expect(await exec("update t set b = 'x'")).toBe('0');
    expect(await exec('select * from t')).toBe('0');
    expect(await query('insert into t (a) values (3)')).toBe('null');
    await exec('create procedure p() begin select 1 a; end');
    expect(await query('call p()')).toBe('[{"a":1}]');
  });

  test.each([
    ['query', {}, 'required metadata not set: sql'],
    ['query', { sql: 'selec' }, /^error executing query: Error 1064 \(42000\): You have an error in your SQL syntax; check the manual .* near 'selec' at line 1$/],
    ['query', { sql: 'select * from nope' }, "error executing query: Error 1146 (42S02): Table 'test.nope' doesn't exist"],
    ['query', { sql: 'select 1; select 2' }, /^error executing query: Error 1064 \(42000\): .* near 'select 2' at line 1$/],
    ['query', { sql: 'select ? a', params: '[]' }, /^error executing query: Error 1064 /],
    ['query', { sql: 'select 1 a', params: '[1]' }, 'error executing query: sql: expected 0 arguments, got 1'],
    ['exec', { sql: 'select ? a', params: '[{"a":1}]' }, 'error executing query: sql: converting argument $1 type: unsupported type map[string]interface {}, a map'],
    ['exec', { sql: 'select ? a', params: '[[1]]' }, 'error executing query: sql: converting argument $1 type: unsupported type []interface {}, a slice of interface'],
    ['exec', { sql: 'select ? a', params: '{}' }, 'invalid metadata property params: failed to unserialize into an array: json: cannot unmarshal object into Go value of type []interface {}'],
  ] as [string, Record<string, string>, string | RegExp][])('%s %j fails', async (operation, metadata, message) => {
    await expect(invoke(operation, metadata)).rejects.toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });

  test('the connection string brings settings, several statements and a socket', async () => {
    const { port: own } = await openComponent<Binding>(type, { url: `root@unix(${server.socket})/test?multiStatements=true&charset=utf8mb4,utf8&sql_mode=%27ANSI_QUOTES%27&clientFoundRows=true`, maxOpenConns: '1', connMaxLifetime: '1ms' });
    expect((await invoke('exec', { sql: 'create table m (a int); insert into m values (1), (2)' }, own))?.metadata['rows-affected']).toBe('2');
    expect((await invoke('exec', { sql: 'update m set a = 1' }, own))?.metadata['rows-affected']).toBe('2');
    expect(new TextDecoder().decode((await invoke('query', { sql: 'select "a" from m where a = ?', params: '[1]' }, own))?.data)).toBe('[{"a":1},{"a":1}]');
    expect(await invoke('close', {}, own)).toBeNull();
    expect(await invoke('close', {}, own)).toBeNull();
    await expect(invoke('query', { sql: 'select 1' }, own)).rejects.toThrow(/^component is closed$/);
  });

  test('after the server was away it goes on', async () => {
    expect(await query('select 1 a')).toBe('[{"a":1}]');
    await server.restart();
    await expect.poll(() => query('select 1 a').catch(String), { timeout: 5000 }).toBe('[{"a":1}]');
  });

  test.each([
    [{}, 'missing MySql connection string'],
    [{ url: 'root@tcp(127.0.0.1:1)' }, 'illegal Data Source Name (DSN) specified by url'],
    [{ url: 'root@tcp(127.0.0.1:1)/test?tls=custom' }, 'illegal Data Source Name (DSN) specified by url'],
    [{ url: 'root@tcp(127.0.0.1:1)/test', pemPath: '/none.pem' }, /^error reading PEM file from \/none\.pem: /],
    [{ url: 'root@tcp(127.0.0.1:1)/test' }, /^unable to ping the DB: .*127\.0\.0\.1:1/],
  ] as [Record<string, string>, string | RegExp][])('%j is refused', async (metadata, message) => {
    await expect(openComponent(type, metadata)).rejects.toMatchObject({ message: typeof message === 'string' ? message : expect.stringMatching(message) });
  });
  test('a user the server does not know is refused in its words', async () => {
    await expect(openComponent(type, { url: `nobody:secret@tcp(127.0.0.1:${server.port})/test` })).rejects.toThrow(/^unable to ping the DB: Error 1045 \(28000\): Access denied for user 'nobody'@/);
  });
});

test.each([
  ['/', { user: '', address: { host: '127.0.0.1', port: 3306 }, database: '' }],
  ['u:p@a/s:s@tcp([::1]:33)/my%2Fdb', { user: 'u', password: 'p@a/s:s', address: { host: '::1', port: 33 }, database: 'my/db' }],
  ['u@tcp(db)/x?loc=UTC&parseTime=true&tls=skip-verify&timeout=2s', { address: { host: 'db', port: 3306 }, database: 'x', tls: 'skip-verify', timeoutMs: 2000, settings: [] }],
  ['unix(/a/b.sock)/', { address: { socketPath: '/a/b.sock' } }],
  ["u@/x?time_zone=%27%2B00%3A00%27", { settings: ["SET time_zone = '+00:00'"] }],
])('connection string %s', (text, parts) => {
  expect(parseMysqlDsn(text)).toMatchObject(parts);
});
