// Sentinel's flow rules: how many requests of a resource pass in an interval, at once, queued, or slowly at first (sentinel-golang core/flow).
import { type FlowRule, strategies } from './rules.ts';
import { createWindow, type Window } from './window.ts';

export interface FlowGuard {
  readonly rule: FlowRule;
  /** Milliseconds to wait before the request passes, mostly 0; undefined: it is refused. */
  check(now: number): number | undefined;
  /** A request has passed that this rule counts. */
  passed(now: number): void;
}

/** Where Sentinel's own statistic of a resource (1 s in two buckets) does not fit, the rule has one of its own. */
const bucketsOf = (intervalMs: number): number => (intervalMs === 1000 ? 2 : intervalMs > 500 && intervalMs < 10_000 && intervalMs % 500 === 0 ? intervalMs / 500 : 1);

export function createFlowGuard(rule: FlowRule): FlowGuard {
  const interval = rule.statIntervalInMs || 1000;
  const buckets = bucketsOf(interval);
  const window: Window<'pass'> = createWindow(interval, buckets);
  const threshold = rule.tokenCalculateStrategy === strategies.warmUp ? warmUp(rule, (now) => window.previous('pass', now) / (interval / buckets / 1000)) : () => rule.threshold;
  const decide = rule.controlBehavior === 1 ? throttle(rule.maxQueueingTimeMs, interval) : (limit: number, now: number) => (window.sum('pass', now) + 1 > limit ? undefined : 0);
  return {
    rule,
    check: (now) => decide(threshold(now), now),
    passed: (now) => window.add('pass', 1, now),
  };
}

/** Requests pass at equal distances; those that would wait too long are refused. */
function throttle(longestWaitMs: number, intervalMs: number): (limit: number, now: number) => number | undefined {
  let last = Number.NEGATIVE_INFINITY;
  return (limit, now) => {
    if (limit <= 0 || limit < 1) return undefined;
    const distance = intervalMs / limit;
    const due = last + distance;
    if (due <= now) {
      last = now;
      return 0;
    }
    if (due - now > longestWaitMs) return undefined;
    last = due;
    return due - now;
  };
}

/** The limit grows from threshold / coldFactor to the threshold while there is traffic, and shrinks again without. */
function warmUp({ threshold, warmUpPeriodSec, warmUpColdFactor }: FlowRule, previousRate: (now: number) => number): (now: number) => number {
  const cold = warmUpColdFactor <= 1 ? 3 : warmUpColdFactor;
  const warning = Math.floor((warmUpPeriodSec * threshold) / (cold - 1));
  const most = warning + Math.floor((2 * warmUpPeriodSec * threshold) / (1 + cold));
  const slope = (cold - 1) / threshold / (most - warning);
  let stored = 0;
  let filledAt = 0;
  return (now) => {
    const second = now - (now % 1000);
    if (second > filledAt) {
      const rate = previousRate(now);
      const cools = stored < warning || (stored > warning && rate < Math.floor(Math.floor(threshold) / cold));
      if (cools) stored = Math.floor(stored + ((second - filledAt) * threshold) / 1000);
      stored = Math.max(0, Math.min(stored, most) - Math.floor(rate));
      filledAt = second;
    }
    return stored >= warning ? 1 / ((stored - warning) * slope + 1 / threshold) + Number.EPSILON : threshold;
  };
}
