import { describe, expect, it } from 'vitest';
import { cleanPath, queryMetadata, queryUnescape, queryValue, splitTarget, wellEscaped } from './path.ts';

describe('cleanPath', () => {
  it.each([
    ['/v1.0/state/s/k', '/v1.0/state/s/k'],
    ['//v1.0//state///s/k/', '/v1.0/state/s/k'],
    ['/v1.0/./state/../secrets', '/v1.0/secrets'],
    ['/../../x', '/x'],
    ['/v1.0/state/s/%2E%2E', '/v1.0/state/s/%2E%2E'],
    ['/v1.0/state/s/.hidden', '/v1.0/state/s/.hidden'],
    ['/', '/'],
    ['', '/'],
  ])('%s → %s', (from, to) => expect(cleanPath(from)).toBe(to));
});

describe('splitTarget', () => {
  it('takes origin and absolute form', () => {
    expect(splitTarget('/a?b?c')).toEqual({ path: '/a', query: 'b?c' });
    expect(splitTarget('http://host:1/a/b?x')).toEqual({ path: '/a/b', query: 'x' });
    expect(splitTarget('http://host')).toEqual({ path: '/', query: '' });
  });
});

describe('queryUnescape', () => {
  it('reads plus as a space and bytes that are no UTF-8 as U+FFFD', () => {
    expect(queryUnescape('a+b%2Bc%2fd')).toBe('a b+c/d');
    expect(queryUnescape('%e9')).toBe('\ufffd');
  });
  it('knows what is well escaped', () => {
    expect(wellEscaped('%zz')).toBe(false);
    expect(wellEscaped('100%')).toBe(false);
    expect(wellEscaped('%41')).toBe(true);
  });
});

describe('query parameters', () => {
  it('first value wins, prefix is exact, bad pairs vanish', () => {
    expect(queryMetadata('metadata.a=1&metadata.a=2&Metadata.b=3&metadata.c=4;5&metadata.d=%zz&metadata%2Ee=f+g')).toEqual({ a: '1', e: 'f g' });
    expect(queryValue('a&b=1', 'a')).toBe('');
    expect(queryValue('', 'a')).toBeUndefined();
  });
});
