import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { createPartition, type KafkaEvent, type TopicHandler } from './partition.ts';
import type { StoredRecord } from './record.ts';
import { kafkaSchema, settingsOf } from './settings.ts';

const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: () => undefined });
const record = (offset: number): StoredRecord => ({ topic: 't', partition: 0, offset: String(offset), timestamp: '0', key: null, value: new TextEncoder().encode(`m${offset}`), headers: undefined });
const records = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => record(from + i));
const open = (handler: TopicHandler, metadata: Record<string, string> = {}) => createPartition('t', 0, handler, settingsOf(kafkaSchema.parse({ brokers: 'b', authType: 'none', ...metadata }), {}, log, true), log);
const settle = () => vi.advanceTimersByTimeAsync(0);
const text = ({ data }: KafkaEvent) => new TextDecoder().decode(data);

/** A handler that the test ends. */
function manual() {
  const calls: { text: string; end(error?: Error): Promise<void> }[] = [];
  const handler = {
    deliver: (event: KafkaEvent) =>
      new Promise<void>((resolve, reject) => {
        calls.push({ text: text(event), end: async (error) => { if (error) reject(error); else resolve(); await settle(); } });
      }),
  };
  return { calls, handler, texts: () => calls.map((call) => call.text) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('one after the other; the offset to commit is that after the last success', async () => {
  const { handler, calls, texts } = manual();
  const partition = open(handler);
  partition.push(records(5, 7));
  await settle();
  expect([texts(), partition.toCommit()]).toEqual([['m5'], undefined]);
  await calls[0]?.end();
  expect([texts(), partition.toCommit()]).toEqual([['m5', 'm6'], '6']);
  partition.committed('6');
  expect(partition.toCommit()).toBeUndefined();
});
test('a refused message holds its partition and comes again after the pause', async () => {
  const { handler, calls, texts } = manual();
  const partition = open(handler, { backOffDuration: '2s' });
  partition.push(records(0, 1));
  await settle();
  await calls[0]?.end(new Error('no'));
  await vi.advanceTimersByTimeAsync(1999);
  expect(texts()).toEqual(['m0']);
  await vi.advanceTimersByTimeAsync(1);
  expect(texts()).toEqual(['m0', 'm0']);
  await calls[1]?.end();
  expect(texts()).toEqual(['m0', 'm0', 'm1']);
});
test('given up after backOffMaxRetries: not committed by itself, but the next success passes it', async () => {
  const { handler, calls, texts } = manual();
  const partition = open(handler, { backOffMaxRetries: '0' });
  partition.push(records(0, 1));
  await settle();
  await calls[0]?.end(new Error('no'));
  expect([texts(), partition.toCommit()]).toEqual([['m0', 'm1'], undefined]);
  await calls[1]?.end();
  expect(partition.toCommit()).toBe('2');
});
test('fetching stops at channelBufferSize and goes on at half of it', async () => {
  const { handler, calls } = manual();
  const partition = open(handler, { channelBufferSize: '4' });
  expect(partition.push(records(0, 2))).toBe(true);
  expect(partition.push(records(3, 6))).toBe(false);
  const room = vi.fn();
  partition.whenRoom(room);
  for (let i = 0; calls.length < 5; i++) {
    await settle();
    await calls[i]?.end();
  }
  expect(room).not.toHaveBeenCalled();
  await calls[4]?.end();
  expect(room).toHaveBeenCalledTimes(1);
});
test('after a rebalance what is fetched again is not begun again', async () => {
  const { handler, calls, texts } = manual();
  const partition = open(handler);
  partition.push(records(0, 3));
  await settle();
  await calls[0]?.end();
  partition.restart();
  partition.push(records(0, 3));
  await calls[1]?.end();
  expect([texts(), partition.toCommit()]).toEqual([['m0', 'm1', 'm2'], '2']);
});
test('closing waits for the handler that runs, ends the pauses and begins nothing more', async () => {
  const { handler, calls, texts } = manual();
  const partition = open(handler);
  partition.push(records(0, 2));
  await settle();
  let closed = false;
  const closing = partition.close().then(() => { closed = true; });
  await settle();
  expect(closed).toBe(false);
  await calls[0]?.end();
  await closing;
  expect([texts(), partition.toCommit()]).toEqual([['m0'], '1']);
  const failing = open({ deliver: () => Promise.reject(new Error('no')) });
  failing.push(records(0, 0));
  await settle();
  await failing.close(); // in the middle of a pause of 5 s
  expect(failing.toCommit()).toBeUndefined();
});
test('batches are full or their time is over; only what failed is tried again', async () => {
  const batches: string[][] = [];
  let refuse = new Map<string, unknown>();
  const partition = open({ max: 3, waitMs: 1000, deliverAll: async (entries) => { batches.push(entries.map((e) => `${e.entryId}:${text(e)}`)); return refuse; } }, { backOffDuration: '1s' });
  partition.push(records(0, 3));
  await settle();
  expect([batches, partition.toCommit()]).toEqual([[['0:m0', '1:m1', '2:m2']], '3']);
  refuse = new Map([['1', new Error('no')]]);
  partition.push(records(4, 4));
  await vi.advanceTimersByTimeAsync(1000);
  expect([batches.slice(1), partition.toCommit()]).toEqual([[['0:m3', '1:m4']], '3']);
  refuse = new Map();
  await vi.advanceTimersByTimeAsync(1000);
  expect([batches.slice(2), partition.toCommit()]).toEqual([[['1:m4']], '5']);
});
test('of a batch that is given up what came before the first failure is committed', async () => {
  const partition = open({ max: 3, waitMs: 1000, deliverAll: async () => new Map([['1', new Error('no')]]) }, { backOffMaxRetries: '0' });
  partition.push(records(0, 2));
  await settle();
  expect(partition.toCommit()).toBe('1');
});
test('what the decoder does not take counts as refused; in a batch the others are delivered', async () => {
  const decode = async (value: Uint8Array) => {
    if (new TextDecoder().decode(value) === 'm6') throw new Error('no such schema');
    return new TextEncoder().encode(`<${new TextDecoder().decode(value)}>`);
  };
  const batches: string[][] = [];
  const partition = open({ decode, max: 3, waitMs: 1000, deliverAll: async (entries) => { batches.push(entries.map(text)); return new Map(); } }, { backOffMaxRetries: '1', backOffDuration: '1s' });
  partition.push(records(5, 7));
  await vi.advanceTimersByTimeAsync(2000);
  expect([batches, partition.toCommit()]).toEqual([[['<m5>', '<m7>']], '6']);

  const seen: string[] = [];
  const one = open({ decode, deliver: async (event) => void seen.push(text(event)) }, { backOffMaxRetries: '1', backOffDuration: '1s' });
  one.push([...records(5, 7), { ...record(8), value: null }]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(seen).toEqual(['<m5>', '<m7>', 'null']);
});
