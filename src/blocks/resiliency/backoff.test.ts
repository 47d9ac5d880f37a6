import { expect, it } from 'vitest';
import { type Backoff, defaultBackoff, waitsOf } from './backoff.ts';

function waits(backoff: Partial<Backoff>, { random = 0.5, eachTakes = 0, most = 8 } = {}) {
  let time = 0;
  const next = waitsOf({ ...defaultBackoff, ...backoff }, () => time, () => random);
  const list: (number | undefined)[] = [];
  for (let i = 0; i < most; i++) {
    time += eachTakes;
    const wait = next();
    list.push(wait);
    if (wait === undefined) break;
    time += wait;
  }
  return list;
}

it('constant: the same wait, so many times', () => {
  expect(waits({ durationMs: 20, maxRetries: 2 })).toEqual([20, 20, undefined]);
  expect(waits({ durationMs: 20, maxRetries: 0 })).toEqual([undefined]);
  expect(waits({})).toEqual(Array(8).fill(5000));
});
it('exponential: half a second, then half as much again, up to the limit; the jitter is half of it', () => {
  expect(waits({ policy: 'exponential', maxIntervalMs: 1000, maxRetries: 4 })).toEqual([500, 750, 1000, 1000, undefined]);
  expect(waits({ policy: 'exponential', maxIntervalMs: 1000, maxRetries: 2 }, { random: 0 })).toEqual([250, 375, undefined]);
  expect(waits({ policy: 'exponential', maxIntervalMs: 1000, maxRetries: 2 }, { random: 1 })).toEqual([750, 1125, undefined]);
});
it('exponential: ends when the next attempt would begin too late, the time of attempts counted', () => {
  expect(waits({ policy: 'exponential', maxIntervalMs: 1000, maxElapsedMs: 10_000 }, { eachTakes: 4000 })).toEqual([500, 750, undefined]);
});
