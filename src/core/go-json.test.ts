import { describe, expect, it } from 'vitest';
import { any, compactJson, goStringify, int, list, optionalString, parseFirst, parseWhole, string, stringMap, struct, compactText } from './go-json.ts';

const words = (text: string) => { try { return parseFirst(text); } catch (e) { return (e as Error).message; } };

describe('parseFirst', () => {
  it.each([
    ['', 'EOF'],
    ['  \n', 'EOF'],
    ['{bad', "invalid character 'b' looking for beginning of object key string"],
    ['[{"key":"a","value":1}', 'unexpected EOF'],
    ['[1,]', "invalid character ']' looking for beginning of value"],
    ["[{'key'", "invalid character '\\'' looking for beginning of object key string"],
    ['["line\nbreak"]', "invalid character '\\n' in string literal"],
    ['["\\x41"]', "invalid character 'x' in string escape code"],
    ['["\\u12g4"]', "invalid character 'g' in \\u hexadecimal character escape"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['[1 2]', "invalid character '2' after array element"],
    ['tru', 'unexpected EOF'],
    ['trux', "invalid character 'x' in literal true (expecting 'e')"],
    ['-', 'unexpected EOF'],
    ['-x', "invalid character 'x' in numeric literal"],
    ['1.x', "invalid character 'x' after decimal point in numeric literal"],
    ['1ex', "invalid character 'x' in exponent of numeric literal"],
    ['\ufeff[]', "invalid character 'ï' looking for beginning of value"],
    ['\x1f', "invalid character '\\x1f' looking for beginning of value"],
    ['[1e400]', 'json: cannot unmarshal number 1e400 into Go value of type float64'],
    ['['.repeat(10_001), "invalid character '[' exceeded max depth"],
  ])('says of %j what Go says', (text, message) => expect(words(text)).toBe(message));

  it('ignores what follows the first value', () => {
    expect(parseFirst('[{"a":1}] and then {{{')).toEqual([{ a: 1 }]);
    expect(parseFirst('1 2')).toBe(1);
    expect(parseFirst('{"a":[true,null,{}]}x')).toEqual({ a: [true, null, {}] });
    expect(parseFirst('""x')).toBe('');
  });
  it('reads ten thousand levels', () => expect(() => parseFirst('['.repeat(9_999) + ']'.repeat(9_999))).not.toThrow());
});

describe('parseWhole', () => {
  it('refuses a tail', () => expect(() => parseWhole('{} x')).toThrow("invalid character 'x' after top-level value"));
  it('names a cut', () => expect(() => parseWhole('{')).toThrow('unexpected end of JSON input'));
});

describe('struct', () => {
  const item = struct('state.SetRequest', { key: string, value: any, etag: optionalString, metadata: stringMap, options: struct('state.SetStateOption', { concurrency: string }) });
  const fault = (value: unknown) => { try { item.read(value, ''); return ''; } catch (e) { return (e as Error).message; } };

  it('matches names in any case, with the Kelvin and long-s signs', () => {
    expect(item.read({ KEY: 'a', Etag: 'e' }, '')).toMatchObject({ key: 'a', etag: 'e' });
    expect(item.read({ '\u212aey': 'k' }, '').key).toBe('k');
  });
  it('tells null and absent from empty', () => {
    expect(item.read({ etag: null }, '').etag).toBeUndefined();
    expect(item.read({ etag: '' }, '').etag).toBe('');
    expect(item.read({}, '').value).toBeUndefined();
    expect(item.read({ value: null }, '').value).toBeNull();
  });
  it('names the field and both types', () => {
    expect(fault({ key: 5 })).toBe('json: cannot unmarshal number into Go struct field SetRequest.key of type string');
    expect(fault({ metadata: { n: 1 } })).toBe('json: cannot unmarshal number into Go struct field SetRequest.metadata of type string');
    expect(fault({ options: { concurrency: 1 } })).toBe('json: cannot unmarshal number into Go struct field SetStateOption.options.concurrency of type string');
    expect(fault('x')).toBe('json: cannot unmarshal string into Go value of type state.SetRequest');
    expect(() => list(item).read({}, '')).toThrow('json: cannot unmarshal object into Go value of type []state.SetRequest');
    expect(() => int.read(1.5, 'A.n')).toThrow('json: cannot unmarshal number 1.5 into Go struct field A.n of type int');
  });
  it('never lets a key named __proto__ in', () => expect(Object.getPrototypeOf(item.read(JSON.parse('{"__proto__":{"key":"x"}}'), ''))).toBe(Object.prototype));
});

describe('writing', () => {
  it('escapes as Go does', () => expect(goStringify({ a: '<b>&\u2028' })).toBe('{"a":"\\u003cb\\u003e\\u0026\\u2028"}'));
  it('replaces half a surrogate pair', () => {
    expect(compactJson('a\ud800b')).toBe('"a\ufffdb"');
    expect(compactJson('\\ud800')).toBe('"\\\\ud800"');
  });
});

it.each([
  ['{ "a b" : [1, 2.50],\n\t"c\\" d": "x  y" }', '{"a b":[1,2.50],"c\\" d":"x  y"}'], ['"a\\\\" ', '"a\\\\"'], [' 12 ', '12'], ['{"a":1}', '{"a":1}'],
])('compact text of %s', (json, compact) => expect(compactText(json)).toBe(compact));

describe('the fast way takes nothing that Go refuses', () => {
  const levels = (n: number) => '['.repeat(n) + ']'.repeat(n);
  it.each([['1e400', /cannot unmarshal number/], ['[1,-2.5E+999]', /cannot unmarshal number/], ['{"a": 1e999}', /cannot unmarshal number/], [levels(10_001), /exceeded max depth/]])('%#', (text, words) => {
    expect(() => parseWhole(text)).toThrow(words);
    expect(() => parseFirst(text)).toThrow(words);
  });
  it('and no text is slow for the letters in it', () => {
    expect(parseWhole('{"id":"0b5e123f-4e56","t":"1e999"}')).toEqual({ id: '0b5e123f-4e56', t: '1e999' });
    expect(parseWhole(`"${'x'.repeat(20_000)}{"`)).toHaveLength(20_001);
    expect(parseWhole(levels(10_000))).toBeInstanceOf(Array);
  });
});
