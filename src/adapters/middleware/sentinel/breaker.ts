// Sentinel's circuit breakers (sentinel-golang core/circuitbreaker). Dapr tells Sentinel no errors, so that only slow answers open one.
import type { BreakerRule } from './rules.ts';
import { createWindow } from './window.ts';

export interface Breaker {
  /** undefined: refused. The first request after retryTimeoutMs is a probe. */
  tryPass(now: number): 'pass' | 'probe' | undefined;
  /** A request that had passed has ended, after so many milliseconds. */
  completed(tookMs: number, now: number): void;
  /** The probe was refused elsewhere. */
  probeRefused(): void;
}

export function createBreaker(rule: BreakerRule): Breaker {
  const count = rule.statSlidingWindowBucketCount;
  const window = createWindow<'all' | 'bad'>(rule.statIntervalMs, count > 0 && rule.statIntervalMs % count === 0 ? count : 1);
  let state: 'closed' | 'open' | 'halfOpen' = 'closed';
  let retryAt = 0;
  let probes = 0;
  const open = (now: number) => {
    state = 'open';
    retryAt = now + rule.retryTimeoutMs;
    probes = 0;
  };
  return {
    tryPass: (now) => {
      if (state === 'open' && now >= retryAt) {
        state = 'halfOpen';
        return 'probe';
      }
      return state === 'closed' || (state === 'halfOpen' && rule.probeNum > 0) ? 'pass' : undefined;
    },
    completed: (tookMs, now) => {
      const bad = rule.strategy === 0 && tookMs > rule.maxAllowedRtMs;
      window.add('all', 1, now);
      if (bad) window.add('bad', 1, now);
      if (state === 'open') return;
      if (state === 'halfOpen') {
        if (bad) return open(now);
        probes++;
        if (rule.probeNum !== 0 && probes < rule.probeNum) return;
        state = 'closed';
        probes = 0;
        window.clear();
        return;
      }
      const all = window.sum('all', now);
      const measured = rule.strategy === 2 ? window.sum('bad', now) : window.sum('bad', now) / all;
      if (all >= rule.minRequestAmount && measured >= rule.threshold) open(now);
    },
    probeRefused: () => { if (state === 'halfOpen') state = 'open'; },
  };
}
