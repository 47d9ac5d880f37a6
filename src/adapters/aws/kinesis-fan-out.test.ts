// What a subscription meets that a server in a test cannot bring about in time: silence, a consumer on its way out, refusals.
import * as sdk from '@aws-sdk/client-kinesis';
import { expect, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { awsCalls } from './failure.ts';
import { createFanOutConsumer } from './kinesis-fan-out.ts';

type Event = { SubscribeToShardEvent: Partial<sdk.SubscribeToShardEvent> };
const refusal = (name: string) => new sdk.KinesisServiceException({ name, $fault: 'client', message: 'no', $metadata: { httpStatusCode: 400 } });
const pauses = { look: 5, first: 5, longest: 20, silence: 60 };

/** A service that answers DescribeStreamConsumer with one state after the other, and each subscription with its events; `undefined` is silence. */
function service(states: (string | undefined)[], subscriptions: (Error | (Event | undefined)[])[]) {
  const calls: [string, unknown][] = [];
  const lines: string[] = [];
  const send = async (command: object & { input: Record<string, unknown> }, { abortSignal: signal }: { abortSignal?: AbortSignal } = {}) => {
    const { name } = command.constructor;
    calls.push([name.replace('Command', ''), command.input.StartingPosition]);
    if (command instanceof sdk.DescribeStreamCommand) return { StreamDescription: { StreamARN: 'arn:stream' } };
    if (command instanceof sdk.DescribeStreamConsumerCommand) {
      const state = states.length > 1 ? states.shift() : states[0];
      if (state === undefined || state.endsWith('Exception')) throw refusal(state ?? 'ResourceNotFoundException');
      return { ConsumerDescription: { ConsumerARN: `arn:${state}`, ConsumerStatus: state } };
    }
    if (!(command instanceof sdk.SubscribeToShardCommand)) return {};
    const next = subscriptions.shift() ?? [undefined];
    if (next instanceof Error) throw next;
    const events = async function* () {
      for (const event of next) {
        if (event === undefined) await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(Object.assign(new Error('aborted'), { name: 'AbortError' }))));
        else yield event;
      }
    };
    return { EventStream: events() };
  };
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => lines.push(line) });
  const consumer = createFanOutConsumer({ kinesis: { send } as unknown as sdk.KinesisClient, sdk, call: awsCalls('Kinesis'), stream: 's' }, 'c', pauses, log);
  return { consumer, calls, lines, of: (operation: string) => calls.filter(([name]) => name === operation).map(([, position]) => position) };
}
const event = (ContinuationSequenceNumber: string | undefined, ChildShards?: sdk.ChildShard[]): Event => ({ SubscribeToShardEvent: { Records: [], MillisBehindLatest: 0, ...(ContinuationSequenceNumber === undefined ? {} : { ContinuationSequenceNumber }), ...(ChildShards === undefined ? {} : { ChildShards }) } });
const never = new AbortController().signal;

test('a consumer that is being deleted is waited for and registered again', async () => {
  const { consumer, of } = service(['DELETING', undefined, 'CREATING', 'ACTIVE'], []);
  await consumer.prepare(never);
  expect(of('RegisterStreamConsumer')).toHaveLength(1);
  expect(of('DescribeStreamConsumer')).toHaveLength(4);
});
test('a refusal to look is an error, and does not register', async () => {
  const { consumer, of } = service(['AccessDeniedException'], []);
  await expect(consumer.prepare(never)).rejects.toThrow('operation error Kinesis: DescribeStreamConsumer, https response error StatusCode: 400');
  expect(of('RegisterStreamConsumer')).toEqual([]);
});
test('silence, refusals and a lost registration lead to another subscription, behind what came; the end of the shard ends it', async () => {
  const { consumer, of, lines } = service(['ACTIVE'], [[event('7'), undefined], refusal('ResourceInUseException'), [event('9')], refusal('ResourceNotFoundException'), [event(undefined, [{ ShardId: 'child', ParentShards: ['one'], HashKeyRange: undefined }])]]);
  const pages: [string | undefined, boolean][] = [];
  for await (const { after, end } of consumer.read('one', 'now', never)) pages.push([after, end]);
  expect(pages).toEqual([['7', false], ['9', false], [undefined, true]]);
  const after = (SequenceNumber: string) => ({ Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber });
  expect(of('SubscribeToShard')).toEqual([{ Type: 'LATEST' }, after('7'), after('7'), after('9'), after('9')]);
  expect(of('DescribeStreamConsumer')).toHaveLength(2);
  expect(lines.map((line) => /shard one: (.*?)\. Attempting/.exec(line)?.[1])).toEqual(['nothing came for 60 ms', expect.stringContaining('ResourceInUseException'), expect.stringContaining('ResourceNotFoundException')]);
});
test('an aborted reading ends, also in the middle of silence', async () => {
  const stop = new AbortController();
  const { consumer } = service(['ACTIVE'], [[event('1'), undefined]]);
  const reading = (async () => {
    for await (const page of consumer.read('one', 'beginning', stop.signal)) expect(page.after).toBe('1');
  })();
  setTimeout(() => stop.abort(), 20);
  await reading;
});
