import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { type Arrival, createInbox, type MqttHandler } from './inbox.ts';

const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: () => undefined });
const bytes = (text: string) => new TextEncoder().encode(text);
const arrival = (id: number, more: Partial<Arrival> = {}): Arrival => ({ id, topic: 't', data: bytes(`m${id}`), retained: false, qos: 1, again: false, ...more });
/** A handler that is told by the test how each message ends. */
function manual() {
  const calls: { text: string; end(error?: Error): Promise<void> }[] = [];
  const handler: MqttHandler = ({ data }) =>
    new Promise((resolve, reject) => {
      const end = async (error?: Error) => {
        if (error) reject(error);
        else resolve();
        await vi.advanceTimersByTimeAsync(0);
      };
      calls.push({ text: new TextDecoder().decode(data), end });
    });
  return { calls, handler, texts: () => calls.map(({ text }) => text) };
}
function setUp() {
  const acknowledged: number[] = [];
  const inbox = createInbox({ log, acknowledge: (id) => void acknowledged.push(id), redeliverAfterMs: 1000 });
  inbox.connected(false);
  return { inbox, acknowledged, ...manual() };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('acknowledges in the order in which handlers end, many at once', async () => {
  const { inbox, acknowledged, calls, handler } = setUp();
  inbox.add('t', handler);
  for (const id of [1, 2, 3]) inbox.take(arrival(id));
  expect(calls).toHaveLength(3);
  await calls[2]?.end();
  await calls[0]?.end();
  expect(acknowledged).toEqual([3, 1]);
});
test('what failed is not acknowledged and comes again after a while, until it is processed', async () => {
  const { inbox, acknowledged, calls, handler } = setUp();
  inbox.add('t', handler);
  inbox.take(arrival(1));
  await calls[0]?.end(new Error('no'));
  await vi.advanceTimersByTimeAsync(999);
  expect([calls.length, acknowledged]).toEqual([1, []]);
  await vi.advanceTimersByTimeAsync(1);
  await calls[1]?.end();
  expect(acknowledged).toEqual([1]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(calls).toHaveLength(2);
});
test('what failed with QoS 0 is gone', async () => {
  const { inbox, calls, handler } = setUp();
  inbox.add('t', handler);
  inbox.take(arrival(0, { qos: 0 }));
  await calls[0]?.end(new Error('no'));
  await vi.advanceTimersByTimeAsync(5000);
  expect(calls).toHaveLength(1);
});
test('what comes after a subscription has ended waits for the next one', async () => {
  const { inbox, acknowledged, calls, texts, handler } = setUp();
  const reader = inbox.add('t', handler);
  inbox.take(arrival(1));
  let ended = false;
  const closing = reader.close().then(() => { ended = true; });
  inbox.take(arrival(2));
  await vi.advanceTimersByTimeAsync(0);
  expect(ended).toBe(false);
  await calls[0]?.end(new Error('closing'));
  await closing;
  await vi.advanceTimersByTimeAsync(5000);
  expect(texts()).toEqual(['m1']);
  inbox.add('other', handler);
  inbox.add('t', handler);
  expect(texts().sort()).toEqual(['m1', 'm1', 'm2']);
  await calls[1]?.end();
  await calls[2]?.end();
  expect(acknowledged.sort()).toEqual([1, 2]);
});
test('a resumed session sends again: what runs goes on, what is done is acknowledged, what failed is delivered', async () => {
  const { inbox, acknowledged, calls, texts, handler } = setUp();
  inbox.add('t', handler);
  for (const id of [1, 2, 3]) inbox.take(arrival(id));
  await calls[2]?.end(new Error('no'));
  inbox.connected(true);
  await calls[1]?.end();
  expect(acknowledged).toEqual([]); // not on a connection it did not come by
  for (const id of [1, 2, 3]) inbox.take(arrival(id, { again: true }));
  expect(acknowledged).toEqual([2]);
  expect(texts()).toEqual(['m1', 'm2', 'm3', 'm3']);
  await calls[0]?.end();
  await calls[3]?.end();
  expect(acknowledged).toEqual([2, 1, 3]);
});
test('in a new session an identifier means another message', async () => {
  const { inbox, acknowledged, calls, texts, handler } = setUp();
  inbox.add('t', handler);
  inbox.take(arrival(1));
  inbox.connected(false);
  inbox.take(arrival(1, { data: bytes('other') }));
  await calls[0]?.end();
  expect(acknowledged).toEqual([]);
  expect(texts()).toEqual(['m1', 'other']);
  await calls[1]?.end();
  expect(acknowledged).toEqual([1]);
});
test('the exact topic goes before a wildcard, shared filters count without their group', () => {
  const { inbox } = setUp();
  const [hash, exact, shared] = [manual(), manual(), manual()];
  inbox.add('a/#', hash.handler);
  inbox.add('a/b', exact.handler);
  inbox.add('$share/group/s/+', shared.handler);
  inbox.take(arrival(1, { topic: 'a/b' }));
  inbox.take(arrival(2, { topic: 'a/c' }));
  inbox.take(arrival(3, { topic: 's/x' }));
  expect([hash.texts(), exact.texts(), shared.texts()]).toEqual([['m2'], ['m1'], ['m3']]);
});
