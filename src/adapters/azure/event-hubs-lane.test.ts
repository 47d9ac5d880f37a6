import { expect, test } from 'vitest';
import { createLane } from './event-hubs-lane.ts';

const tick = () => new Promise((resolve) => setTimeout(resolve, 0));

/** A lane whose handlers end when the test says so. */
function lane(options: { atOnce?: number; size?: number; waitMs?: number; every?: number } = {}) {
  const running = new Map<number, (done: boolean) => void>();
  const groups: number[][] = [];
  const places: number[] = [];
  const made = createLane<number>({
    atOnce: options.atOnce ?? 3,
    group: { size: options.size ?? 1, waitMs: options.waitMs ?? 5 },
    every: options.every ?? 1,
    handle: (events) => {
      groups.push([...events]);
      return new Promise((resolve) => running.set(events[0] as number, resolve));
    },
    checkpoint: async (event) => void places.push(event),
  });
  const finish = async (event: number, done = true) => {
    running.get(event)?.(done);
    running.delete(event);
    await tick();
  };
  return { ...made, groups, places, finish, running };
}

test('the place is never behind an event still in hand', async () => {
  const { take, finish, places } = lane();
  void take([1, 2, 3]);
  await tick();
  await finish(2);
  await finish(3);
  expect(places).toEqual([]);
  await finish(1);
  expect(places).toEqual([3]);
});

test('so many at once; a taker waits for room', async () => {
  const { take, finish, running } = lane({ atOnce: 2 });
  let taken = false;
  void take([1, 2, 3]).then(() => (taken = true));
  await tick();
  expect([[...running.keys()], taken]).toEqual([[1, 2], false]);
  await finish(2);
  expect([...running.keys()]).toEqual([1, 3]);
  await finish(1);
  await tick();
  expect(taken).toBe(true);
});

test('what has to come again holds the place, and nothing new begins at the end', async () => {
  const { take, finish, places, end, groups } = lane({ atOnce: 2 });
  void take([1, 2, 3]);
  await tick();
  const ending = end(false);
  await finish(1);
  await finish(2, false);
  await ending;
  expect([places, groups]).toEqual([[1], [[1], [2]]]);
});

test('a partition that was lost is not written down any more', async () => {
  const { take, finish, places, end } = lane();
  void take([1]);
  await tick();
  const ending = end(true);
  await finish(1);
  await ending;
  expect(places).toEqual([]);
});

test('groups go when they are full, or after their time; with no room they wait for it', async () => {
  const { take, finish, groups } = lane({ atOnce: 1, size: 2 });
  void take([1, 2, 3]);
  await tick();
  expect(groups).toEqual([[1, 2]]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(groups).toEqual([[1, 2]]);
  await finish(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(groups).toEqual([[1, 2], [3]]);
});

test('every so many groups; the last place at the end', async () => {
  const { take, finish, places, end } = lane({ every: 3, atOnce: 1 });
  void take([1, 2, 3, 4, 5]);
  for (const event of [1, 2, 3, 4, 5]) {
    await tick();
    await finish(event);
  }
  expect(places).toEqual([1, 4]);
  await end(false);
  expect(places).toEqual([1, 4, 5]);
  const never = lane({ every: 0 });
  void never.take([1]);
  await tick();
  await never.finish(1);
  await never.end(false);
  expect(never.places).toEqual([]);
});
