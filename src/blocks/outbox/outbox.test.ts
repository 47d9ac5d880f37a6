import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import stateDefinition from '../../adapters/state/in-memory.ts';
import pubsubDefinition from '../../adapters/pubsub/in-memory.ts';
import { background } from '../../core/context.ts';
import { AdapterError, type DaprError } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import type { ComponentContext } from '../components/definition.ts';
import { createComponentStore } from '../components/store.ts';
import { createPubSubBlock } from '../pubsub/pubsub.ts';
import type { StateStore } from '../state/port.ts';
import { createStateBlock, type Operation } from '../state/state.ts';
import { createOutbox } from './outbox.ts';
import { graceOf } from './reader.ts';

/** A store with an outbox and a broker, both in memory, and what reaches the final topic. */
async function sidecar(more: { properties?: Record<string, string>; store?: Partial<StateStore> } = {}) {
  const logged: string[] = [];
  const say = (message: string) => void logged.push(message);
  const log: Logger = { debug: say, info: say, warn: say, error: say, fatal: say, always: say, scope: () => log };
  const components = createComponentStore();
  const context = { log, name: 'x', host: { background: false } } as unknown as ComponentContext;
  const store = { ...(await stateDefinition.open({}, context)), ...more.store };
  const properties = { outboxPublishPubsub: 'bus', outboxPublishTopic: 'orders', ...more.properties };
  components.add({ name: 'store', type: 'state.in-memory', version: 'v1', block: 'state', features: ['TRANSACTIONAL', 'ETAG'], properties, port: store });
  components.add({ name: 'bus', type: 'pubsub.in-memory', version: 'v1', block: 'pubsub', features: [], properties: {}, port: await pubsubDefinition.open({ concurrencyMode: 'single' }, context) });
  const shared = { components, appId: 'shop', namespace: '', maxParallel: 10 };
  const pubsub = createPubSubBlock(shared);
  const outbox = createOutbox({ ...shared, pubsub, log });
  const state = createStateBlock({ ...shared, outbox }).store('store');
  const internal: Record<string, unknown>[] = [];
  const final: Record<string, unknown>[] = [];
  const broker = pubsub.find('bus')!;
  await broker.subscribe({ topic: 'defaultshopordersoutbox', metadata: {} }, async ({ data }) => void internal.push(JSON.parse(textOfBytes(data))));
  await broker.subscribe({ topic: 'orders', metadata: {} }, async ({ data }) => void final.push(JSON.parse(textOfBytes(data))));
  await outbox.reader.start();
  const transact = (...operations: Operation[]) => state.transact(operations, {}, background, { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=b' });
  const marked = async (id: unknown) => (await store.get({ key: String(id), metadata: {}, consistency: '' }, background)).data;
  return { transact, state, internal, final, logged, outbox, marked };
}
const upsert = (key: string, value: unknown, metadata: Record<string, string> = {}, more: Partial<Operation> = {}): Operation => ({ operation: 'upsert', key, value: { json: JSON.stringify(value) }, metadata, concurrency: '', consistency: '', etag: undefined, ...more });
const shadow = { 'outbox.projection': 'true' };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('outbox', () => {
  it('tells of every upsert once the transaction is done, and clears up', async () => {
    const { transact, internal, final, marked } = await sidecar();
    await transact(upsert('a', 'words'), upsert('b', { z: 1, a: [1] }), { ...upsert('a', 0), operation: 'delete' });
    await vi.advanceTimersByTimeAsync(200);
    expect(internal).toHaveLength(2);
    expect(final).toEqual([]);
    expect(textOfBytes((await marked(internal[0]!.id))!)).toBe('"0"');
    await vi.advanceTimersByTimeAsync(2500);
    expect(final.map(({ data, datacontenttype }) => [data, datacontenttype])).toEqual([['words', 'text/plain'], [{ a: [1], z: 1 }, 'application/json']]);
    expect(final[0]).toMatchObject({ id: internal[0]!.id, topic: 'orders', pubsubname: 'bus', source: 'shop', type: 'com.dapr.event.sent', traceid: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', traceparent: '', tracestate: 'a=b' });
    expect(await marked(internal[0]!.id)).toBeNull();
  });
  it('metadata become attributes; a projection replaces the payload, the first of each key, and is not saved', async () => {
    const { transact, state, final } = await sidecar();
    await transact(
      upsert('a', 1, { type: 'saved', id: 'x', data: 'y' }), upsert('a', 'short', shadow), upsert('a', 'never', shadow),
      upsert('b', 2), upsert('b', { s: true }, shadow, { contentType: 'application/json' }), upsert('lonely', 3, shadow),
    );
    await vi.advanceTimersByTimeAsync(3000);
    expect(final.map(({ data, type }) => [data, type])).toEqual([['short', 'saved'], [{ s: true }, 'com.dapr.event.sent']]);
    const read = async (key: string) => (await state.get(key, { consistency: '', metadata: {} }, background)).data;
    expect([textOfBytes((await read('a'))!), textOfBytes((await read('b'))!), await read('lonely')]).toEqual(['1', '2', null]);
  });
  it('says nothing of a transaction that failed, and keeps nobody waiting for it', async () => {
    const { transact, internal, final, logged } = await sidecar();
    await expect(transact(upsert('a', 1, {}, { etag: '999' }))).rejects.toMatchObject({ is: 'stateTransaction' });
    await transact(upsert('b', 2));
    await vi.advanceTimersByTimeAsync(3000);
    expect([internal.length, final.map(({ data }) => data), logged.filter((line) => line.includes('outbox'))]).toEqual([2, ['2'], []]);
  });
  it('after a broken connection the marker decides', async () => {
    const { transact, final } = await sidecar({ store: { transact: () => Promise.reject(new AdapterError('unavailable', 'gone')) } });
    await expect(transact(upsert('a', 1))).rejects.toThrow('gone');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(final).toEqual([]);
  });
  it.each([['false', 'rejecting for later processing'], ['yes', 'discarding message']])('a marker that does not come within ten seconds, outboxDiscardWhenMissingState %s: %s', async (outboxDiscardWhenMissingState, words) => {
    const { transact, logged } = await sidecar({ properties: { outboxDiscardWhenMissingState }, store: { transact: async () => undefined } });
    await transact(upsert('a', 1));
    await vi.advanceTimersByTimeAsync(8000);
    expect(logged.join('\n')).not.toContain(words);
    await vi.advanceTimersByTimeAsync(5000);
    expect(logged.join('\n')).toContain(words);
  });
  it('an internal topic that cannot be published to fails the transaction, and nothing is written', async () => {
    const { transact, state } = await sidecar({ properties: { outboxPubsub: 'nowhere' } });
    const failure = (await transact(upsert('a', 1)).catch((error: unknown) => error)) as DaprError;
    expect([failure.row.code, failure.http, failure.message]).toEqual(['ERR_PUBLISH_OUTBOX', 500, "error while publishing outbox message: pubsub 'nowhere' not found"]);
    expect((await state.get('a', { consistency: '', metadata: {} }, background)).data).toBeNull();
  });
  it.each<Record<string, string>>([{ outboxPublishTopic: '' }, { outboxPublishPubsub: '', OutboxPublishPubsub: 'bus' }])('%o: no outbox', async (properties) => {
    const { transact, internal } = await sidecar({ properties });
    await transact(upsert('a', 1, shadow));
    expect(internal).toEqual([]);
  });
  it('stopping leaves what waits to redelivery', async () => {
    const { transact, final, outbox, logged } = await sidecar();
    await transact(upsert('a', 1));
    await outbox.reader.stop();
    expect([final, logged.at(-1)]).toEqual([[], 'outbox reader is stopping']);
  });
});

it.each([[0, 1000], [400, 1000], [1200, 300], [1600, 0], [60_000, 0], [-60_000, 1000]])('an event of %d ms ago waits %d ms more', (age, wait) => {
  const now = Date.parse('2026-01-01T00:01:00Z');
  expect(graceOf(new Date(now - age).toISOString(), now)).toBe(wait);
  expect(graceOf('soon', now)).toBe(1000);
});
