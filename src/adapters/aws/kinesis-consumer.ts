// Reads the shards of a Kinesis stream that no other member of the group has, each in order, and remembers how far.
import type { KinesisClient, Shard } from '@aws-sdk/client-kinesis';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { AwsFailure, type awsCalls } from './failure.ts';
import { type Leases, shardEnd } from './kinesis-leases.ts';

export interface KinesisConsumerOptions {
  kinesis: KinesisClient;
  sdk: typeof import('@aws-sdk/client-kinesis');
  call: ReturnType<typeof awsCalls>;
  leases: Leases;
  stream: string;
  log: Logger;
  handle(data: Uint8Array): Promise<void>;
  /** Milliseconds: how often shards are looked for, leases renewed, and empty shards read. */
  every: { look: number; renew: number; idle: number };
}

/** Runs until the signal aborts and what is in hand has ended. */
export async function consumeStream(options: KinesisConsumerOptions, signal: AbortSignal): Promise<void> {
  const { kinesis, sdk, call, leases, stream, log, every } = options;
  const reading = new Map<string, Promise<void>>();

  const shards = async (): Promise<Shard[]> => {
    const all: Shard[] = [];
    let NextToken: string | undefined;
    do {
      const page = await call('ListShards', kinesis.send(new sdk.ListShardsCommand(NextToken === undefined ? { StreamName: stream } : { NextToken }), { abortSignal: signal }));
      all.push(...(page.Shards ?? []));
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    return all;
  };
  const ended = async (shard: string): Promise<boolean> => (await leases.read(shard))?.checkpoint === shardEnd;

  /** Takes what can be taken: the records of a shard come before those of the shards it was split into. */
  const look = async (): Promise<void> => {
    const all = await shards();
    const known = new Set(all.map(({ ShardId = '' }) => ShardId));
    for (const { ShardId = '', ParentShardId } of all) {
      if (signal.aborted) return;
      if (reading.has(ShardId) || (await ended(ShardId))) continue;
      const parent = ParentShardId !== undefined && known.has(ParentShardId) ? ParentShardId : undefined;
      const parentRead = parent !== undefined && (await ended(parent));
      if (parent !== undefined && !parentRead) continue;
      if (!(await leases.take(ShardId, ParentShardId))) continue;
      const work = readShard(options, ShardId, ParentShardId, parentRead, signal)
        .catch((error) => log.error(`error reading shard ${ShardId} of ${stream}: ${textOf(error)}`))
        .finally(() => reading.delete(ShardId));
      reading.set(ShardId, work);
    }
  };
  while (!signal.aborted) {
    await look().catch((error) => {
      if (!signal.aborted) log.error(`error looking for shards of ${stream}: ${textOf(error)}`);
    });
    await pause(every.look, signal);
  }
  await Promise.all(reading.values());
}

async function readShard(options: KinesisConsumerOptions, shard: string, parent: string | undefined, parentRead: boolean, signal: AbortSignal): Promise<void> {
  const { kinesis, sdk, call, leases, stream, handle, every } = options;
  let mine = true;
  const renewing = setInterval(() => {
    leases.take(shard, parent).then((taken) => { mine = taken; }, () => undefined);
  }, every.renew);
  let at = (await leases.read(shard))?.checkpoint;
  const iterator = async (): Promise<string | undefined> => {
    // A stream that nobody has read begins now, as in Dapr; what a shard was split into is read from its beginning.
    const from = at === undefined ? { ShardIteratorType: parentRead ? ('TRIM_HORIZON' as const) : ('LATEST' as const) } : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER' as const, StartingSequenceNumber: at };
    return (await call('GetShardIterator', kinesis.send(new sdk.GetShardIteratorCommand({ StreamName: stream, ShardId: shard, ...from })))).ShardIterator;
  };
  try {
    let next = await iterator();
    while (next !== undefined && mine && !signal.aborted) {
      const page = await call('GetRecords', kinesis.send(new sdk.GetRecordsCommand({ ShardIterator: next }), { abortSignal: signal })).catch((error) => {
        if (signal.aborted) return undefined;
        if (error instanceof AwsFailure && ['ExpiredIteratorException', 'ProvisionedThroughputExceededException', 'KMSThrottlingException'].includes(error.code)) return error;
        throw error;
      });
      if (page === undefined) return;
      if (page instanceof AwsFailure) {
        await pause(every.idle, signal);
        next = await iterator();
        continue;
      }
      const records = page.Records ?? [];
      for (const { Data, SequenceNumber } of records) {
        if (!mine || signal.aborted) break;
        await handle(Data ?? new Uint8Array(0));
        at = SequenceNumber;
      }
      if (records.length > 0 && at !== undefined) mine = await leases.checkpoint(shard, at);
      next = page.NextShardIterator;
      if (next === undefined && mine && !signal.aborted) await leases.checkpoint(shard, shardEnd);
      if (records.length === 0) await pause(every.idle, signal);
    }
  } finally {
    clearInterval(renewing);
    await leases.release(shard).catch(() => undefined); // else it runs out
  }
}
