// What a shard was split into, in a stream in memory: Moto never ends a shard.
import * as sdk from '@aws-sdk/client-kinesis';
import { expect, test } from 'vitest';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { createLogger } from '../../core/log.ts';
import { awsCalls } from './failure.ts';
import { consumeStream } from './kinesis-consumer.ts';
import { type Lease, type Leases, shardEnd } from './kinesis-leases.ts';
import { pollingReader } from './kinesis-polling.ts';

/** Shards with all their records; one with `open: false` ends behind them. */
type Streamed = Record<string, { parent?: string; adjacent?: string; open: boolean; records: string[] }>;

function streamOf(shards: Streamed): sdk.KinesisClient {
  const send = async (command: { input: Record<string, unknown> }) => {
    const { input } = command;
    if (command instanceof sdk.ListShardsCommand) return { Shards: Object.entries(shards).map(([ShardId, { parent, adjacent }]) => ({ ShardId, ...(parent ? { ParentShardId: parent } : {}), ...(adjacent ? { AdjacentParentShardId: adjacent } : {}) })) };
    if (command instanceof sdk.GetShardIteratorCommand) {
      const { records } = shards[input.ShardId as string] as Streamed[string];
      const at = input.ShardIteratorType === 'TRIM_HORIZON' ? 0 : input.ShardIteratorType === 'LATEST' ? records.length : records.indexOf(input.StartingSequenceNumber as string) + 1;
      return { ShardIterator: `${input.ShardId}@${at}` };
    }
    const [name = '', from = ''] = (input.ShardIterator as string).split('@');
    const { open, records } = shards[name] as Streamed[string];
    const page = records.slice(Number(from), Number(from) + 1);
    const next = Number(from) + page.length;
    return { Records: page.map((text) => ({ Data: utf8(text), SequenceNumber: text })), NextShardIterator: open || next < records.length ? `${name}@${next}` : undefined };
  };
  return { send } as unknown as sdk.KinesisClient;
}
function access(shards: Streamed) {
  const stream = { kinesis: streamOf(shards), sdk, call: awsCalls('Kinesis'), stream: 's' };
  return { ...stream, read: pollingReader(stream, 5) };
}
function leasesOf(given: Record<string, string>) {
  const kept = new Map<string, Lease>(Object.entries(given).map(([shard, checkpoint]) => [shard, { owner: '', until: 0, checkpoint }]));
  const lease = (shard: string) => kept.get(shard) ?? { owner: '', until: 0, checkpoint: undefined };
  const put = async (shard: string, more: Partial<Lease>) => kept.set(shard, { ...lease(shard), ...more }).has(shard);
  const leases: Leases = { prepare: async () => undefined, read: async (shard) => kept.get(shard), take: (shard) => put(shard, { owner: 'me' }), checkpoint: (shard, checkpoint) => put(shard, { checkpoint }), release: async (shard) => void (await put(shard, { owner: '' })) };
  return { leases, kept };
}
const log = createLogger({ appId: 'test', instance: 'test', version: 'test', write: () => undefined });
const every = { look: 10, renew: 1000, note: 60_000 };

test('the records of a shard come before those of its children, which are read from their beginning; no checkpoint is lost', async () => {
  const shards: Streamed = {
    child1: { parent: 'parent', open: true, records: ['c1', 'c2'] },
    child2: { parent: 'parent', open: true, records: ['d1'] },
    parent: { parent: 'long gone', open: false, records: ['p1', 'p2', 'p3'] },
    other: { open: true, records: ['before anybody read'] },
  };
  const { leases, kept } = leasesOf({ parent: 'p1' });
  const seen: string[] = [];
  const stop = new AbortController();
  const running = consumeStream({ ...access(shards), leases, log, handle: async (data) => void seen.push(textOfBytes(data)), every }, stop.signal);
  await expect.poll(() => seen.length).toBe(5);
  shards.other?.records.push('new');
  await expect.poll(() => seen.length).toBe(6);
  stop.abort();
  await running;
  expect(seen.slice(0, 2)).toEqual(['p2', 'p3']);
  expect([...seen].sort()).toEqual(['c1', 'c2', 'd1', 'new', 'p2', 'p3']);
  expect(Object.fromEntries([...kept].map(([shard, { owner, checkpoint }]) => [shard, [owner, checkpoint]]))).toEqual({ parent: ['', shardEnd], child1: ['', 'c2'], child2: ['', 'd1'], other: ['', 'new'] });
});

test('what two shards were merged into waits for both', async () => {
  const shards: Streamed = { merged: { parent: 'left', adjacent: 'right', open: true, records: ['m'] }, left: { open: false, records: ['l1', 'l2'] }, right: { open: true, records: ['r1', 'r2', 'r3'] } };
  const { leases } = leasesOf({ left: 'l1', right: 'r1' });
  const seen: string[] = [];
  const stop = new AbortController();
  const running = consumeStream({ ...access(shards), leases, log, handle: async (data) => void seen.push(textOfBytes(data)), every }, stop.signal);
  await expect.poll(() => seen.length).toBe(3);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect([...seen].sort()).toEqual(['l2', 'r2', 'r3']);
  (shards.right as Streamed[string]).open = false;
  await expect.poll(() => seen.at(-1)).toBe('m');
  stop.abort();
  await running;
});

test('a shard whose lease has gone to somebody else is left at once', async () => {
  const { leases } = leasesOf({ one: '' });
  const seen: string[] = [];
  const stop = new AbortController();
  const stolen: Leases = { ...leases, checkpoint: async () => false, take: async () => seen.length === 0 };
  const running = consumeStream({ ...access({ one: { open: true, records: ['a', 'b', 'c'] } }), leases: stolen, log, handle: async (data) => void seen.push(textOfBytes(data)), every }, stop.signal);
  await expect.poll(() => seen.length).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  stop.abort();
  await running;
  expect(seen).toEqual(['a']);
});
