// The circuit breaker: closed, open and half-open, with counts since the last change (sony/gobreaker v0.5.0, which Dapr uses).
import { BreakerRefusal } from './failures.ts';

/** Calls since the breaker last changed its state, or its interval began. */
export interface Counts {
  requests: number;
  totalSuccesses: number;
  totalFailures: number;
  consecutiveSuccesses: number;
  consecutiveFailures: number;
}

/** What a policy says of its breakers; each target has one of its own. */
export interface BreakerTemplate {
  name: string;
  /** Calls let through while half-open, and successes in a row that close it again. */
  maxRequests: number;
  /** Milliseconds after which the counts of a closed breaker start anew; 0: never. */
  intervalMs: number;
  /** Milliseconds from open to half-open. */
  timeoutMs: number;
  /** Asked after each failure while closed. */
  trips(counts: Readonly<Counts>): boolean;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

export interface Breaker {
  state(): BreakerState;
  /** Begins a call; throws BreakerRefusal. The number goes back to `leave`, which ignores calls from before a change of state. */
  enter(): number;
  leave(generation: number, succeeded: boolean): void;
}

/** When Dapr's `trip` is not set. */
export const tripsByDefault = ({ consecutiveFailures }: Readonly<Counts>): boolean => consecutiveFailures > 5;

const noCounts = (): Counts => ({ requests: 0, totalSuccesses: 0, totalFailures: 0, consecutiveSuccesses: 0, consecutiveFailures: 0 });

export function createBreaker({ maxRequests, intervalMs, timeoutMs, trips }: BreakerTemplate, onChange: (from: BreakerState, to: BreakerState) => void, now: () => number = () => performance.now()): Breaker {
  let state: BreakerState = 'closed';
  let generation = 0;
  let counts = noCounts();
  let expiry = Number.POSITIVE_INFINITY;

  const renew = () => {
    generation++;
    counts = noCounts();
    expiry = state === 'open' ? now() + timeoutMs : state === 'closed' && intervalMs > 0 ? now() + intervalMs : Number.POSITIVE_INFINITY;
  };
  const become = (next: BreakerState) => {
    const before = state;
    state = next;
    renew();
    onChange(before, next);
  };
  const current = (): BreakerState => {
    if (expiry < now()) {
      if (state === 'open') become('half-open');
      else renew();
    }
    return state;
  };
  renew();

  return {
    state: current,
    enter: () => {
      if (current() === 'open') throw new BreakerRefusal('open');
      if (state === 'half-open' && counts.requests >= maxRequests) throw new BreakerRefusal('half-open');
      counts.requests++;
      return generation;
    },
    leave: (entered, succeeded) => {
      current();
      if (entered !== generation) return;
      if (succeeded) {
        counts.totalSuccesses++;
        counts.consecutiveSuccesses++;
        counts.consecutiveFailures = 0;
        if (state === 'half-open' && counts.consecutiveSuccesses >= maxRequests) become('closed');
        return;
      }
      counts.totalFailures++;
      counts.consecutiveFailures++;
      counts.consecutiveSuccesses = 0;
      if (state === 'half-open' || trips(counts)) become('open');
    },
  };
}
