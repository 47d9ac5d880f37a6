import { describe, expect, it } from 'vitest';
import { clean, decodeBytes, encodeMethod, MethodRefused, normalizeMethod } from './method.ts';

describe('normalizeMethod', () => {
  it.each([
    ['orders/1', 'orders/1'], ['a.b/c.d', 'a.b/c.d'], ['a..b/..c', 'a..b/..c'], ['', ''], ['.', ''], ['..', ''],
    ['a//b///c', 'a/b/c'], ['a/./b/', 'a/b'], ['admin/../public', 'public'], ['../../a', 'a'], ['a/../../../b', 'b'],
  ])('%s is %s', (raw, cleaned) => expect(normalizeMethod(raw)).toBe(cleaned));

  it.each([
    ['a#b', 'invalid method: method contains forbidden character: "a#b"'],
    ['a?b', 'invalid method: method contains forbidden character: "a?b"'],
    ['a\0b', 'invalid method: method contains forbidden character: "a\\x00b"'],
    ['a\rb', 'invalid method: method contains control character at position 1: "a\\rb"'],
    ['a\x7fb', 'invalid method: method contains control character at position 1: "a\\x7fb"'],
  ])('refuses %j', (raw, message) => expect(() => normalizeMethod(raw)).toThrow(new MethodRefused(message)));

  it('does not look twice at long ordinary methods that end badly', () => {
    const started = performance.now();
    expect(() => normalizeMethod(`${'a'.repeat(50_000)}#`)).toThrow(MethodRefused);
    expect(performance.now() - started).toBeLessThan(200);
  });
});

describe('encodeMethod', () => {
  it.each([
    ['a;b,c=d@e:f', 'a;b,c=d@e:f'], ["a$b&c!d(e)f*g'h", "a$b&c!d(e)f*g'h"], ['a[b]', 'a[b]'],
    ['a b', 'a%20b'], ['a"b', 'a%22b'], ['a\\b', 'a%5Cb'], ['a|b', 'a%7Cb'], ['h\xc3\xa9', 'h%C3%A9'], ['a\xffb', 'a%FFb'],
    // one character that may not stand there and all is escaped anew
    ['a[b]|', 'a%5Bb%5D%7C'],
    // what was escaped twice is still escaped once
    ['a%41b', 'a%41b'], ['a%41 b', 'aA%20b'],
  ])('%s goes out as %s', (method, encoded) => expect(encodeMethod(method, '')).toBe(encoded));
  it('refuses a percent sign that escapes nothing', () => {
    expect(() => encodeMethod('a%stream', 'http://127.0.0.1:8080')).toThrow('parse "http://127.0.0.1:8080/a%stream": invalid URL escape "%st"');
  });
});

it('decodes to bytes', () => expect(decodeBytes('a%2Fb%C3%A9+')).toBe('a/b\xc3\xa9+'));
it('cleans rooted paths at the root', () => expect(clean('//some///path/../other/')).toBe('/some/other'));
