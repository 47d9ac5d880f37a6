import { expect, test } from 'vitest';
import { hasWildcard, matches, unshared } from './topics.ts';

test.each([
  ['a/b', 'a/b', true],
  ['a/b', 'a', false],
  ['a/+', 'a/b', true],
  ['a/+', 'a', false],
  ['a/+', 'a/', true],
  ['a/+', 'ab', false],
  ['a/+', 'a/b/c', false],
  ['+/b', '/b', true],
  ['+', 'a', true],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['a/#', 'ab', false],
  ['#', 'a/b', true],
  ['a/#/z', 'a/b/c/z', true],
  ['a/#/z', 'a/z', true],
  ['a/#/z', 'a/b', false],
  ['a+', 'ab', false],
  ['a.c', 'abc', false],
])('%s for %s: %s', (filter, topic, expected) => expect(matches(filter, topic)).toBe(expected));

test('a shared filter is compared without its group', () => {
  expect(unshared('$share/group/a/+')).toBe('a/+');
  expect(unshared('$share/group')).toBe('$share/group');
  expect(unshared('a/$share/b/c')).toBe('a/$share/b/c');
});
test('a wildcard is a level of its own', () => {
  expect(['a/+', '#', 'a/+/b'].map(hasWildcard)).toEqual([true, true, true]);
  expect(['a', 'a+', 'c#/d'].map(hasWildcard)).toEqual([false, false, false]);
});
