import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { createLogger } from '../../core/log.ts';
import type { ResiliencyResource } from '../resources/kinds.ts';
import { readResiliency } from '../resources/schemas.ts';
import type { Policy } from './policy.ts';
import { createResiliency, type ResiliencyEvent } from './resiliency.ts';

const resource = (name: string, policies: object, targets: object = {}): ResiliencyResource =>
  readResiliency({ metadata: { name }, spec: { policies, targets } }, { file: 'a.yaml', document: 1 });

async function resiliency(...resources: ResiliencyResource[]) {
  const lines: string[] = [];
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', level: 'info', write: (line) => lines.push(/level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)/.exec(line)?.slice(1).map((part) => (part.startsWith('"') ? JSON.parse(part) : part)).join(': ') ?? line) });
  const events: ResiliencyEvent[] = [];
  const loaded: string[] = [];
  const block = createResiliency({ log, observer: { applied: (event) => events.push(event), loaded: ({ name }) => loaded.push(name) } });
  await block.load(resources);
  return { ...block, lines, events, loaded };
}
const tries = async (policy: Policy | undefined): Promise<number> => {
  let count = 0;
  await policy?.run(background, async () => { count++; throw new Error('no'); }).catch(() => undefined);
  return count;
};
const retries = (maxRetries: number) => ({ duration: '1ms', maxRetries });
const opens = (failures: number) => ({ trip: `consecutiveFailures >= ${failures}`, timeout: '1h' });

describe('which policy applies', () => {
  it('none where nothing is said', async () => {
    const { app, outbound, inbound, actorCall, actorTurn, isTarget } = await resiliency(resource('r', { retries: { some: retries(1) } }, { apps: { other: { retry: 'some' } } }));
    expect([app('x'), outbound('x', 'Statestore'), inbound('x', 'Pubsub'), actorCall('x', '1'), actorTurn('x', '1'), isTarget('x'), isTarget('other')]).toEqual([undefined, undefined, undefined, undefined, undefined, false, true]);
  });
  it('what a target names, and nothing else: the rest is not filled in from the defaults', async () => {
    const { app, outbound, inbound } = await resiliency(resource('r', { retries: { DefaultRetryPolicy: retries(5), two: retries(2) }, timeouts: { t: '1h' } }, {
      apps: { a: { timeout: 't' }, unknown: { retry: 'nobody' } },
      components: { c: { outbound: { retry: 'two' } } },
    }));
    expect([await tries(app('a')?.('x')), await tries(outbound('c', 'Statestore')), app('unknown')?.('x'), inbound('c', 'Pubsub')]).toEqual([1, 3, undefined, undefined]);
    expect(await tries(app('b')?.('x'))).toBe(6);
  });
  it('else the most specific default of each kind', async () => {
    const names = ['DefaultStatestoreComponentOutboundRetryPolicy', 'DefaultComponentOutboundRetryPolicy', 'DefaultComponentInboundRetryPolicy', 'DefaultAppRetryPolicy', 'DefaultRetryPolicy'];
    const { app, outbound, inbound, actorCall } = await resiliency(resource('r', { retries: Object.fromEntries(names.map((name, i) => [name, retries(i + 1)])) }));
    expect(await Promise.all([outbound('s', 'Statestore'), outbound('s', 'Lock'), inbound('p', 'Pubsub'), app('a')?.('x'), actorCall('t', '1')].map(tries))).toEqual([2, 3, 4, 5, 6]);
    const { outbound: out, inbound: into } = await resiliency(resource('r', { retries: { DefaultComponentRetryPolicy: retries(1), DefaultPubsubComponentInboundRetryPolicy: retries(2) } }));
    expect(await Promise.all([out('a', 'Crypto'), into('a', 'Binding'), into('a', 'Pubsub')].map(tries))).toEqual([2, 2, 3]);
  });
  it('a later resource has the last word on a name', async () => {
    const { app, loaded } = await resiliency(resource('one', { retries: { r: retries(1) } }, { apps: { a: { retry: 'r' } } }), resource('two', { retries: { r: retries(3) } }));
    expect([await tries(app('a')?.('x')), loaded]).toEqual([4, ['one', 'two']]);
  });
  it('labels what it observes with the resource loaded last', async () => {
    const { outbound, events } = await resiliency(resource('one', { timeouts: { t: '1s' } }, { components: { c: { outbound: { timeout: 't' } } } }), resource('two', {}));
    await tries(outbound('c', 'Lock'));
    expect(events).toEqual([{ name: 'two', namespace: '', policy: 'timeout', direction: 'outbound', target: 'Lock_c', status: '' }]);
  });
});

describe('circuit breakers', () => {
  it('are one for each operation of an app, and one for a component in both directions', async () => {
    const { app, outbound, inbound, lines } = await resiliency(resource('r', { circuitBreakers: { two: opens(2) } }, {
      apps: { a: { circuitBreaker: 'two' } },
      components: { c: { inbound: { circuitBreaker: 'two' }, outbound: { circuitBreaker: 'two' } } },
    }));
    expect([await tries(app('a')?.('a:x')), await tries(app('a')?.('a:x')), await tries(app('a')?.('a:x')), await tries(app('a')?.('a:y'))]).toEqual([1, 1, 0, 1]);
    expect([await tries(outbound('c', 'Pubsub')), await tries(inbound('c', 'Pubsub')), await tries(outbound('c', 'Pubsub'))]).toEqual([1, 1, 0]);
    expect(lines.slice(1)).toEqual(['info: Circuit breaker "a:x" changed state from closed to open', 'info: Circuit breaker "two-c" changed state from closed to open']);
  });
  it('of an app are forgotten when there are more than circuitBreakerCacheSize', async () => {
    const { app } = await resiliency(resource('r', { circuitBreakers: { one: opens(1) } }, { apps: { a: { circuitBreaker: 'one', circuitBreakerCacheSize: 2 } } }));
    for (const operation of ['x', 'y']) await tries(app('a')?.(operation));
    expect(await tries(app('a')?.('x'))).toBe(0);
    await tries(app('a')?.('z')); // y is the one used longest ago
    expect([await tries(app('a')?.('x')), await tries(app('a')?.('y'))]).toEqual([0, 1]);
  });
  it('of actors are one for the type or one for each id', async () => {
    const { actorCall } = await resiliency(resource('r', { circuitBreakers: { one: opens(1) } }, {
      actors: { T: { circuitBreaker: 'one', circuitBreakerScope: 'type' }, I: { circuitBreaker: 'one', circuitBreakerScope: 'both' } },
    }));
    expect([await tries(actorCall('T', '1')), await tries(actorCall('T', '2'))]).toEqual([1, 0]);
    expect([await tries(actorCall('I', '1')), await tries(actorCall('I', '1')), await tries(actorCall('I', '2'))]).toEqual([1, 0, 1]);
  });
  it('trip by any of the counts; an expression without a truth value never does', async () => {
    const targets = { components: { all: { outbound: { circuitBreaker: 'share' } }, odd: { outbound: { circuitBreaker: 'odd' } }, number: { outbound: { circuitBreaker: 'number' } } } };
    const { outbound } = await resiliency(resource('r', { circuitBreakers: { share: { trip: 'requests >= 3 && totalFailures * 2 > requests' }, odd: { trip: 'noSuchCount > 1' }, number: { trip: 'requests' } } }, targets));
    const open = async (name: string) => { for (let i = 0; i < 5; i++) if ((await tries(outbound(name, 'Lock'))) === 0) return i; return undefined; };
    expect([await open('all'), await open('odd'), await open('number')]).toEqual([3, undefined, undefined]);
  });
});

describe('built-in retries', () => {
  it('may be replaced by a policy of their name, with three retries at least', async () => {
    const { builtIn, lines } = await resiliency(resource('r', { retries: { DaprBuiltInServiceRetries: { duration: '1ms', maxRetries: 1 }, DaprBuiltInActorNotFoundRetries: { duration: '1ms', maxRetries: 9 } } }));
    expect(await tries(builtIn('DaprBuiltInServiceRetries'))).toBe(4);
    expect(lines).toEqual(expect.arrayContaining([
      'warning: Attempted override of DaprBuiltInServiceRetries did not meet minimum retry count, resetting to 3.',
      'warning: Attempted to override protected policy DaprBuiltInActorNotFoundRetries which is not allowed. Ignoring provided policy and using default.',
    ]));
  });
});

describe('a resource with a fault', () => {
  const errors = async (...resources: ResiliencyResource[]) => (await resiliency(...resources)).lines.filter((line) => line.startsWith('error'));
  it('is an error in the log; what came before the fault counts', async () => {
    const { app, lines, loaded } = await resiliency(resource('bad', { timeouts: { t: 'long' }, retries: { r: retries(1) } }, { apps: { a: { retry: 'r' } } }), resource('ok', { retries: { DefaultRetryPolicy: retries(1) } }));
    expect(lines).toEqual(['info: Loading Resiliency configuration: bad', 'error: Could not read resiliency policy bad: invalid duration "t", long: time: invalid duration "long"', 'info: Loading Resiliency configuration: ok']);
    expect([await tries(app('a')?.('x')), loaded]).toEqual([2, ['ok']]);
  });
  it.each([
    [{ timeouts: { t: '1.5' } }, 'invalid duration "t", 1.5: time: missing unit in duration "1.5"'],
    [{ timeouts: { t: '1d' } }, 'invalid duration "t", 1d: time: unknown unit "d" in duration "1d"'],
    [{ retries: { r: { policy: 'sometimes' } } }, `invalid retry configuration "r": 1 error(s) decoding:\n\n* error decoding 'policy': invalid PolicyType "sometimes": unexpected back off policy type: sometimes`],
    [{ retries: { r: { duration: 'x', maxInterval: 'y' } } }, `invalid retry configuration "r": 2 error(s) decoding:\n\n* error decoding 'duration': invalid duration "x"\n* error decoding 'maxInterval': invalid duration "y"`],
    [{ retries: { r: { matching: { httpStatusCodes: '99' } } } }, 'invalid pattern 99, start code 99 is not valid'],
    [{ circuitBreakers: { c: { timeout: 'x', maxRequests: -1 } } }, `invalid retry configuration "c": 2 error(s) decoding:\n\n* cannot parse 'maxRequests', -1.000000 overflows uint\n* error decoding 'timeout': invalid duration "x"`],
  ])('%j', async (policies, text) => {
    expect(await errors(resource('bad', policies))).toEqual([`error: Could not read resiliency policy bad: ${text}`]);
  });
  it('of a trip expression', async () => {
    expect(await errors(resource('bad', { circuitBreakers: { c: { trip: 'consecutiveFailures >' } } }))).toEqual([expect.stringMatching(/^error: Could not read resiliency policy bad: invalid retry configuration "c": 1 error\(s\) decoding:\n\n\* error decoding 'trip': invalid Expr "consecutiveFailures >": ERROR: <input>:1:/)]);
  });
  it.each([
    [{ actors: { T: { circuitBreaker: 'c' } } }, 'actor circuit breakers must include scope'],
    [{ actors: { T: { circuitBreaker: 'c', circuitBreakerScope: 'all' } } }, 'unknown circuit breaker scope "all"'],
    [{ apps: { a: { circuitBreakerCacheSize: -1 } } }, 'must provide a positive size'],
  ])('%j', async (targets, text) => {
    expect(await errors(resource('bad', {}, targets))).toEqual([`error: Could not read resiliency policy bad: ${text}`]);
  });
});
