import { describe, expect, test } from 'vitest';
import { parseQuery } from '../../blocks/state/query.ts';
import { createQueryIndexes, parseQueryIndexes, redisQuery, searchOf } from './query.ts';
import { createLogger } from '../../core/log.ts';
import { background } from '../../core/context.ts';

const given = JSON.stringify([{ name: 'orgs', indexes: [{ key: 'person.org', type: 'TEXT' }, { key: 'person.id', type: 'NUMERIC' }] }]);
const indexes = parseQueryIndexes(given);
const search = (query: unknown) => searchOf(indexes.get('orgs')!.aliases, parseQuery(JSON.stringify(query)));
const filter = (filter: unknown) => search({ filter })[0];

test('queryIndexes', () => {
  expect(parseQueryIndexes('').size).toBe(0);
  expect(indexes.get('orgs')).toEqual({
    name: 'orgs',
    aliases: new Map([['person.org', 'var0'], ['person.id', 'var1']]),
    create: ['orgs', 'ON', 'JSON', 'STOPWORDS', '0', 'SCHEMA', '$.data.person.org', 'AS', 'var0', 'TEXT', 'SORTABLE', '$.data.person.id', 'AS', 'var1', 'NUMERIC', 'SORTABLE'],
  });
});
test.each([
  ['{', 'unexpected end of JSON input'], ['[{}]', 'empty query schema name'], ['[{"name":"a"},{"name":"a"}]', 'duplicate schema name a'],
  ['[{"name":"a","indexes":[{"type":"TEXT"}]}]', 'empty key in query schema a'], ['[{"name":"a","indexes":[{"key":"k"}]}]', 'empty type in query schema a'],
])('queryIndexes that are none: %s', (text, message) => expect(() => parseQueryIndexes(text)).toThrow(`redis store: error parsing query index schema: ${message}`));

describe('filters', () => {
  test.each([
    [{ EQ: { 'person.org': 'Dev Ops' } }, '(@var0:(Dev Ops))'],
    [{ EQ: { 'person.id': 12345678 } }, '(@var1:[12345678 12345678])'],
    [{ EQ: { 'person.id': 0.123456789 } }, '(@var1:[0.123456789 0.123456789]|@var1:[0.123457 0.123457])'],
    [{ NEQ: { 'person.org': 'x' } }, '-(@var0:(x))'],
    [{ GT: { 'person.id': 5 } }, '(@var1:[(5 +inf])'], [{ GTE: { 'person.id': 5 } }, '(@var1:[5 +inf])'],
    [{ LT: { 'person.id': 5 } }, '(@var1:[-inf (5])'], [{ LTE: { 'person.id': 5 } }, '(@var1:[-inf 5])'],
    [{ IN: { 'person.org': ['a b', 'c'] } }, '((@var0:(a b))|(@var0:(c)))'],
    [{ AND: [{ EQ: { 'person.id': 1 } }, { OR: [{ NEQ: { 'person.id': 2 } }, { EQ: { 'person.org': 'x' } }] }] }, '((@var1:[1 1]) (-(@var1:[2 2])|(@var0:(x))))'],
  ])('%j', (given, text) => expect(filter(given)).toBe(text));
  test('no text is query syntax', () => expect(filter({ EQ: { 'person.org': 'x) | @var1:[0 9]*"\\' } })).toBe('(@var0:(x  \\|  var1 0 9 \\\\))'));
  test.each([
    [{ EQ: { nope: 1 } }, 'JSON path "nope" is not indexed'], [{ IN: { 'person.org': ['a'] } }, 'too few values in IN operator for key "person.org"'],
    [{ GT: { 'person.id': 'x' } }, 'unsupported type of value x; string type not permitted'], [{ EQ: { 'person.id': true } }, 'unsupported type of value true'],
  ])('refused: %j', (given, message) => expect(() => filter(given)).toThrow(message));
});
test('sorting and paging', () => {
  expect(search({})).toEqual(['*', 'LIMIT', '0', '1000000']);
  expect(search({ sort: [{ key: 'person.id', order: 'DESC' }], page: { limit: 2, token: '4' } })).toEqual(['*', 'SORTBY', 'var1', 'DESC', 'LIMIT', '4', '2']);
  expect(() => search({ sort: [{ key: 'person.id' }, { key: 'person.org' }] })).toThrow('multiple SORTBY steps are not allowed');
});
test('an index that is there is made anew', async () => {
  const commands: unknown[] = [];
  const command = async (name: string) => {
    commands.push(name);
    if (name === 'FT.CREATE' && commands.length === 1) throw new Error('Index already exists');
    return null;
  };
  await createQueryIndexes(command, indexes, createLogger({ appId: '', instance: '', version: '', write: () => {} }));
  expect(commands).toEqual(['FT.CREATE', 'FT.DROPINDEX', 'FT.CREATE']);
});
test('asks for the module, then for an index', async () => {
  const ask = (hasJson: boolean, metadata: Record<string, string>) => redisQuery(async () => null, indexes, hasJson)(parseQuery('{}'), metadata, background);
  await expect(ask(false, {})).rejects.toThrow('redis-json server support is required for query capability');
  await expect(ask(true, {})).rejects.toThrow('query index not found');
  await expect(ask(true, { queryIndexName: 'x' })).rejects.toThrow('query index schema "x" not found');
});
