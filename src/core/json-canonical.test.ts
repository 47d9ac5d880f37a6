import { describe, expect, it } from 'vitest';
import { canonical, membersOf } from './json-canonical.ts';
import { entriesOf, type Exact, parseExact, printExact } from './json-exact.ts';

const printed = (text: string) => {
  const value = parseExact(text);
  return value === undefined ? undefined : printExact(value);
};
/** A random JSON text, mostly as it would be printed, sometimes not quite. */
function random(depth = 0): string {
  const pick = <T>(...of: T[]): T => of[Math.floor(Math.random() * of.length)] as T;
  const blank = () => (Math.random() < 0.03 ? pick(' ', '\n', '\t') : '');
  const word = () => `"${Array.from({ length: Math.floor(Math.random() * 6) }, () => pick('a', 'b', 'é', '\u{1f600}', '\ufffd', ' ', ...(Math.random() < 0.1 ? ['\\"', '\\\\', '\\n', '\\/', '\\u0041', '<', '&', '\u2028', '\\ud800'] : ['c']))).join('')}"`;
  switch (depth > 3 ? pick('word', 'number', 'literal') : pick('word', 'number', 'literal', 'list', 'object', 'object')) {
    case 'word': return word();
    case 'number': return pick('0', '-0', '1.0', '12', '-3.50', '1e3', '1E+2', '12345678901234567890', '0.1');
    case 'literal': return pick('true', 'false', 'null');
    case 'list': return `[${Array.from({ length: Math.floor(Math.random() * 4) }, () => blank() + random(depth + 1) + blank()).join(',')}]`;
    default: {
      const keys = Array.from({ length: Math.floor(Math.random() * 4) }, () => (Math.random() < 0.05 ? '"10"' : word()));
      if (Math.random() < 0.7) keys.sort();
      return `{${keys.map((key) => `${blank()}${key}:${random(depth + 1)}`).join(',')}}`;
    }
  }
}

describe('the text of a value', () => {
  it('is what printing it gives, for texts of any kind', () => {
    let same = 0;
    for (let i = 0; i < 20_000; i++) {
      const text = random();
      expect(canonical(text), text).toBe(printed(text));
      if (canonical(text) === text) same++;
    }
    expect(same).toBeGreaterThan(4000); // the short way was tried, too
  });
  it.each([
    ['{"a":1,"a":2}', '{"a":2}'],
    ['{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'],
    ['{"b":1,"10":2}', '{"10":2,"b":1}'],
    ['{"__proto__":1.0}', '{"__proto__":1.0}'],
    ['{"a":"\\\\"}', '{"a":"\\\\"}'],
    ['{"a":1.0}', '{"a":1.0}'],
    ['{"a":1} more', '{"a":1}'],
    ['"<"', '"\\u003c"'],
    ['', undefined],
    ['{"a":}', undefined],
  ])('%s', (text, want) => expect(canonical(text)).toBe(want));
  it('survives any depth', () => expect(canonical(`${'['.repeat(5000)}${']'.repeat(5000)}`)).toHaveLength(10_000));
});

describe('members of a list’s objects', () => {
  it('have the text they stand with', () => {
    const objects = (text: string) => membersOf(text)?.map(({ names, values }) => Object.fromEntries(names.map((name, i) => [name, values[i]])));
    expect(objects('[{"id":"1","event":{"a":1.0,"b":"x"},"type":"t"},{"id":"","event":2,"type":"t"},{"id":1,"even":2},{"id":1,"event":null,"type":"","more":1},{"event":[]},{},{"event":{}}]')).toEqual([
      { id: '"1"', event: '{"a":1.0,"b":"x"}', type: '"t"' },
      { id: '""', event: '2', type: '"t"' },
      { id: '1', even: '2' },
      { id: '1', event: 'null', type: '""', more: '1' },
      { event: '[]' },
      {},
      { event: '{}' },
    ]);
    expect(membersOf('[]')).toEqual([]);
    expect(objects('[{"b":"\u00e9\ud83d\ude00","a":[1,[],{},-0.5e+3,true,false]}]')).toEqual([{ b: '"é😀"', a: '[1,[],{},-0.5e+3,true,false]' }]);
  });
  it('are what parsing and printing gives, for lists of any objects', () => {
    let told = 0;
    for (let i = 0; i < 20_000; i++) {
      const text = `[${Array.from({ length: Math.floor(Math.random() * 4) }, () => random(1)).filter((one) => one.startsWith('{')).join(',')}]`;
      const members = membersOf(text);
      if (members === undefined) continue;
      told++;
      const list = parseExact(text) as readonly Exact[];
      expect(members.map(({ names, values }) => Object.fromEntries(names.map((name, at) => [name, values[at]]))), text).toEqual(list.map((one) => Object.fromEntries((entriesOf(one) ?? []).map(([name, value]) => [name, printExact(value)]))));
    }
    expect(told).toBeGreaterThan(8000);
  });
  it.each(['', 'null', '{}', '[1]', '[null]', '[[]]', '[{"e":{"b":1,"a":2}}]', '[{"e":{"a":1,"a":2}}]', '[{"e":1}] ', ' [{"e":1}]', '[{"e":"<"}]', '[{"e":"\\n"}]', '[{"e":"\\""}]', '[{"e":"\n"}]', '[{"e":"\u0000"}]', '[{"e":"\ud800"}]', '[{"e":1,"e":2}]', '[{"a":1,"e":1},{"a":1,"e":2,"a":3}]', '[{"e":1} ,{"e":2}]', '[{"e":1}', '[{"e":1},]', '[{"e": 1}]', '[{"e":01}]', '[{"e":1.}]', '[{"e":+1}]', '[{"e":tru}]', '[{"e":nulll}]', '[{e:1}]', '[{"e"}]', '[{"e":"x}]', '[{"e":}]', '[{,}]'])('are not told of %j', (text) => expect(membersOf(text)).toBeUndefined());
});
