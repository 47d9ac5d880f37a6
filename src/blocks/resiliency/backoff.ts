// How long to wait before the next attempt: constant or exponential, with a limit of attempts and of time (dapr/kit retry, cenkalti/backoff v4).

export interface Backoff {
  policy: 'constant' | 'exponential';
  /** Milliseconds between attempts of `constant`. */
  durationMs: number;
  /** The rest is about `exponential`. First wait, in milliseconds. */
  initialIntervalMs: number;
  /** Longest wait, before the jitter of half to one and a half times. */
  maxIntervalMs: number;
  /** No attempt begins later than this after the first one. */
  maxElapsedMs: number;
  /** Attempts after the first; negative: without limit. */
  maxRetries: number;
}

/** What of a retry policy's fields is not written. Source: dapr/kit retry DefaultConfig. */
export const defaultBackoff: Readonly<Backoff> = {
  policy: 'constant', durationMs: 5000, initialIntervalMs: 500, maxIntervalMs: 60_000, maxElapsedMs: 15 * 60_000, maxRetries: -1,
};

const multiplier = 1.5;
const jitter = 0.5;

/** Waits of one run, one after another: milliseconds, or undefined when there is to be no more attempt. */
export type Waits = () => number | undefined;

export function waitsOf(backoff: Backoff, now: () => number = () => performance.now(), random: () => number = Math.random): Waits {
  const { policy, durationMs, maxIntervalMs, maxElapsedMs, maxRetries } = backoff;
  let retries = 0;
  const start = policy === 'exponential' ? now() : 0;
  let interval = backoff.initialIntervalMs;
  return () => {
    if (maxRetries >= 0 && retries++ >= maxRetries) return undefined;
    if (policy === 'constant') return durationMs;
    const wait = interval * (1 - jitter + 2 * jitter * random());
    interval = Math.min(maxIntervalMs, interval * multiplier);
    return now() - start + wait > maxElapsedMs ? undefined : wait;
  };
}
