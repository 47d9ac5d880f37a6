import { describe, expect, test } from 'vitest';
import { parseQuery } from '../../blocks/state/query.ts';
import { queryStatement } from './query.ts';

const table = { table: 'state', column: 'value', selected: 'value::text AS value, xmin::text AS etag', live: 'live' };
const statement = (query: unknown) => queryStatement(table, parseQuery(JSON.stringify(query)));
const sql = (query: unknown) => statement(query).text.replace('SELECT key, value::text AS value, xmin::text AS etag FROM state WHERE live', '…');

test('everything', () => expect(statement({})).toEqual({ text: 'SELECT key, value::text AS value, xmin::text AS etag FROM state WHERE live', values: [], offset: 0 }));
test('filters', () => {
  const query = { filter: { OR: [{ EQ: { a: 'x' } }, { AND: [{ NEQ: { 'b.c.d': 1 } }, { IN: { e: [true, 'y'] } }] }] } };
  expect(sql(query)).toBe("… AND (value->>'a' = $1::text OR (value->'b'->'c'->>'d' != $2::text AND (value->>'e' = $3::text OR value->>'e' = $4::text)))");
  expect(statement(query).values).toEqual(['x', '1', 'true', 'y']);
});
test.each([['GT', '>'], ['GTE', '>='], ['LT', '<'], ['LTE', '<=']])('%s', (is, operator) => {
  expect(sql({ filter: { [is]: { a: 5 } } })).toBe(`… AND value->>'a' ${operator} $1::text`);
  expect(() => sql({ filter: { [is]: { a: 'x' } } })).toThrow('unsupported type of value x; string type not permitted');
});
test('values as jsonb spells them', () => {
  expect(statement({ filter: { IN: { a: [12345678, 1e21, -0, 2.5, null, { b: 1 }] } } }).values).toEqual(['12345678', '1000000000000000000000', '0', '2.5', null, '{"b":1}']);
  expect(sql({ filter: { NEQ: { a: null } } })).toBe("… AND value->>'a' IS NOT NULL");
  expect(() => sql({ filter: { IN: { a: [] } } })).toThrow('empty IN operator for key "a"');
});
test('sorting and paging', () => {
  expect(sql({ sort: [{ key: 'a.b', order: 'DESC' }, { key: 'c' }], page: { limit: 3, token: '6' } })).toBe("… ORDER BY value->'a'->>'b' DESC, value->>'c' LIMIT 3 OFFSET 6");
  expect(sql({ sort: [{ order: 'ASC' }] })).toBe("… ORDER BY value->>'' ASC");
  expect(sql({ page: { limit: -1 } })).toBe('…');
});
test.each(['asc', 'Desc', 'DESC NULLS LAST', 'nulls first'])('order %j', (order) => expect(sql({ sort: [{ key: 'a', order }] })).toBe(`… ORDER BY value->>'a' ${order}`));
describe('nothing of a query becomes SQL', () => {
  test.each(['UP', 'ASC; DROP TABLE state', 'ASC, (SELECT 1)', 'ASC--', 'descending'])('order %j', (order) => expect(() => sql({ sort: [{ key: 'a', order }] })).toThrow('is neither ASC nor DESC'));
  test("a path with quotes and backslashes is a literal", () => {
    expect(sql({ filter: { EQ: { "a'b": 1 } } })).toBe("… AND value->>'a''b' = $1::text");
    expect(sql({ filter: { EQ: { "\\'; DROP": 1 } } })).toBe("… AND value->>E'\\\\''; DROP' = $1::text");
    expect(sql({ sort: [{ key: "x' = '' OR 1=1 --" }] })).toBe("… ORDER BY value->>'x'' = '''' OR 1=1 --'");
    expect(() => sql({ filter: { EQ: { 'a\0': 1 } } })).toThrow('NUL');
  });
});
