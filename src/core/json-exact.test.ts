import { describe, expect, it } from 'vitest';
import { compareBytes, Digits, entriesOf, type Exact, parseExact, printExact, printTexts } from './json-exact.ts';

const again = (text: string) => {
  const value = parseExact(text);
  return value === undefined ? undefined : printExact(value);
};

describe('printing a parsed text again', () => {
  it.each([
    ['{"b":1,"a":{"d":null,"c":[true,"x"]}}', '{"a":{"c":[true,"x"],"d":null},"b":1}'],
    ['{"big":12345678901234567890,"exp":1e400,"dec":0.10,"neg":-0,"int":1.0}', '{"big":12345678901234567890,"dec":0.10,"exp":1e400,"int":1.0,"neg":-0}'],
    ['[0.0000001, 1234567890.12345678, 1E+2, -0.5, 9007199254740993]', '[0.0000001,1234567890.12345678,1E+2,-0.5,9007199254740993]'],
    ['{"10":1,"9":2,"-":3,"__proto__":4}', '{"-":3,"10":1,"9":2,"__proto__":4}'],
    ['{"b":1,"b":5,"x":1.0}', '{"b":5,"x":1.0}'],
    ['{"h":"<b>&\\u2028</b>","s":"\\ud800","e":"\\"\\\\"}', '{"e":"\\"\\\\","h":"\\u003cb\\u003e\\u0026\\u2028\\u003c/b\\u003e","s":"\ufffd"}'],
    [' {"a":1} trailing', '{"a":1}'],
    ['1.0x', '1.0'],
    ['"a" "b"', '"a"'],
    ['[]', '[]'],
    ['{}]', '{}'],
  ])('%s', (text, printed) => expect(again(text)).toBe(printed));

  it('keeps the digits of random numbers, whichever way they were read', () => {
    for (let i = 0; i < 2000; i++) {
      const number = `${i % 3 === 0 ? '-' : ''}${Math.floor(Math.random() * 10 ** (i % 20))}${i % 2 === 0 ? `.${String(Math.random()).slice(2, 2 + (i % 17))}5` : ''}${i % 7 === 0 ? `e-${i % 30}` : ''}`;
      if (number.includes('e') && !/^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/.test(number)) continue; // Math.floor printed an exponent of its own
      expect(again(`{"n":${number}}`)).toBe(`{"n":${number}}`);
    }
  });
});

it.each(['', ' ', '{not json', '{"a":1', '[1,]', '{"a" 1}', '{a:1}', '1.', '-', '1e', '"\\x"', '"open', '"line\nbreak"', 'nul', '\ufeff{}'])('%j is not JSON', (text) => expect(parseExact(text)).toBeUndefined());
it('reads a number of Go’s up to where it ends: a zero first stands alone', () => expect(again('01')).toBe('0'));
it('survives more levels than the stack has', () => expect(parseExact(`1.0${'['.repeat(200_000)}`)).toBeInstanceOf(Digits));
it('gives up on too many levels', () => expect(parseExact(`[1.0,${'['.repeat(200_000)}`)).toBeUndefined());

it('knows the entries of objects only', () => {
  expect(entriesOf(parseExact('{"a":1}')!)).toEqual([['a', 1]]);
  expect(entriesOf(parseExact('{"a":1.0}')!)).toHaveLength(1);
  for (const text of ['[1]', '1.0', 'null', '"x"']) expect(entriesOf(parseExact(text)!)).toBeUndefined();
});
it('prints plain values with the keys of every object in byte order, numbers among them', () =>
  expect(printExact({ b: 1, 2: [{ 9: null, 10: true }], 10: -0, a: { d: 1e21, c: '<' }, '\ud83d\ude00': 1, '\uffee': 1 })).toBe('{"10":0,"2":[{"10":true,"9":null}],"a":{"c":"\\u003c","d":1e+21},"b":1,"\uffee":1,"\ud83d\ude00":1}'));
it('prints more levels than the stack has', () => {
  let deep: Exact = 1;
  for (let level = 0; level < 100_000; level++) deep = level % 2 ? [deep] : { a: deep };
  expect(printExact(deep)).toBe(`${'[{"a":'.repeat(50_000)}1${'}]'.repeat(50_000)}`);
});
it('prints maps of texts', () => expect(printTexts({ b: '<', a: 'x', 2: '', 10: '' })).toBe('{"10":"","2":"","a":"x","b":"\\u003c"}'));
it('orders texts by their bytes', () => {
  const texts = ['\u{1f389}', '\uffee', 'a', 'B', 'é', '_', 'aa', '\u{10000}'];
  const byBytes = [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect([...texts].sort(compareBytes)).toEqual(byBytes);
});
