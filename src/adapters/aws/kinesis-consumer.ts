// Reads the shards of a Kinesis stream that no other member of the group has, each in order, and remembers how far.
import type { Shard } from '@aws-sdk/client-kinesis';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { type Leases, shardEnd } from './kinesis-leases.ts';
import type { KinesisAccess, ShardReader } from './kinesis-shard.ts';

export interface KinesisConsumerOptions extends KinesisAccess {
  leases: Leases;
  read: ShardReader;
  log: Logger;
  handle(data: Uint8Array): Promise<void>;
  /** Milliseconds: how often shards are looked for, leases renewed, and places written down where no records come. */
  every: { look: number; renew: number; note: number };
}

export async function listShards({ kinesis, sdk, call, stream }: KinesisAccess, signal?: AbortSignal): Promise<Shard[]> {
  const all: Shard[] = [];
  let NextToken: string | undefined;
  do {
    const page = await call('ListShards', kinesis.send(new sdk.ListShardsCommand(NextToken === undefined ? { StreamName: stream } : { NextToken }), signal === undefined ? {} : { abortSignal: signal }));
    all.push(...(page.Shards ?? []));
    ({ NextToken } = page);
  } while (NextToken !== undefined);
  return all;
}

/** Runs until the signal aborts and what is in hand has ended. */
export async function consumeStream(options: KinesisConsumerOptions, signal: AbortSignal): Promise<void> {
  const { leases, stream, log, every } = options;
  const reading = new Map<string, Promise<void>>();
  let wake = new AbortController();
  const ended = async (shard: string): Promise<boolean> => (await leases.read(shard))?.checkpoint === shardEnd;

  /** Takes what can be taken: the records of a shard come before those of the shards it was split into. */
  const look = async (): Promise<void> => {
    const all = await listShards(options, signal);
    const known = new Set(all.map(({ ShardId = '' }) => ShardId));
    for (const { ShardId = '', ParentShardId, AdjacentParentShardId } of all) {
      if (signal.aborted) return;
      if (reading.has(ShardId) || (await ended(ShardId))) continue;
      const parents = [ParentShardId, AdjacentParentShardId].filter((parent) => parent !== undefined && known.has(parent)) as string[];
      const parentsRead = await Promise.all(parents.map(ended));
      if (parentsRead.includes(false)) continue;
      if (!(await leases.take(ShardId, ParentShardId))) continue;
      const work = readShard(options, ShardId, ParentShardId, parents.length > 0, signal)
        .then((ended) => { if (ended) wake.abort(); }) // what goes on with it is looked for at once
        .catch((error) => log.error(`error reading shard ${ShardId} of ${stream}: ${textOf(error)}`))
        .finally(() => reading.delete(ShardId));
      reading.set(ShardId, work);
    }
  };
  while (!signal.aborted) {
    await look().catch((error) => {
      if (!signal.aborted) log.error(`error looking for shards of ${stream}: ${textOf(error)}`);
    });
    await pause(every.look, AbortSignal.any([signal, wake.signal]));
    if (wake.signal.aborted) wake = new AbortController();
  }
  await Promise.all(reading.values());
}

/** True: the shard has ended, and all of it was handled. */
async function readShard({ leases, read, handle, every }: KinesisConsumerOptions, shard: string, parent: string | undefined, parentsRead: boolean, signal: AbortSignal): Promise<boolean> {
  const lost = new AbortController();
  const stopped = AbortSignal.any([signal, lost.signal]);
  const renewing = setInterval(() => {
    leases.take(shard, parent).then((taken) => { if (!taken) lost.abort(); }, () => undefined);
  }, every.renew);
  try {
    const known = (await leases.read(shard))?.checkpoint;
    // A stream that nobody has read begins now, as in Dapr; what a shard was split into is read from its beginning.
    const from = known !== undefined ? { after: known } : parentsRead ? ('beginning' as const) : ('now' as const);
    let at = known;
    let noted = known === undefined ? 0 : Date.now();
    for await (const { records, after, end } of read(shard, from, stopped)) {
      let handled = 0;
      for (const { Data, SequenceNumber } of records) {
        if (stopped.aborted) break;
        await handle(Data ?? new Uint8Array(0));
        at = SequenceNumber;
        handled++;
      }
      const all = handled === records.length;
      if (all && after !== undefined) at = after;
      if (at !== undefined && (handled > 0 || Date.now() - noted >= every.note)) {
        if (!(await leases.checkpoint(shard, at))) lost.abort();
        noted = Date.now();
      }
      if (end && all && !stopped.aborted) return await leases.checkpoint(shard, shardEnd);
      if (stopped.aborted) break;
    }
    return false;
  } finally {
    clearInterval(renewing);
    await leases.release(shard).catch(() => undefined); // else it runs out
  }
}
