// Reads a Kinesis shard by asking for its records again and again, within the throughput that all its readers share (GetRecords).
import { pause } from '../../core/pause.ts';
import { AwsFailure } from './failure.ts';
import type { KinesisAccess, ShardPlace, ShardReader } from './kinesis-shard.ts';

const passing = ['ExpiredIteratorException', 'ProvisionedThroughputExceededException', 'KMSThrottlingException'];

/** `idleMs`: how long to wait where there was nothing. */
export const pollingReader = ({ kinesis, sdk, call, stream }: KinesisAccess, idleMs: number): ShardReader =>
  async function* (shard, from, signal) {
    let place: ShardPlace = from;
    const iterator = async (): Promise<string | undefined> => {
      const start = place === 'now' ? { ShardIteratorType: 'LATEST' as const } : place === 'beginning' ? { ShardIteratorType: 'TRIM_HORIZON' as const } : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER' as const, StartingSequenceNumber: place.after };
      return (await call('GetShardIterator', kinesis.send(new sdk.GetShardIteratorCommand({ StreamName: stream, ShardId: shard, ...start })))).ShardIterator;
    };
    let next = await iterator();
    while (next !== undefined && !signal.aborted) {
      const page = await call('GetRecords', kinesis.send(new sdk.GetRecordsCommand({ ShardIterator: next }), { abortSignal: signal })).catch((error) => {
        if (signal.aborted) return undefined;
        if (error instanceof AwsFailure && passing.includes(error.code)) return error;
        throw error;
      });
      if (page === undefined) return;
      if (page instanceof AwsFailure) {
        await pause(idleMs, signal);
        next = await iterator();
        continue;
      }
      const records = page.Records ?? [];
      const last = records.at(-1)?.SequenceNumber;
      if (last !== undefined) place = { after: last };
      next = page.NextShardIterator;
      yield { records, after: undefined, end: next === undefined };
      if (records.length === 0 && next !== undefined) await pause(idleMs, signal);
    }
  };
