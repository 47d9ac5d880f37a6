// bindings.postgresql on a real PostgreSQL: values and parameters of every kind in the forms measured at daprd 1.18.2.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { type PostgresServer, startPostgres } from '../harness/servers.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';

const type = 'bindings.postgresql';

describeWithServer('postgres', type, () => {
  let server: PostgresServer;
  let port: Binding;
  beforeAll(async () => {
    server = await startPostgres();
    await server.sql("CREATE TABLE t (a int PRIMARY KEY, b jsonb); CREATE TYPE mood AS ENUM ('a', 'b')");
    port = (await openComponent<Binding>(type, { connectionString: server.url })).port;
  });
  afterAll(async () => {
    await port?.close();
    await server?.stop();
  });
  const invoke = (operation: string, metadata: Record<string, string>, by = port) => (by.invoke as NonNullable<Binding['invoke']>)({ operation, data: new Uint8Array(0), metadata }, background);
  const query = async (sql: string, params = '') => new TextDecoder().decode((await invoke('query', { sql, params }))?.data);

  describeBinding({ type, start: async () => ({ metadata: { url: server.url }, stop: async () => undefined }), operations: ['exec', 'query', 'close'] });

  test.each([
    ["1::int2, 2::int4, 3::int8, 9007199254740993::int8, 1.5::float4, 1e21::float8, 1.10::numeric, 'NaN'::numeric, 5::oid", '1,2,3,9007199254740993,1.5,1e+21,1.10,"NaN",5'],
    ["0.1::float4, 123456789.125::float4, 1e-7::float8, '-0'::float8, 1e23::numeric", '0.1,123456790,1e-7,-0,100000000000000000000000'],
    [`true, false, 'a<b', 'c'::char(3), 'n'::name, '"x"'::"char", '\\xdeadbeef'::bytea, null, 'a'::mood`, 'true,false,"a\\u003cb","c  ","n",34,"3q2+7w==",null,"a"'],
    ["'2024-02-03'::date, '2024-02-03 04:05:06.123456'::timestamp, '2024-02-03 04:05:06.100+02'::timestamptz, '04:05:06+02'::timetz", '"2024-02-03T00:00:00Z","2024-02-03T04:05:06.123456Z","2024-02-03T02:05:06.1Z","04:05:06+02"'],
    ["'infinity'::timestamp, '-infinity'::date, '0001-12-31 BC'::date", '1,-1,"0000-12-31T00:00:00Z"'],
    ["'04:05:06.5'::time, '1 year 2 mons 3 days 04:05:06'::interval, '-1 day -00:00:01'::interval", '{"Microseconds":14706500000,"Valid":true},{"Microseconds":14706000000,"Days":3,"Months":14,"Valid":true},{"Microseconds":-1000000,"Days":-1,"Months":0,"Valid":true}'],
    [`'{"b":1,"a":[1,2.50,null,"<"]}'::json, '{"b":1,"a":12345678901234567890}'::jsonb`, '{"a":[1,2.5,null,"\\u003c"],"b":1},{"a":12345678901234567000,"b":1}'],
    ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", '[160,238,188,153,156,11,78,248,187,109,107,185,189,56,10,17]'],
    ["'10.0.0.1'::inet, '10.0.0.0/8'::cidr, '::1'::inet, '08:00:2b:01:02:03'::macaddr, '<a/>'::xml", '"10.0.0.1/32","10.0.0.0/8","::1/128","CAArAQID","PGEvPg=="'],
    ["'{1,2}'::int4[], '{{1,2},{3,4}}'::int4[], '[0:1]={5,6}'::int4[], '{}'::text[], '{1.5}'::numeric[], '{t}'::bool[]", '[1,2],[1,2,3,4],[5,6],[],[1.5],[true]'],
    [`array['a', null, 'NULL', 'x,y', '"\\', '{']`, '["a",null,"NULL","x,y","\\"\\\\","{"]'],
    ["'(1,2)'::point, '[(0,0),(1,1)]'::lseg, '((1,1),(0,0))'::box", '"(1,2)",{"P":[{"X":0,"Y":0},{"X":1,"Y":1}],"Valid":true},{"P":[{"X":1,"Y":1},{"X":0,"Y":0}],"Valid":true}'],
    ["'((0,0),(1,1))'::path, '<(0,0),1>'::circle, '{1,2,3}'::line", '{"P":[{"X":0,"Y":0},{"X":1,"Y":1}],"Closed":true,"Valid":true},{"P":{"X":0,"Y":0},"R":1,"Valid":true},{"A":1,"B":2,"C":3,"Valid":true}'],
    ["'[1,5)'::int4range, '(,5]'::int8range, 'empty'::int4range", '{"Lower":1,"Upper":5,"LowerType":105,"UpperType":101,"Valid":true},{"Lower":null,"Upper":6,"LowerType":85,"UpperType":101,"Valid":true},{"Lower":null,"Upper":null,"LowerType":69,"UpperType":69,"Valid":true}'],
    ["'[2020-01-01,2021-01-01)'::daterange", '{"Lower":"2020-01-01T00:00:00Z","Upper":"2021-01-01T00:00:00Z","LowerType":105,"UpperType":101,"Valid":true}'],
    ["B'101'::bit(3), B'11'::varbit, '1/2'::pg_lsn, '$1.50'::money", '{"Bytes":"oA==","Len":3,"Valid":true},{"Bytes":"wA==","Len":2,"Valid":true},"1/2","$1.50"'],
  ])('select %s', async (columns, json) => {
    expect(await query(`select ${columns}`)).toBe(`[[${json}]]`);
  });

  test('no rows, no columns', async () => {
    expect([await query('select 1 where false'), await query('select'), await query('create table empty ()')]).toEqual(['[]', '[[]]', '[]']);
  });

  test.each([
    ['$1::int', '["1"]', '1'], ['$1::numeric', '[1.250]', '1.250'], ['$1::int8, $2::int, $3::float8', '[1e18, 8.0, 1e-7]', '1000000000000000000,8,1e-7'], ['$1::int8', '[9007199254740993]', '9007199254740993'], ['$1::bool', '[true]', 'true'], ['$1::int', '[null]', 'null'], ['$1', '["x"]', '"x"'],
    ['$1::jsonb', '[{"a":[1,2]}]', '{"a":[1,2]}'], ['$1::jsonb', '[[1,2]]', '[1,2]'], ['$1::jsonb', '[[]]', '[]'], ['$1::int[]', '[[]]', '[]'], ['$1::int[]', '[[1,2]]', '[1,2]'],
    ['$1::text[]', '[["a","b,c","\\"\\\\",null]]', '["a","b,c","\\"\\\\",null]'], ['$1::jsonb, $2::int[], $3::text[]', '[[1],[2],["3"]]', '[1],[2],["3"]'], ['$1::timestamptz', '["2024-02-03T04:05:06Z"]', '"2024-02-03T04:05:06Z"'],
  ])('select %s with %s', async (columns, params, json) => {
    expect(await query(`select ${columns}`, params)).toBe(`[[${json}]]`);
  });

  test('exec tells how many rows, query what was read; both what was asked and how long it took', async () => {
    const inserted = await invoke('exec', { sql: 'insert into t values ($1, $2), (2, null)', params: '[1, {"k": "v"}]' });
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z$/);
    expect(inserted).toEqual({
      data: new Uint8Array(0),
      metadata: { operation: 'exec', sql: 'insert into t values ($1, $2), (2, null)', 'rows-affected': '2', 'start-time': time, 'end-time': time, duration: expect.stringMatching(/^[\d.]+(µs|ms|s)$/) },
    });
    expect(await server.sql('select * from t order by a')).toBe('1|{"k": "v"}\n2|');
    const read = await invoke('query', { sql: 'select a, b from t order by a' });
    expect(new TextDecoder().decode(read?.data)).toBe('[[1,{"k":"v"}],[2,null]]');
    expect(read?.metadata).toMatchObject({ operation: 'query', sql: 'select a, b from t order by a' });
    expect(read?.metadata).not.toHaveProperty('rows-affected');
    expect((await invoke('exec', { sql: 'insert into t values (3); insert into t values (4), (5)' }))?.metadata['rows-affected']).toBe('2');
    expect((await invoke('exec', { sql: 'create table u ()' }))?.metadata['rows-affected']).toBe('0');
    expect(await query('insert into t values (6) returning a')).toBe('[[6]]');
  });

  test.each([
    ['query', { sql: '' }, 'required metadata not set: sql'],
    ['query', { sql: 'selec' }, 'error executing query: ERROR: syntax error at or near "selec" (SQLSTATE 42601)'],
    ['query', { sql: 'select 1; select 2' }, 'error executing query: ERROR: cannot insert multiple commands into a prepared statement (SQLSTATE 42601)'],
    ['exec', { sql: 'insert into nope values (1)' }, 'error executing query: ERROR: relation "nope" does not exist (SQLSTATE 42P01)'],
    ['query', { sql: 'select $1::int', params: '[]' }, 'error executing query: expected 1 arguments, got 0'],
    ['query', { sql: 'select 1', params: '[1]' }, 'error executing query: expected 0 arguments, got 1'],
    ['query', { sql: 'select $1::int', params: '{"a":1}' }, 'invalid metadata property params: failed to unserialize into an array: json: cannot unmarshal object into Go value of type []interface {}'],
    ['exec', { sql: 'select $1::int', params: '[1' }, 'invalid metadata property params: failed to unserialize into an array: unexpected end of JSON input'],
    ['query', { sql: "select 'NaN'::float8" }, 'error serializing results: json: unsupported value: NaN'],
    ['query', { sql: "select '10000-01-01'::timestamp" }, 'error serializing results: json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: year outside of range [0,9999]'],
    ['query', { sql: 'select 1/0' }, 'error executing query: ERROR: division by zero (SQLSTATE 22012)'],
    ['exec', { sql: 'select $1::int', params: '[1.5]' }, 'error executing query: ERROR: invalid input syntax for type integer: "1.5" (SQLSTATE 22P02)'],
  ])('%s %j fails', async (operation, metadata, message) => {
    await expect(invoke(operation, metadata as unknown as Record<string, string>)).rejects.toMatchObject({ message });
  });

  describe('on its own connection', () => {
    test('close ends it, twice too', async () => {
      const { port: own } = await openComponent<Binding>('bindings.postgresql', { host: '127.0.0.1', port: String(server.port), user: 'postgres', database: 'postgres' });
      expect(await invoke('close', {}, own)).toBeNull();
      expect(await invoke('close', {}, own)).toBeNull();
      await expect(invoke('query', { sql: 'select 1' }, own)).rejects.toThrow(/^component is closed$/);
      await own.close();
    });
    test('a statement may take longer than the time to connect', async () => {
      const { port: own } = await openComponent<Binding>(type, { connectionString: server.url, timeout: '1s' });
      expect((await invoke('exec', { sql: 'select pg_sleep(1.2)' }, own))?.metadata['rows-affected']).toBe('1');
      await own.close();
    });
  });

  test.each([
    [{}, 'failed to build connection string'],
    [{ connectionString: 'host=127.0.0.1', timeout: '0' }, "invalid value for 'timeout': must be greater than 1s"],
    [{ connectionString: 'host=127.0.0.1 port=1 sslmode=disable' }, 'failed to ping the DB: failed to connect to the database: connect ECONNREFUSED 127.0.0.1:1'],
  ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(openComponent(type, metadata)).rejects.toMatchObject({ message });
  });
});
