// Named policies of Resiliency resources: texts become timeouts, retries and circuit breakers, or the reason why not (dapr/pkg/resiliency/resiliency.go decodePolicies).
import { parseDuration } from '../../core/duration.ts';
import { textOf } from '../../core/errors.ts';
import { goQuote } from '../../core/go-quote.ts';
import type { Logger } from '../../core/log.ts';
import type { CircuitBreakerSpec, ResiliencyResource, RetrySpec } from '../resources/kinds.ts';
import { defaultBackoff } from './backoff.ts';
import { type BreakerTemplate, type Counts, tripsByDefault } from './breaker.ts';
import type { Retry } from './policy.ts';
import { statusMatch } from './status-match.ts';

/** Everything that has a name, of all resources together; of two with one name the later counts. */
export interface NamedPolicies {
  /** Milliseconds. */
  readonly timeouts: Map<string, number>;
  readonly retries: Map<string, Retry>;
  readonly breakers: Map<string, BreakerTemplate>;
}

/** Retries Dapr has of its own. All but the last may be replaced by a policy of that name. */
export type BuiltInName = 'DaprBuiltInServiceRetries' | 'DaprBuiltInActorRetries' | 'DaprBuiltInActorReminderRetries' | 'DaprBuiltInInitializationRetries' | 'DaprBuiltInActorNotFoundRetries';
const fewestBuiltInRetries = 3;

export const builtInRetries = (): Map<BuiltInName, Retry> => {
  const matches = () => true;
  return new Map<BuiltInName, Retry>([
    ['DaprBuiltInServiceRetries', { ...defaultBackoff, durationMs: 1000, maxRetries: 3, matches }],
    ['DaprBuiltInActorRetries', { ...defaultBackoff, durationMs: 1000, maxRetries: 3, matches }],
    ['DaprBuiltInActorReminderRetries', { ...defaultBackoff, policy: 'exponential', maxRetries: 0, matches }],
    ['DaprBuiltInInitializationRetries', { ...defaultBackoff, policy: 'exponential', maxIntervalMs: 1000, maxElapsedMs: 10_000, maxRetries: 3, matches }],
    ['DaprBuiltInActorNotFoundRetries', { ...defaultBackoff, durationMs: 1000, maxRetries: 5, matches }],
  ]);
};

/** Makes a `trip` expression a function of the counts. Rejects with what is wrong with it. */
export type CompileTrip = (expression: string) => Promise<(counts: Readonly<Counts>) => boolean>;

/** Adds a resource's policies. Rejects at the first fault; what came before it stays. */
export async function readPolicies({ timeouts, retries, circuitBreakers }: ResiliencyResource['spec']['policies'], into: NamedPolicies, compileTrip: CompileTrip, log: Logger): Promise<void> {
  for (const [name, text] of Object.entries(timeouts)) {
    const ms = millisecondsOf(text);
    // upstream has entered the name by then
    into.timeouts.set(name, ms ?? 0);
    if (ms === undefined) throw new Error(`invalid duration ${goQuote(name)}, ${text}: ${durationFault(text)}`);
  }
  for (const [name, spec] of Object.entries(retries)) {
    const read = retryOf(name, spec);
    if (name === 'DaprBuiltInActorNotFoundRetries') {
      log.warn(`Attempted to override protected policy ${name} which is not allowed. Ignoring provided policy and using default.`);
      continue;
    }
    if (builtInRetries().has(name as BuiltInName) && read.maxRetries < fewestBuiltInRetries) {
      log.warn(`Attempted override of ${name} did not meet minimum retry count, resetting to ${fewestBuiltInRetries}.`);
      read.maxRetries = fewestBuiltInRetries;
    }
    into.retries.set(name, { ...read, matches: statusMatch(spec.matching) });
  }
  for (const [name, spec] of Object.entries(circuitBreakers)) into.breakers.set(name, await breakerOf(name, spec, compileTrip));
}

function retryOf(name: string, { policy, duration, maxInterval, maxRetries }: RetrySpec): Omit<Retry, 'matches'> {
  const faults: string[] = [];
  const kind = policy === '' ? 'constant' : policy.toLowerCase();
  if (kind !== 'constant' && kind !== 'exponential') faults.push(`error decoding 'policy': invalid PolicyType ${goQuote(policy)}: unexpected back off policy type: ${policy}`);
  const read = {
    ...defaultBackoff,
    policy: kind === 'exponential' ? kind : 'constant',
    durationMs: durationOf('duration', duration, faults) ?? defaultBackoff.durationMs,
    maxIntervalMs: durationOf('maxInterval', maxInterval, faults) ?? defaultBackoff.maxIntervalMs,
    maxRetries: maxRetries ?? defaultBackoff.maxRetries,
  } as const;
  refuseFaults(name, faults);
  return read;
}

async function breakerOf(name: string, { maxRequests = 0, interval, timeout, trip }: CircuitBreakerSpec, compileTrip: CompileTrip): Promise<BreakerTemplate> {
  const faults: string[] = [];
  if (maxRequests < 0) faults.push(`cannot parse 'maxRequests', ${maxRequests.toFixed(6)} overflows uint`);
  const intervalMs = durationOf('interval', interval, faults) ?? 0;
  const timeoutMs = durationOf('timeout', timeout, faults) ?? 0;
  let trips = tripsByDefault;
  if (trip !== '') {
    try {
      trips = await compileTrip(trip);
    } catch (error) {
      faults.push(`error decoding 'trip': invalid Expr ${goQuote(trip)}: ${textOf(error)}`);
    }
  }
  refuseFaults(name, faults);
  return { name, maxRequests: maxRequests || 1, intervalMs: Math.max(0, intervalMs), timeoutMs: timeoutMs > 0 ? timeoutMs : 60_000, trips };
}

/** In the words of the library that decodes these fields for Dapr; the same for retries and circuit breakers. */
function refuseFaults(name: string, faults: string[]): void {
  if (faults.length > 0) throw new Error(`invalid retry configuration ${goQuote(name)}: ${faults.length} error(s) decoding:\n\n${faults.map((fault) => `* ${fault}`).sort().join('\n')}`);
}

function durationOf(field: string, text: string, faults: string[]): number | undefined {
  if (text === '') return undefined;
  const ms = millisecondsOf(text);
  if (ms === undefined) faults.push(`error decoding '${field}': invalid duration ${goQuote(text)}`);
  return ms;
}

/** A Go duration, or whole milliseconds; undefined where it is neither. */
const millisecondsOf = (text: string): number | undefined => (/^[+-]?\d+$/.test(text) ? Number(text) : parseDuration(text));

/** Why Go's time.ParseDuration refuses this text. */
function durationFault(text: string): string {
  const quoted = goQuote(text);
  let rest = text.replace(/^[+-]/, '');
  while (rest !== '') {
    const number = /^(?:\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) break;
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? '';
    if (unit === '') return `time: missing unit in duration ${quoted}`;
    if (parseDuration(`1${unit}`) === undefined) return `time: unknown unit ${goQuote(unit)} in duration ${quoted}`;
    rest = rest.slice(unit.length);
  }
  return `time: invalid duration ${quoted}`;
}
