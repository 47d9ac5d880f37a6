import { describe, expect, it } from 'vitest';
import { background, type CallContext } from '../../core/context.ts';
import type { Logger } from '../../core/log.ts';
import { defaultBackoff } from './backoff.ts';
import { createBreaker, tripsByDefault } from './breaker.ts';
import { Final, StatusFailure } from './failures.ts';
import { createPolicy, type PolicyParts, type Retry } from './policy.ts';
import { statusMatch } from './status-match.ts';

const retry = (more: Partial<Retry> = {}): Retry => ({ ...defaultBackoff, durationMs: 5, maxRetries: 2, matches: statusMatch({ httpStatusCodes: '', gRPCStatusCodes: '' }), ...more });
const breakerThatOpensAt = (failures: number) => createBreaker({ name: 'b', maxRequests: 1, intervalMs: 0, timeoutMs: 60_000, trips: (counts) => counts.consecutiveFailures >= failures }, () => undefined);

function policy(parts: Partial<PolicyParts>) {
  const lines: string[] = [];
  const line = (text: string) => { lines.push(text); };
  const log = { info: line, warn: line, debug: () => undefined } as Partial<Logger> as Logger;
  const events: string[] = [];
  const observer = { applied: (kind: string, state: string) => { events.push(`applied ${kind}${state && ` ${state}`}`); }, activated: (kind: string, state: string) => { events.push(`activated ${kind}${state && ` ${state}`}`); } };
  return { ...createPolicy({ name: 'op', timeoutMs: 0, retry: undefined, breaker: undefined, log, observer, ...parts }), lines, events };
}
/** Fails so many times, then answers with the number of the try. */
const failing = (times: number, error: (n: number) => unknown = (n) => new Error(`failure ${n}`)) => {
  let calls = 0;
  const work = async () => {
    calls++;
    if (calls <= times) throw error(calls);
    return calls;
  };
  return { work, calls: () => calls };
};
const outcome = (promise: Promise<unknown>) => promise.catch((error: Error) => `${error.name}: ${error.message}`);
const never = () => new Promise<never>(() => undefined);

describe('retries', () => {
  it('end with the first success; the log has one line for the first failure and one for the end', async () => {
    const p = policy({ retry: retry() });
    expect(await p.run(background, failing(2).work)).toBe(3);
    expect(p.lines).toEqual(['Error processing operation op. Retrying in 5ms…', 'Recovered processing operation op after 3 attempts']);
    expect(p.events).toEqual(['applied retry', 'activated retry']);
  });
  it('end with the last error when they are used up', async () => {
    const { work, calls } = failing(9);
    expect([await outcome(policy({ retry: retry() }).run(background, work)), calls()]).toEqual(['Error: failure 3', 3]);
  });
  it('number the attempts, and stop when one says it is the last', async () => {
    const seen: number[] = [];
    const p = policy({ retry: retry({ maxRetries: -1 }) });
    expect(await outcome(p.run(background, async (_, attempt) => { seen.push(attempt.number); if (attempt.number === 3) attempt.last(); throw new Error('no'); }))).toBe('Error: no');
    expect(seen).toEqual([1, 2, 3]);
  });
  it('are for matching statuses only; errors without a status are always tried again', async () => {
    const some = retry({ matches: statusMatch({ httpStatusCodes: '503', gRPCStatusCodes: '' }) });
    const tries = async (status: number) => { const { work, calls } = failing(9, () => new StatusFailure(status, 'x')); await outcome(policy({ retry: some }).run(background, work)); return calls(); };
    expect([await tries(503), await tries(500), await tries(14)]).toEqual([3, 1, 3]);
    const plain = failing(9);
    await outcome(policy({ retry: some }).run(background, plain.work));
    expect(plain.calls()).toBe(3);
  });
  it('are not for final errors, which come out as what is in them', async () => {
    const { work, calls } = failing(9, () => new Final(new TypeError('no way')));
    expect([await outcome(policy({ retry: retry() }).run(background, work)), calls()]).toEqual(['TypeError: no way', 1]);
  });
  it('end when the caller leaves, also in a pause', async () => {
    const caller = new AbortController();
    const run = policy({ retry: retry({ durationMs: 60_000 }) }).run({ ...background, signal: caller.signal }, failing(9).work);
    setTimeout(() => caller.abort(), 10);
    expect(await outcome(run)).toBe('AttemptEnded: context canceled');
  });
  it('end with the last error when they are to stop', async () => {
    const stop = new AbortController();
    const run = policy({ retry: retry({ durationMs: 60_000 }) }).run(background, failing(9).work, { stop: stop.signal });
    setTimeout(() => stop.abort(), 10);
    expect(await outcome(run)).toBe('Error: failure 1');
    expect(await outcome(policy({ retry: retry() }).run(background, failing(9).work, { stop: stop.signal }))).toBe('Error: failure 1');
  });
});

describe('a timeout', () => {
  it('is for each try, ends its signal and is tried again', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const p = policy({ timeoutMs: 20, retry: retry() });
    expect(await outcome(p.run(background, async ({ signal }) => { signals.push(signal); await never(); }))).toBe('AttemptEnded: context deadline exceeded');
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true]);
    expect(p.events).toEqual(['applied timeout', 'applied retry', 'activated timeout', 'activated retry']);
  });
  it('leaves work in time alone: its signal does not end', async () => {
    let signal: AbortSignal | undefined;
    expect(await policy({ timeoutMs: 10 }).run(background, async (limited) => { signal = limited.signal; return 1; })).toBe(1);
    await new Promise((done) => setTimeout(done, 25));
    expect(signal?.aborted).toBe(false);
  });
  it('gives a late result to whoever frees it', async () => {
    const late: number[] = [];
    const work = () => new Promise<number>((done) => setTimeout(done, 30, 7));
    expect(await outcome(policy({ timeoutMs: 10 }).run(background, work, { dispose: (value) => late.push(value) }))).toBe('AttemptEnded: context deadline exceeded');
    await new Promise((done) => setTimeout(done, 40));
    expect(late).toEqual([7]);
  });
  it('keeps the rest of the context, and work that looks at its signal ends when the caller leaves', async () => {
    const caller = new AbortController();
    const context: CallContext = { traceparent: 'tp', tracestate: 'ts', baggage: 'b', signal: caller.signal };
    let seen: CallContext | undefined;
    const run = policy({ timeoutMs: 60_000 }).run(context, async (limited) => { seen = limited; void limited.signal; await never(); });
    setTimeout(() => caller.abort(), 10);
    expect(await outcome(run)).toBe('AttemptEnded: context canceled');
    expect([seen?.traceparent, seen?.tracestate, seen?.baggage, seen?.signal?.aborted]).toEqual(['tp', 'ts', 'b', true]);
  });
});

describe('a circuit breaker', () => {
  it('counts every try and ends the retries when it opens', async () => {
    const { work, calls } = failing(9);
    const p = policy({ retry: retry({ maxRetries: 8 }), breaker: breakerThatOpensAt(3) });
    expect([await outcome(p.run(background, work)), calls()]).toEqual(['BreakerRefusal: circuit breaker is open', 3]);
    expect(p.events).toEqual(['applied retry', 'applied circuitbreaker closed', 'activated retry', 'activated circuitbreaker open']);
    expect([await outcome(p.run(background, work)), calls()]).toEqual(['BreakerRefusal: circuit breaker is open', 3]);
  });
  it('counts timeouts, final errors and statuses that are not retried', async () => {
    const breaker = breakerThatOpensAt(3);
    const p = policy({ timeoutMs: 10, breaker });
    await outcome(p.run(background, never));
    await outcome(p.run(background, async () => { throw new Final(new Error('x')); }));
    await outcome(p.run(background, async () => { throw new StatusFailure(404, 'x'); }));
    expect(breaker.state()).toBe('open');
  });
  it('lets one call through when it is half-open', async () => {
    let time = 0;
    const breaker = createBreaker({ name: 'b', maxRequests: 1, intervalMs: 0, timeoutMs: 100, trips: tripsByDefault }, () => undefined, () => time);
    const p = policy({ breaker });
    for (let i = 0; i < 6; i++) await outcome(p.run(background, failing(9).work));
    time = 101;
    let finish = () => {};
    const first = p.run(background, () => new Promise<void>((done) => { finish = done; }));
    expect(await outcome(p.run(background, async () => 1))).toBe('BreakerRefusal: too many requests');
    finish();
    await first;
    expect(await p.run(background, async () => 1)).toBe(1);
  });
});
