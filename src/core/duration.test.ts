import { expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

it.each([['0', 0], ['5s', 5000], ['1h30m', 5_400_000], ['1.5m', 90_000], ['-2s', -2000], ['100ms', 100], ['1µs', 0.001], ['.5s', 500]])('reads %s', (text, ms) => expect(parseDuration(text)).toBeCloseTo(ms, 9));
it.each(['', '5', 's', '1 s', '1d', '1s2', 'abc'])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined());
it.each([[0, '0s'], [5000, '5s'], [500, '500ms'], [90_000, '1m30s'], [3_600_000, '1h0m0s'], [1500, '1.5s'], [-2000, '-2s'], [0.25, '250µs']])('prints %d ms as %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
