import { expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { defaultBackoff } from '../resiliency/backoff.ts';
import { createBreaker } from '../resiliency/breaker.ts';
import { createPolicy, type PolicyParts } from '../resiliency/policy.ts';
import { statusMatch } from '../resiliency/status-match.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { createComponentStore } from '../components/store.ts';
import { publishAll } from './bulk-publish.ts';
import type { PubSub } from './port.ts';
import type { StatusFamily } from './publish-status.ts';
import { createPubSubBlock } from './pubsub.ts';

const log = { info: () => undefined, debug: () => undefined, warn: () => undefined } as Partial<Logger> as Logger;
const policyOf = (parts: Partial<PolicyParts>) => createPolicy({ name: 'p', timeoutMs: 0, retry: undefined, breaker: undefined, log, ...parts });
const twice = (httpStatusCodes = '', gRPCStatusCodes = '') => ({ ...defaultBackoff, durationMs: 1, maxRetries: 2, matches: statusMatch({ httpStatusCodes, gRPCStatusCodes }) });
const entries = (...ids: string[]) => ids.map((entryId) => ({ entryId, data: new TextEncoder().encode(entryId), metadata: {} }));

/** Each entry fails with its errors, one after another, then goes out. */
function broker(errors: Record<string, Error[]>) {
  const sent: string[] = [];
  const port = { publish: async ({ data }: { data: Uint8Array }) => {
    const id = new TextDecoder().decode(data);
    sent.push(id);
    const error = errors[id]?.shift();
    if (error) throw error;
  } } as Partial<PubSub> as PubSub;
  return { port, sent };
}
const publish = async (port: PubSub, parts: Partial<PolicyParts> | undefined, ids: string[], family: StatusFamily = 'http') => {
  const { failed, error } = await publishAll(port, 't', entries(...ids), { maxParallel: 1, policy: parts && policyOf(parts), family }, background);
  return [failed.map(({ entryId, error: text }) => `${entryId} ${text}`), error === undefined ? undefined : textOf(error)];
};
const gone = () => new AdapterError('unavailable', 'gone');
const never = () => new AdapterError('invalid', 'never');

it('only entries that failed are sent again', async () => {
  const { port, sent } = broker({ b: [gone()], c: [gone(), gone(), gone()] });
  expect([await publish(port, { retry: twice() }, ['a', 'b', 'c']), sent]).toEqual([[['c gone'], 'gone'], ['a', 'b', 'c', 'b', 'c', 'c']]);
});
it('the first failure decides whether its status is retried: 503 and 400 over HTTP, 14 and 9 else', async () => {
  const tries = async (error: () => Error, retry: ReturnType<typeof twice>, family: StatusFamily) => { const { port, sent } = broker({ a: [error(), error(), error()] }); await publish(port, { retry }, ['a'], family); return sent.length; };
  expect([await tries(gone, twice('503'), 'http'), await tries(never, twice('503'), 'http'), await tries(never, twice('400'), 'http')]).toEqual([3, 1, 3]);
  expect([await tries(gone, twice('', '14'), 'grpc'), await tries(never, twice('', '14'), 'grpc'), await tries(() => new Error('plain'), twice('503', '14'), 'grpc')]).toEqual([3, 1, 3]);
});
it('a single publish looks at the same statuses', async () => {
  const tries = async (error: () => Error, retry: ReturnType<typeof twice>, family: StatusFamily) => {
    const { port, sent } = broker({ x: [error(), error(), error()] });
    const components = createComponentStore();
    components.add({ name: 'bus', type: 'pubsub.test', version: 'v1', block: 'pubsub', features: [], properties: {}, port });
    const resiliency = { outbound: () => policyOf({ retry }), inbound: () => undefined } as Partial<Resiliency> as Resiliency;
    const bus = createPubSubBlock({ components, appId: 'a', namespace: '', maxParallel: 1, resiliency }).component('bus', {});
    await expect(bus.publish('t', { data: new TextEncoder().encode('x'), contentType: 'text/plain', metadata: {}, trace: { traceparent: '', tracestate: '' } }, true, background, family)).rejects.toThrow(error().message);
    return sent.length;
  };
  expect([await tries(gone, twice('503'), 'http'), await tries(never, twice('503'), 'http'), await tries(never, twice('500-599'), 'http'), await tries(never, twice('400'), 'http')]).toEqual([3, 1, 1, 3]);
  expect([await tries(gone, twice('', '14'), 'grpc'), await tries(never, twice('', '14'), 'grpc'), await tries(() => new Error('plain'), twice('503', '14'), 'grpc')]).toEqual([3, 1, 3]);
});
it('what is left when a timeout or the breaker ends it has failed with that', async () => {
  const hanging = { publish: () => new Promise<never>(() => undefined) } as Partial<PubSub> as PubSub;
  expect(await publish(hanging, { timeoutMs: 5 }, ['a', 'b'])).toEqual([['a context deadline exceeded', 'b context deadline exceeded'], 'context deadline exceeded']);
  const breaker = createBreaker({ name: 'b', maxRequests: 1, intervalMs: 0, timeoutMs: 60_000, trips: () => true }, () => undefined);
  const { port, sent } = broker({ b: [gone(), gone()] });
  expect([await publish(port, { retry: twice(), breaker }, ['a', 'b']), sent]).toEqual([[['b circuit breaker is open'], 'circuit breaker is open'], ['a', 'b']]);
});
