import { describe, expect, test } from 'vitest';
import { offsetOf, parseQuery } from './query.ts';

const parse = (query: unknown) => parseQuery(JSON.stringify(query));
const all = { filter: undefined, sort: [], limit: 0, token: '' };

test.each(['{}', 'null', ' {"filter":{}} ', '{"filter":null,"sort":null,"page":null}', '{"other":1}'])('everything is meant by %s', (text) => expect(parseQuery(text)).toEqual(all));
test('names are matched in any case', () => expect(parseQuery('{"Filter":{"EQ":{"a":1}},"PAGE":{"Limit":2,"TOKEN":"3"}}')).toEqual({ ...all, filter: { is: 'EQ', path: 'a', value: 1 }, limit: 2, token: '3' }));
test('filters, nested', () => {
  expect(parse({ filter: { OR: [{ EQ: { city: 'x' } }, { AND: [{ GT: { 'a.b': 1 } }, { IN: { c: [1, 'y'] } }] }] }, sort: [{ key: 'a', order: 'DESC' }, { key: 'b' }] })).toEqual({
    ...all,
    filter: { is: 'OR', filters: [{ is: 'EQ', path: 'city', value: 'x' }, { is: 'AND', filters: [{ is: 'GT', path: 'a.b', value: 1 }, { is: 'IN', path: 'c', values: [1, 'y'] }] }] },
    sort: [{ path: 'a', order: 'DESC' }, { path: 'b', order: '' }],
  });
});
describe('what is refused, in the words of upstream', () => {
  test.each([
    ['', 'unexpected end of JSON input'],
    ['{bad', "invalid character 'b' looking for beginning of object key string"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['[]', 'json: cannot unmarshal array into Go value of type query.QueryFields'],
    ['{"filter":[]}', 'json: cannot unmarshal array into Go struct field QueryFields.filter of type map[string]interface {}'],
    ['{"page":{"limit":"3"}}', 'json: cannot unmarshal string into Go struct field Pagination.page.limit of type int'],
    ['{"filter":{"LIKE":{"a":1}}}', 'unsupported filter "LIKE"'],
    ['{"filter":{"eq":{"a":1}}}', 'unsupported filter "eq"'],
    ['{"filter":{"EQ":{"a":1},"NEQ":{"b":2}}}', 'filter unit must have a single element'],
    ['{"filter":{"AND":[{},{"EQ":{"a":1}}]}}', 'filter unit must have a single element'],
    ['{"filter":{"AND":[1,{"EQ":{"a":1}}]}}', 'filter unit must be a map'],
    ['{"filter":{"GTE":"x"}}', 'GTE filter must be a map'],
    ['{"filter":{"EQ":{"a":1,"b":2}}}', 'EQ filter must contain a single key/value pair'],
    ['{"filter":{"IN":{}}}', 'IN filter must contain a single key/value pair'],
    ['{"filter":{"IN":{"a":"x"}}}', 'IN filter value must be an array'],
    ['{"filter":{"OR":{"EQ":{"a":1}}}}', 'OR filter must be an array'],
    ['{"filter":{"AND":[{"EQ":{"a":1}}]}}', 'AND filter must contain at least two entries'],
  ])('%s', (text, message) => expect(() => parseQuery(text)).toThrow(message));
});
test.each([['', 0], ['0', 0], ['+7', 7], ['12', 12]])('token %j is offset %d', (token, offset) => expect(offsetOf(token)).toBe(offset));
test.each([['x', 'parsing "x": invalid syntax'], ['1.5', 'invalid syntax'], ['9223372036854775808', 'value out of range'], ['-1', 'must not be negative']])('token %j is none', (token, message) => expect(() => offsetOf(token)).toThrow(message));
