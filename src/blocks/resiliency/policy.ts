// One resiliency policy at work: retry around circuit breaker around timeout around the operation (dapr/pkg/resiliency/policy.go).
import { type CallContext, withSignal } from '../../core/context.ts';
import { formatDuration } from '../../core/duration.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type Backoff, waitsOf } from './backoff.ts';
import type { Breaker, BreakerState } from './breaker.ts';
import { AttemptEnded, BreakerRefusal, Final, StatusFailure } from './failures.ts';
import type { StatusMatch } from './status-match.ts';

export interface Retry extends Backoff {
  matches: StatusMatch;
}

/** One try of an operation. */
export interface Attempt {
  /** From 1. */
  readonly number: number;
  /** Its timeout has run out: what it does now is of no use. */
  readonly late: boolean;
  /** Whatever comes of this try, there is no other: its input is used up, or its answer is on the way to the caller. */
  last(): void;
}

export interface RunOptions<T> {
  /** Gets a result that came after its timeout, to free what it holds. */
  dispose?(late: T): void;
  /** No more attempts once this is aborted; a pause ends at once with the last error. An attempt under way goes on. */
  stop?: AbortSignal | undefined;
}

export interface Policy {
  /** Whether the operation may be tried more than once. */
  readonly retries: boolean;
  /**
   * Runs the operation. Each attempt gets a context whose signal also ends with its timeout; without a timeout it is the caller's own.
   * Rejects with the operation's last error (of a Final the error inside), AttemptEnded or BreakerRefusal.
   */
  run<T>(context: CallContext, work: (context: CallContext, attempt: Attempt) => T | Promise<T>, options?: RunOptions<T>): Promise<T>;
}

export type PolicyKind = 'timeout' | 'retry' | 'circuitbreaker';

/** Told of each run what applies to it and what of that had to act: metrics hang here. */
export interface PolicyObserver {
  /** `state`: the breaker's, '' for the other kinds. */
  applied(kind: PolicyKind, state: BreakerState | ''): void;
  /** A timeout ran out, retries began, the breaker changed to `state`; the first two once a run. */
  activated(kind: PolicyKind, state: BreakerState | ''): void;
}

export interface PolicyParts {
  /** As logs call it: `endpoint[app, app:method]`. */
  name: string;
  /** 0: none. */
  timeoutMs: number;
  retry: Retry | undefined;
  breaker: Breaker | undefined;
  log: Logger;
  observer?: PolicyObserver | undefined;
}

/** Timers cannot wait longer, and would fire at once. */
const longestWait = 2 ** 31 - 1;

export function createPolicy({ name, timeoutMs, retry, breaker, log, observer }: PolicyParts): Policy {
  return {
    retries: retry !== undefined && retry.maxRetries !== 0,
    run: async (context, work, { dispose, stop } = {}) => {
      if (observer) {
        if (timeoutMs > 0) observer.applied('timeout', '');
        if (retry) observer.applied('retry', '');
        if (breaker) observer.applied('circuitbreaker', breaker.state());
      }
      let timedOut = false;
      const waits = retry && waitsOf(retry);
      let repeated = false;
      let isLast = false;
      const last = () => { isLast = true; };
      for (let number = 1; ; number++) {
        const attempt = { number, last, late: false };
        const onTimeout = () => {
          attempt.late = true;
          if (!timedOut) observer?.activated('timeout', '');
          timedOut = true;
        };
        const timed = timeoutMs > 0 ? () => withTimeout(context, timeoutMs, (limited) => work(limited, attempt), onTimeout, dispose) : () => work(context, attempt);
        try {
          const result = breaker ? await guarded(breaker, timed, observer) : await timed();
          if (repeated) log.info(`Recovered processing operation ${name} after ${number} attempts`);
          return result;
        } catch (error) {
          if (error instanceof Final) throw error.error;
          if (retry === undefined || isLast || error instanceof BreakerRefusal) throw error;
          if (error instanceof StatusFailure && !retry.matches(error.status)) throw error;
          if (context.signal?.aborted) throw new AttemptEnded('canceled');
          const wait = stop?.aborted ? undefined : waits?.();
          if (wait === undefined) throw error;
          if (!repeated) {
            repeated = true;
            observer?.activated('retry', '');
            log.warn(`Error processing operation ${name}. Retrying in ${formatDuration(wait)}…`);
            log.debug(`Error for operation ${name} was: ${textOf(error)}`);
          }
          const end = await pauseFor(wait, context.signal, stop);
          if (end === 'canceled') throw new AttemptEnded('canceled');
          if (end === 'stopped') throw error;
        }
      }
    },
  };
}

async function guarded<T>(breaker: Breaker, work: () => T | Promise<T>, observer: PolicyObserver | undefined): Promise<T> {
  const before = observer && breaker.state();
  try {
    const generation = breaker.enter();
    let succeeded = false;
    try {
      const result = await work();
      succeeded = true;
      return result;
    } finally {
      breaker.leave(generation, succeeded);
    }
  } finally {
    if (observer && breaker.state() !== before) observer.activated('circuitbreaker', breaker.state());
  }
}

/** Nobody waits longer than this for the work; work that heeds its signal ends as well. */
function withTimeout<T>(context: CallContext, ms: number, work: (context: CallContext) => T | Promise<T>, onTimeout: () => void, dispose: ((late: T) => void) | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    let failure: AttemptEnded | undefined;
    // Made for those who look at it: most calls are over before anybody does.
    let limit: AbortController | undefined;
    let outer: AbortSignal | undefined;
    const end = (reason: AttemptEnded['reason']) => {
      over();
      if (reason === 'deadline') onTimeout();
      failure = new AttemptEnded(reason);
      reject(failure);
      limit?.abort(failure);
    };
    const canceled = () => end('canceled');
    const over = () => {
      clearTimeout(timer);
      outer?.removeEventListener('abort', canceled);
    };
    const signal = (): AbortSignal => {
      if (limit !== undefined) return limit.signal;
      limit = new AbortController();
      outer = context.signal;
      if (failure !== undefined) limit.abort(failure);
      else if (outer?.aborted) canceled();
      else outer?.addEventListener('abort', canceled, { once: true });
      return limit.signal;
    };
    const timer = setTimeout(end, Math.min(ms, longestWait), 'deadline');
    const run = async () => work(withSignal(context, signal));
    run().then(
      (result) => {
        if (failure !== undefined) return dispose?.(result);
        over();
        resolve(result);
      },
      (error) => {
        if (failure !== undefined) return;
        over();
        reject(error);
      },
    );
  });
}

function pauseFor(ms: number, canceled: AbortSignal | undefined, stop: AbortSignal | undefined): Promise<'over' | 'canceled' | 'stopped'> {
  return new Promise((resolve) => {
    const end = (how: 'over' | 'canceled' | 'stopped') => {
      clearTimeout(timer);
      canceled?.removeEventListener('abort', onCancel);
      stop?.removeEventListener('abort', onStop);
      resolve(how);
    };
    const onCancel = () => end('canceled');
    const onStop = () => end('stopped');
    const timer = setTimeout(end, Math.min(Math.max(ms, 0), longestWait), 'over');
    canceled?.addEventListener('abort', onCancel, { once: true });
    stop?.addEventListener('abort', onStop, { once: true });
  });
}
