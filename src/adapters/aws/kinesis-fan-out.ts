// Enhanced fan-out: a registered consumer of a Kinesis stream, to which the service sends records by itself (components-contrib/bindings/aws/kinesis/kinesis.go; Amazon Kinesis API, SubscribeToShard).
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { AwsFailure } from './failure.ts';
import type { KinesisAccess, ShardPlace, ShardReader } from './kinesis-shard.ts';

export interface FanOutConsumer {
  /** Registers the consumer where it is not, and waits until it can be used. */
  prepare(signal: AbortSignal): Promise<void>;
  read: ShardReader;
  /** Takes the registration back. */
  deregister(): Promise<void>;
}
/** Milliseconds. */
export interface FanOutPauses {
  /** Between looks at a consumer that is being made or deleted. */
  look: number;
  /** First and longest pause behind a subscription that failed; AWS refuses a second one of a shard for five seconds. */
  first: number;
  longest: number;
  /** The service says something every few seconds: after this long without a word the connection counts as lost. */
  silence: number;
}
const registrationMs = 180_000;
/** AWS takes five subscriptions of a consumer in a second. */
const leastMs = 1000;

export function createFanOutConsumer({ kinesis, sdk, call, stream }: KinesisAccess, name: string, pauses: FanOutPauses, log: Logger): FanOutConsumer {
  let streamArn: string | undefined;
  let registering: Promise<string> | undefined;

  const codeOf = (error: unknown): string => (error instanceof AwsFailure ? error.code : '');
  const register = async (signal: AbortSignal): Promise<string> => {
    streamArn ??= (await call('DescribeStream', kinesis.send(new sdk.DescribeStreamCommand({ StreamName: stream }), { abortSignal: signal }))).StreamDescription?.StreamARN;
    for (const end = Date.now() + registrationMs; !signal.aborted && Date.now() < end; await pause(pauses.look, signal)) {
      const known = await call('DescribeStreamConsumer', kinesis.send(new sdk.DescribeStreamConsumerCommand({ StreamARN: streamArn, ConsumerName: name }), { abortSignal: signal })).catch((error) => {
        if (codeOf(error) === 'ResourceNotFoundException') return undefined;
        throw error;
      });
      const { ConsumerARN, ConsumerStatus } = known?.ConsumerDescription ?? {};
      if (ConsumerStatus === 'ACTIVE' && ConsumerARN !== undefined) return ConsumerARN;
      if (known !== undefined) continue; // being made, or being deleted
      await call('RegisterStreamConsumer', kinesis.send(new sdk.RegisterStreamConsumerCommand({ StreamARN: streamArn, ConsumerName: name }), { abortSignal: signal })).catch((error) => {
        // another member of the group was faster
        if (codeOf(error) !== 'ResourceInUseException') throw error;
      });
    }
    throw new Error('timed out waiting for consumer to become ACTIVE');
  };
  /** One registration for all shards. */
  const consumer = (signal: AbortSignal): Promise<string> => {
    const asked = (registering ??= register(signal));
    asked.catch(() => { if (registering === asked) registering = undefined; });
    return asked;
  };

  async function* subscribed(shard: string, place: ShardPlace, signal: AbortSignal) {
    const arn = await consumer(signal);
    const start = place === 'now' ? { Type: 'LATEST' as const } : place === 'beginning' ? { Type: 'TRIM_HORIZON' as const } : { Type: 'AFTER_SEQUENCE_NUMBER' as const, SequenceNumber: place.after };
    const silent = new AbortController();
    const either = AbortSignal.any([signal, silent.signal]);
    let timer = setTimeout(() => silent.abort(), pauses.silence);
    try {
      const { EventStream } = await call('SubscribeToShard', kinesis.send(new sdk.SubscribeToShardCommand({ ConsumerARN: arn, ShardId: shard, StartingPosition: start }), { abortSignal: either }));
      if (EventStream === undefined) return;
      const events = EventStream[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { done, value } = await call('SubscribeToShard', events.next());
          clearTimeout(timer);
          if (done) return;
          if (value.SubscribeToShardEvent !== undefined) yield value.SubscribeToShardEvent;
          timer = setTimeout(() => silent.abort(), pauses.silence);
        }
      } finally {
        await events.return?.().catch(() => undefined);
      }
    } catch (error) {
      if (codeOf(error) === 'ResourceNotFoundException') registering = undefined; // somebody took the registration back
      throw silent.signal.aborted ? new Error(`nothing came for ${pauses.silence} ms`, { cause: error }) : error;
    } finally {
      clearTimeout(timer);
      silent.abort(); // where the page was not wanted: the connection goes too
    }
  }

  return {
    prepare: async (signal) => void (await consumer(signal)),
    read: async function* (shard, from, signal) {
      let place: ShardPlace = from;
      let wait = pauses.first;
      while (!signal.aborted) {
        const begun = Date.now();
        try {
          // A subscription lasts five minutes at most; the next one goes on behind it.
          for await (const { Records = [], ContinuationSequenceNumber: after, ChildShards = [] } of subscribed(shard, place, signal)) {
            wait = pauses.first;
            if (after !== undefined) place = { after };
            const end = after === undefined && ChildShards.length > 0;
            yield { records: Records, after, end };
            if (end) return;
          }
          await pause(Math.max(0, leastMs - (Date.now() - begun)), signal);
        } catch (error) {
          if (signal.aborted) return;
          log.error(`Error while reading from shard ${shard}: ${textOf(error)}. Attempting to reconnect in ${wait} ms...`);
          await pause(wait, signal);
          wait = Math.min(pauses.longest, wait * 1.5);
        }
      }
    },
    deregister: async () => {
      const arn = await registering?.catch(() => undefined);
      if (arn !== undefined) await call('DeregisterStreamConsumer', kinesis.send(new sdk.DeregisterStreamConsumerCommand({ ConsumerARN: arn })));
    },
  };
}
