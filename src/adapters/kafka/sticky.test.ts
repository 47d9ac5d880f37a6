import { expect, test } from 'vitest';
import type { Assignment } from './assigners.ts';
import { assignSticky, type Claim, decodeClaim, encodeClaim } from './sticky.ts';

const group = (...ids: string[]) => ids.map((id) => ({ id, topics: ['t'] }));
const partitions = new Map([['t', [0, 1, 2, 3, 4, 5]]]);
const claimsOf = (assignment: Assignment, generation = 1): Map<string, Claim> => new Map([...assignment].map(([id, topics]) => [id, { topics, generation }]));
const plain = (assignment: Assignment) => Object.fromEntries([...assignment].map(([id, { t = [], u = [] }]) => [id, u.length > 0 ? { t, u } : t]));

test('members keep what they have; a new one gets only what it takes, and what a gone one had is shared', () => {
  const one = assignSticky(group('a'), partitions, new Map());
  expect(plain(one)).toEqual({ a: [0, 1, 2, 3, 4, 5] });
  const two = assignSticky(group('b', 'a'), partitions, claimsOf(one));
  expect(plain(two)).toEqual({ a: [3, 4, 5], b: [0, 1, 2] });
  expect(plain(assignSticky(group('a', 'b'), partitions, claimsOf(two)))).toEqual(plain(two));
  const three = assignSticky(group('a', 'b', 'c'), partitions, claimsOf(two));
  expect(plain(three)).toEqual({ a: [4, 5], b: [1, 2], c: [0, 3] });
  expect(plain(assignSticky(group('b', 'c'), partitions, claimsOf(three)))).toEqual({ b: [1, 2, 4], c: [0, 3, 5] });
});
test('of two claims the later one counts; what is gone or not wanted any more is claimed in vain', () => {
  const claims = new Map<string, Claim>([['a', { topics: { t: [0, 1, 2, 9], gone: [0] }, generation: 3 }], ['b', { topics: { t: [0, 1, 2, 3, 4, 5] }, generation: 4 }], ['c', { topics: { t: [5] }, generation: -1 }]]);
  expect(plain(assignSticky([...group('a', 'b'), { id: 'c', topics: [] }], partitions, claims))).toEqual({ a: [0, 1, 2], b: [3, 4, 5], c: [] });
});
test('members that want different topics', () => {
  const members = [{ id: 'a', topics: ['t', 'u'] }, { id: 'b', topics: ['u'] }];
  const assignment = assignSticky(members, new Map([['t', [0, 1]], ['u', [0, 1]]]), new Map());
  expect(plain(assignment)).toEqual({ a: [0, 1], b: { t: [], u: [0, 1] } });
  expect(plain(assignSticky(members, new Map([['t', [0, 1]], ['u', [0, 1]]]), new Map([['a', { topics: { u: [0, 1] }, generation: 1 }]])))).toEqual({ a: [0, 1], b: { t: [], u: [0, 1] } });
});
test('all partitions are given, evenly, whatever is claimed', () => {
  for (let seed = 1; seed < 200; seed++) {
    const members = group(...Array.from({ length: 1 + (seed % 7) }, (_, i) => `m${i}`));
    const numbers = Array.from({ length: seed % 31 }, (_, i) => i);
    const claims = new Map(members.map(({ id }, i) => [id, { topics: { t: numbers.filter((n) => (n * seed + i) % 3 === 0) }, generation: (seed * i) % 4 }]));
    const lists = [...assignSticky(members, new Map([['t', numbers]]), claims).values()].map(({ t = [] }) => t);
    expect(lists.flat().sort((a, b) => a - b)).toEqual(numbers);
    expect(Math.max(...lists.map((one) => one.length)) - Math.min(...lists.map((one) => one.length))).toBeLessThanOrEqual(1);
  }
});
test('what members say of themselves', () => {
  const bytes = encodeClaim({ topics: { ab: [1, 258], c: [] }, generation: 7 });
  expect([...bytes]).toEqual([0, 0, 0, 2, 0, 2, 97, 98, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 2, 0, 1, 99, 0, 0, 0, 0, 0, 0, 0, 7]);
  expect(decodeClaim(bytes)).toEqual({ topics: { ab: [1, 258], c: [] }, generation: 7 });
  expect(decodeClaim(bytes.slice(0, -4))).toEqual({ topics: { ab: [1, 258], c: [] }, generation: -1 });
  expect(decodeClaim(new Uint8Array(0))).toEqual({ topics: {}, generation: -1 });
  expect(decodeClaim(bytes.slice(0, 12))).toEqual({ topics: {}, generation: -1 });
});
