import { Cron } from 'croner';
import { expect, test } from 'vitest';
import { parseSchedule } from './cron-schedule.ts';

/** The first times after one, in UTC. */
const times = (schedule: string, from: string, count: number): string[] => {
  const parsed = parseSchedule(schedule, Cron);
  const out: string[] = [];
  let at: number | undefined = Date.parse(from);
  for (let i = 0; i < count && at !== undefined; i++) {
    at = parsed.next(at);
    if (at !== undefined) out.push(new Date(at).toISOString().replace('.000Z', 'Z'));
  }
  return out;
};

test.each<[string, string, string[]]>([
  ['TZ=UTC 15 * * * * *', '2026-01-01T00:00:15Z', ['2026-01-01T00:01:15Z', '2026-01-01T00:02:15Z']],
  ['CRON_TZ=UTC */20 * * * *', '2026-01-01T00:00:00Z', ['2026-01-01T00:20:00Z', '2026-01-01T00:40:00Z', '2026-01-01T01:00:00Z']],
  ['TZ=UTC 50/4 * * * * *', '2026-01-01T00:00:51Z', ['2026-01-01T00:00:54Z', '2026-01-01T00:00:58Z', '2026-01-01T00:01:50Z']],
  ['TZ=UTC 0 0 12 ? JAN-mar MON', '2026-01-01T00:00:00Z', ['2026-01-05T12:00:00Z', '2026-01-12T12:00:00Z']],
  ['TZ=UTC 0 0 0 13 * FRI', '2026-02-01T00:00:00Z', ['2026-02-06T00:00:00Z', '2026-02-13T00:00:00Z', '2026-02-20T00:00:00Z']],
  ['TZ=UTC @hourly', '2026-01-01T00:00:00Z', ['2026-01-01T01:00:00Z', '2026-01-01T02:00:00Z']],
  ['TZ=UTC @weekly', '2026-01-01T00:00:00Z', ['2026-01-04T00:00:00Z']],
  ['@every 1m30s', '2026-01-01T00:00:00Z', ['2026-01-01T00:01:30Z', '2026-01-01T00:03:00Z']],
  ['@every 250ms', '2026-01-01T00:00:00Z', ['2026-01-01T00:00:00.250Z']],
  ['CRON_TZ=Asia/Tokyo 0 6 * * *', '2026-01-01T00:00:00Z', ['2026-01-01T21:00:00Z', '2026-01-02T21:00:00Z']],
  ['TZ=UTC 0 0 31 2 *', '2026-01-01T00:00:00Z', []],
  ['TZ=UTC , * * * *', '2026-01-01T00:00:00Z', []],
])('%s', (schedule, from, expected) => {
  expect(times(schedule, from, Math.max(1, expected.length))).toEqual(expected);
});

test.each([
  ['sometimes', 'expected 5 to 6 fields, found 1: [sometimes]'],
  ['* * * *', 'expected 5 to 6 fields, found 4: [* * * *]'],
  ['60 * * * *', 'end of range (60) above maximum (59): 60'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['* * * * 7', 'end of range (7) above maximum (6): 7'],
  ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
  ['1/2/3 * * * *', 'too many slashes: 1/2/3'],
  ['x * * * *', 'failed to parse int from x'],
  ['L * * * *', 'failed to parse int from L'],
  ['@fortnightly', 'unrecognized descriptor: @fortnightly'],
  ['@every often', 'failed to parse duration @every often'],
  ['@every 0s', 'must be at least a millisecond'],
  ['TZ=Nowhere/Else * * * * *', 'provided bad location Nowhere/Else'],
  ['TZ=UTC', 'expected 5 to 6 fields, found 0: []'],
])('%s is refused', (schedule, message) => {
  expect(() => parseSchedule(schedule, Cron)).toThrow(message);
});
