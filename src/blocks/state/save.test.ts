import { expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { etagInvalid, etagMismatch, textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { defaultBackoff } from '../resiliency/backoff.ts';
import { createPolicy } from '../resiliency/policy.ts';
import type { SetRequest, StateStore } from './port.ts';
import { saveAll } from './save.ts';

const log = { info: () => undefined, debug: () => undefined, warn: () => undefined } as Partial<Logger> as Logger;
const thrice = createPolicy({ name: 'p', timeoutMs: 0, retry: { ...defaultBackoff, durationMs: 1, maxRetries: 3, matches: () => true }, breaker: undefined, log });
const requests = (...keys: string[]): SetRequest[] => keys.map((key) => ({ key, value: { json: '1' }, metadata: {}, etag: undefined, concurrency: '', consistency: '' }));

/** Each key fails with its errors, one after another, then is written. */
function store(errors: Record<string, (Error | undefined)[]>) {
  const calls: string[] = [];
  const set = async ({ key }: SetRequest): Promise<void> => {
    calls.push(key);
    const error = errors[key]?.shift();
    if (error) throw error;
  };
  return { calls, port: { set } as Partial<StateStore> as StateStore };
}
const save = async (port: StateStore, policy: typeof thrice | undefined, ...keys: string[]) => {
  try {
    await saveAll(port, requests(...keys), 1, policy, background);
    return 'saved';
  } catch (error) {
    return `${(error as { kind?: string }).kind}: ${textOf(error)}`;
  }
};

it('without a policy every value is tried once', async () => {
  const { port, calls } = store({ a: [new Error('one')], b: [new Error('two')] });
  expect([await save(port, undefined, 'a', 'b', 'c'), calls]).toEqual(['internal: one\ntwo', ['a', 'b', 'c']]);
});
it('only what failed is tried again', async () => {
  const { port, calls } = store({ b: [new Error('x'), new Error('x')] });
  expect([await save(port, thrice, 'a', 'b', 'c'), calls]).toEqual(['saved', ['a', 'b', 'c', 'b', 'b']]);
});
it('a write refused for its etag is not, and is the answer although the others come through', async () => {
  const { port, calls } = store({ a: [etagMismatch()], b: [new Error('x')] });
  expect([await save(port, thrice, 'a', 'b', 'c'), calls]).toEqual(['etagMismatch: possible etag mismatch. error from state store: possible etag mismatch. error from state store', ['a', 'b', 'c', 'b']]);
  const single = store({ a: [etagInvalid()] });
  expect([await save(single.port, thrice, 'a'), single.calls]).toEqual(['etagInvalid: invalid etag value', ['a']]);
});
it('a store with a way of its own for many is asked for all of them again', async () => {
  const sizes: number[] = [];
  const port = { bulkSet: async (all: SetRequest[]) => { sizes.push(all.length); if (sizes.length < 3) throw new Error('x'); } } as Partial<StateStore> as StateStore;
  expect([await save(port, thrice, 'a', 'b'), sizes]).toEqual(['saved', [2, 2, 2]]);
  const refusing = { bulkSet: async () => { sizes.push(0); throw etagMismatch(); } } as Partial<StateStore> as StateStore;
  expect([await save(refusing, thrice, 'a', 'b'), sizes.length]).toEqual(['etagMismatch: possible etag mismatch. error from state store: possible etag mismatch. error from state store', 4]);
});
