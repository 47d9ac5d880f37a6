// How the records of one Kinesis shard are read: from where, and what comes piece by piece.
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import type { awsCalls } from './failure.ts';

/** `now`: what is put from now on; `beginning`: all that is kept; or behind a sequence number. */
export type ShardPlace = 'now' | 'beginning' | { readonly after: string };

export interface ShardPage {
  records: readonly { Data?: Uint8Array | undefined; SequenceNumber?: string | undefined }[];
  /** Sequence number behind which reading goes on after these records, where it is known to be further than theirs. */
  after: string | undefined;
  /** The shard ends with these records: it was split or merged. */
  end: boolean;
}
/** Pages until the shard ends or the signal aborts, over failures that go away by themselves; throws for others. */
export type ShardReader = (shard: string, from: ShardPlace, signal: AbortSignal) => AsyncIterable<ShardPage>;

/** What every reader needs to speak to the stream. */
export interface KinesisAccess {
  kinesis: KinesisClient;
  sdk: typeof import('@aws-sdk/client-kinesis');
  call: ReturnType<typeof awsCalls>;
  stream: string;
}
