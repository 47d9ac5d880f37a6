import { describe, expect, it } from 'vitest';
import { type BreakerTemplate, createBreaker, tripsByDefault } from './breaker.ts';

function breaker(template: Partial<BreakerTemplate> = {}) {
  let time = 0;
  const changes: string[] = [];
  const own = createBreaker({ name: 'b', maxRequests: 1, intervalMs: 0, timeoutMs: 1000, trips: tripsByDefault, ...template }, (from, to) => changes.push(`${from} ${to}`), () => time);
  const call = (succeeds: boolean) => own.leave(own.enter(), succeeds);
  return { ...own, call, changes, pass: (ms: number) => { time += ms; } };
}
const fail = (b: ReturnType<typeof breaker>, times: number) => { for (let i = 0; i < times; i++) b.call(false); };

describe('a closed breaker', () => {
  it('opens with the sixth failure in a row; a success starts the row anew', () => {
    const b = breaker();
    fail(b, 5);
    b.call(true);
    fail(b, 5);
    expect(b.state()).toBe('closed');
    fail(b, 1);
    expect(b.state()).toBe('open');
    expect(() => b.enter()).toThrow('circuit breaker is open');
  });
  it('is asked with all counts, the failed call among them', () => {
    const seen: object[] = [];
    const b = breaker({ trips: (counts) => { seen.push({ ...counts }); return false; } });
    b.call(true);
    fail(b, 2);
    expect(seen).toEqual([
      { requests: 2, totalSuccesses: 1, totalFailures: 1, consecutiveSuccesses: 0, consecutiveFailures: 1 },
      { requests: 3, totalSuccesses: 1, totalFailures: 2, consecutiveSuccesses: 0, consecutiveFailures: 2 },
    ]);
  });
  it('forgets its counts after each interval, and calls that began before', () => {
    const b = breaker({ intervalMs: 100 });
    fail(b, 5);
    const early = b.enter();
    b.pass(101);
    b.leave(early, false);
    fail(b, 5);
    expect(b.state()).toBe('closed');
  });
});

describe('an open breaker', () => {
  it('is half-open after its timeout, lets so many calls through and closes when they all succeed', () => {
    const b = breaker({ maxRequests: 2 });
    fail(b, 6);
    b.pass(1000);
    expect(b.state()).toBe('open');
    b.pass(1);
    const [first, second] = [b.enter(), b.enter()];
    expect(() => b.enter()).toThrow('too many requests');
    b.leave(first, true);
    expect(b.state()).toBe('half-open');
    b.leave(second, true);
    expect(b.changes).toEqual(['closed open', 'open half-open', 'half-open closed']);
  });
  it('opens again with one failure while half-open, whatever `trip` says', () => {
    const b = breaker({ trips: ({ consecutiveFailures }) => consecutiveFailures > 5 });
    fail(b, 6);
    b.pass(1001);
    b.call(false);
    expect(b.state()).toBe('open');
    b.pass(1001);
    b.call(true);
    expect(b.state()).toBe('closed');
  });
  it('does not count calls that began before it opened', () => {
    const b = breaker();
    const slow = b.enter();
    fail(b, 6);
    b.pass(1001);
    expect(b.state()).toBe('half-open');
    b.leave(slow, false);
    expect(b.state()).toBe('half-open');
  });
});
