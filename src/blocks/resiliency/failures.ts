// How an attempt under a policy fails: errors with a status to match, errors that end the retries, and what policies themselves answer with.

/** A failure that has a status: retries look at it (`matching`). 0-16 is a gRPC code, 100-599 an HTTP status; anything else is never retried. */
export class StatusFailure extends Error {
  override name = 'StatusFailure';
  readonly status: number;
  constructor(status: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
  }
}

/** Not to be tried again; whoever runs the policy gets `error` itself. */
export class Final extends Error {
  override name = 'Final';
  readonly error: unknown;
  constructor(error: unknown) {
    super('final', { cause: error });
    this.error = error;
  }
}

/** A timeout policy ran out, or the caller left while a policy had the call in hand. The texts are Go's context errors. */
export class AttemptEnded extends Error {
  override name = 'AttemptEnded';
  readonly reason: 'deadline' | 'canceled';
  constructor(reason: AttemptEnded['reason']) {
    super(reason === 'deadline' ? 'context deadline exceeded' : 'context canceled');
    this.reason = reason;
  }
}

/** The circuit breaker let nobody through; never retried. The texts are those of sony/gobreaker. */
export class BreakerRefusal extends Error {
  override name = 'BreakerRefusal';
  constructor(state: 'open' | 'half-open') {
    super(state === 'open' ? 'circuit breaker is open' : 'too many requests');
  }
}
