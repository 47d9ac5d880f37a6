import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../../core/log.ts';
import { type BatchLimits, batchLimits, createBatch, createUnattendedBatch, Retryable } from './batch.ts';
import type { FinishedSpan } from './span.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const span = (name: string) => ({ name }) as FinishedSpan;
function setUp(limits: Partial<BatchLimits> = {}, answer: (names: string[], signal: AbortSignal) => Promise<void> = async () => {}) {
  const sent: string[][] = [];
  const lines: string[] = [];
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) });
  const batch = createBatch({
    name: 'there',
    export: async (spans, signal) => {
      const names = spans.map(({ name }) => name);
      sent.push(names);
      await answer(names, signal);
    },
  }, { maxQueue: 8, maxBatch: 3, delayMs: 5000, timeoutMs: 30_000, ...limits }, log);
  return { batch, sent, lines };
}

test('spans wait for each other, or for a whole batch', async () => {
  const { batch, sent } = setUp();
  batch.add(span('a'));
  batch.add(span('b'));
  await vi.advanceTimersByTimeAsync(4999);
  expect(sent).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent).toEqual([['a', 'b']]);
  for (const name of 'cde') batch.add(span(name));
  await vi.advanceTimersByTimeAsync(0);
  expect(sent).toEqual([['a', 'b'], ['c', 'd', 'e']]);
});

test('a slow collector costs spans beyond the queue, and nobody waits', async () => {
  const { batch, sent } = setUp({}, () => new Promise((done) => void setTimeout(done, 1000)));
  for (const name of 'abc') batch.add(span(name)); // on the way
  await vi.advanceTimersByTimeAsync(0);
  for (const name of 'defghijklmn') batch.add(span(name));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(sent).toEqual([['a', 'b', 'c'], ['d', 'e', 'f'], ['g', 'h', 'i'], ['j', 'k']]);
});

test('a collector that is away is told of once, tried again, and told of when it is back', async () => {
  let away = true;
  const { batch, sent, lines } = setUp({}, async () => { if (away) throw new Retryable('connection refused'); });
  batch.add(span('a'));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(sent.length).toBeGreaterThan(2);
  expect(lines).toEqual([expect.stringMatching(/level=error msg="spans do not arrive at there and are lost until they do: connection refused"/)]);
  away = false;
  await vi.advanceTimersByTimeAsync(10_000);
  const tries = sent.length;
  expect(lines[1]).toContain('spans arrive at there again');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent.length).toBe(tries);
});

test('a batch is given up after its time, and at once where another try cannot help', async () => {
  const { batch, sent } = setUp({}, async () => { throw new Retryable('away'); });
  batch.add(span('a'));
  await vi.advanceTimersByTimeAsync(60_000);
  const tries = sent.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent.length).toBe(tries);
  const other = setUp({}, async () => { throw new Error('400'); });
  other.batch.add(span('a'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(other.sent).toEqual([['a']]);
});

test('the collector may say when to come again', async () => {
  const { batch, sent } = setUp({}, async () => { if (sent.length === 1) throw new Retryable('busy', 12_000); });
  for (const name of 'abc') batch.add(span(name));
  await vi.advanceTimersByTimeAsync(11_999);
  expect(sent.length).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.length).toBe(2);
});

test('closing sends what is there, once, and waits no longer than it may', async () => {
  const { batch, sent } = setUp({ maxQueue: 100 }, async () => { throw new Retryable('away'); });
  for (const name of 'abcdefg') batch.add(span(name));
  await batch.close(2000);
  expect(sent).toEqual([['a', 'b', 'c'], ['d', 'e', 'f'], ['g']]);
  batch.add(span('late'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent.length).toBe(3);

  const hanging = setUp({}, (_, signal) => new Promise((_done, fail) => signal.addEventListener('abort', () => fail(new Error('given up')))));
  hanging.batch.add(span('a'));
  let closed = false;
  void hanging.batch.close(2000).then(() => { closed = true; });
  await vi.advanceTimersByTimeAsync(1999);
  expect(closed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(closed).toBe(true);
});

test('OpenTelemetry’s variables set the limits; nonsense does not', () => {
  expect(batchLimits({})).toEqual({ maxQueue: 2048, maxBatch: 512, delayMs: 5000, timeoutMs: 30_000 });
  expect(batchLimits({ OTEL_BSP_MAX_QUEUE_SIZE: '10', OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_BSP_EXPORT_TIMEOUT: 'soon', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '-1' })).toEqual({ maxQueue: 10, maxBatch: 10, delayMs: 20, timeoutMs: 30_000 });
});

test('where nothing outlives a request, each flush sends what is there, once, and waits for no other', async () => {
  const lines: string[] = [];
  const sent: string[][] = [];
  let away = true;
  const batch = createUnattendedBatch({ name: 'there', export: async (spans) => { sent.push(spans.map(({ name }) => name)); if (away) throw new Retryable('away'); } }, { maxQueue: 2, maxBatch: 1, delayMs: 1, timeoutMs: 1000 },
    createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) }));
  for (const name of 'abc') batch.add(span(name));
  await batch.flush();
  await batch.flush();
  batch.add(span('d'));
  await batch.flush();
  away = false;
  batch.add(span('e'));
  await batch.flush();
  expect(sent).toEqual([['a', 'b'], ['d'], ['e']]);
  expect(lines).toEqual([expect.stringContaining('spans do not arrive'), expect.stringContaining('arrive at there again')]);
  expect(vi.getTimerCount()).toBe(0);
});
