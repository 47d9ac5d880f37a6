import { expect, test } from 'vitest';
import { assignRange, assignRoundRobin } from './assigners.ts';

const members = [{ id: 'b', topics: ['t', 'u'] }, { id: 'a', topics: ['t'] }, { id: 'c', topics: ['t', 'u'] }];
const partitions = new Map([['u', [0, 1, 2]], ['t', [0, 1, 2, 3]]]);

// As sarama's range: round(i * n / members), by member id
test('range', () => {
  expect(Object.fromEntries(assignRange(members, partitions))).toEqual({ a: { t: [0] }, b: { t: [1, 2], u: [0, 1] }, c: { t: [3], u: [2] } });
});
test('round robin gives a topic only to those who want it', () => {
  expect(Object.fromEntries(assignRoundRobin(members, partitions))).toEqual({ a: { t: [0, 3] }, b: { t: [1], u: [0, 2] }, c: { t: [2], u: [1] } });
  expect(Object.fromEntries(assignRoundRobin([{ id: 'a', topics: [] }], partitions))).toEqual({ a: {} });
});
test('more members than partitions', () => {
  const many = ['a', 'b', 'c'].map((id) => ({ id, topics: ['t'] }));
  expect([...assignRange(many, new Map([['t', [0]]])).values()].flatMap((one) => one.t ?? [])).toEqual([0]);
});
