import { expect, test } from 'vitest';
import { choosePartition, partitionOfKey } from './partitioner.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

// What sarama's hash partitioner gives: FNV-1a of 32 bits as int32, remainder without its sign.
test.each([
  ['', 3, 0x811c9dc5],
  ['a', 3, 0xe40c292c],
  ['foobar', 7, 0xbf9cf968],
])('key %j among %i', (key, count, fnv) => expect(partitionOfKey(utf8(key), count)).toBe(Math.abs((fnv | 0) % count)));

test('a number that is named goes before the key, and must be there', () => {
  const partitions = [2, 0, 1].map((partitionId) => ({ partitionId, leader: 1 }));
  expect(choosePartition(2, utf8('a'), partitions)).toBe(2);
  expect(() => choosePartition(3, undefined, partitions)).toThrow('partition number 3 is out of range, topic has 3 partitions');
});
test('without a key any partition that has a leader', () => {
  const partitions = [{ partitionId: 0, leader: -1 }, { partitionId: 1, leader: 1 }, { partitionId: 2, leader: 2 }];
  expect(new Set(Array.from({ length: 100 }, () => choosePartition(undefined, undefined, partitions)))).toEqual(new Set([1, 2]));
});
