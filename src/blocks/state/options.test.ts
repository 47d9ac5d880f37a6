import { describe, expect, it } from 'vitest';
import { ttlOf } from './options.ts';

describe('ttlInSeconds', () => {
  it.each([['1', 1], ['+5', 5], ['0', 0], ['-1', -1], ['2147483647', 2147483647], ['', undefined]])('%j is %j', (ttlInSeconds, seconds) => expect(ttlOf({ ttlInSeconds })).toBe(seconds));
  it('may be absent', () => expect(ttlOf({})).toBeUndefined());
  const start = "incorrect value for metadata 'ttlInSeconds': ";
  it.each([
    ['-2', 'must be -1 or greater'],
    ['2147483648', 'must be -1 or greater'],
    ['9223372036854775808', 'strconv.ParseInt: parsing "9223372036854775808": value out of range'],
    ['1.5', 'strconv.ParseInt: parsing "1.5": invalid syntax'],
    ['10s', 'strconv.ParseInt: parsing "10s": invalid syntax'],
    [' 1', 'strconv.ParseInt: parsing " 1": invalid syntax'],
  ])('%j is refused: %s', (ttlInSeconds, text) => expect(() => ttlOf({ ttlInSeconds })).toThrow(start + text));
});
