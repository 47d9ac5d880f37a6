// bindings.aws.kinesis: records of an AWS Kinesis stream.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { AwsFailure, awsCalls } from '../aws/failure.ts';
import { createAwsHttpHandler } from '../aws/http-handler.ts';
import { consumeStream, listShards } from '../aws/kinesis-consumer.ts';
import { createFanOutConsumer } from '../aws/kinesis-fan-out.ts';
import { createLeases, createOwnLeases, type Leases } from '../aws/kinesis-leases.ts';
import { pollingReader } from '../aws/kinesis-polling.ts';
import type { KinesisAccess } from '../aws/kinesis-shard.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

// Of the Kinesis Client Library, so that members of both kinds can share a group; it looks for shards every minute only.
const leaseMs = 10_000;
const every = { look: 5000, renew: 2500, note: 60_000 };
const idleMs = 1000;
const fanOutPauses = { look: 1000, first: 2000, longest: 60_000, silence: 60_000 };

export default defineBinding({
  type: 'bindings.aws.kinesis',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Puts records into a stream of AWS Kinesis and delivers those that come; the members of a group share the shards.',
  metadata: schema(
    {
      ...awsFields,
      streamName: field.text().default('').describe('Name of the stream'),
      consumerName: field.text().default('').describe('Name of the group that reads, and of its table in DynamoDB, which is made where it is missing'),
      mode: field.text().default('').describe('shared (default), or extended: the stream sends records to consumerName, which is registered with it, with a throughput of its own'),
    },
    awsAliases,
  ),
  open: async (metadata, { host, log }) => {
    if (!['', 'shared', 'extended'].includes(metadata.mode)) throw new MetadataError(`aws.kinesis invalid "mode" field ${metadata.mode}`);
    const settings = awsClientSettings(metadata, host);
    const sdk = await import('@aws-sdk/client-kinesis');
    // Amazon documents HTTP/2 for subscriptions; it answers them over HTTP/1.1 too, which is what some hosts have.
    const kinesis = new sdk.KinesisClient(metadata.mode === 'extended' ? { ...settings, requestHandler: createAwsHttpHandler(host.http, false, true) } : settings);
    const call = awsCalls('Kinesis');
    const { streamName, consumerName } = metadata;
    const access = { kinesis, sdk, call, stream: streamName };
    const readings = new Set<AbortController>();
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const record = { StreamName: streamName, Data: data, PartitionKey: wanted.partitionKey || crypto.randomUUID() };
        await call('PutRecord', kinesis.send(new sdk.PutRecordCommand(record), signal ? { abortSignal: signal } : {}));
        return null;
      },
      read: async (handler) => {
        const dynamodbSdk = await import('@aws-sdk/client-dynamodb');
        const dynamodb = new dynamodbSdk.DynamoDBClient(settings);
        const stop = new AbortController();
        readings.add(stop);
        const consumer = metadata.mode === 'extended' ? createFanOutConsumer(access, consumerName, fanOutPauses, log) : undefined;
        await consumer?.prepare(stop.signal);
        // Each member is a worker of its own: in Dapr all have the name of the group, and all read every shard.
        let leases = createLeases({ dynamodb, sdk: dynamodbSdk, call: awsCalls('DynamoDB'), table: consumerName, worker: `${consumerName}-${crypto.randomUUID()}`, leaseMs });
        await leases.prepare(stop.signal).catch((error) => {
          // daprd needs no table for extended, so its policies may not allow one.
          if (consumer === undefined || !(error instanceof AwsFailure && error.code === 'AccessDeniedException')) throw error;
          log.warn(`${streamName} is read without the table ${consumerName}: this sidecar reads every shard, and begins with the newest record when it starts: ${textOf(error)}`);
          leases = createOwnLeases();
        });
        // As upstream: what the app refuses is not brought again (a resiliency policy is tried before).
        const handle = async (data: Uint8Array) => void (await handler({ data, metadata: {} }, background).catch(() => undefined));
        const consuming = consumeStream({ ...access, leases, read: consumer?.read ?? pollingReader(access, idleMs), log, handle, every }, stop.signal);
        return {
          close: async () => {
            stop.abort();
            readings.delete(stop);
            await consuming;
            if (consumer !== undefined && !(await othersRead(access, leases).catch(() => true))) await consumer.deregister().catch((error) => log.warn(`the consumer ${consumerName} stays registered: ${textOf(error)}`));
            dynamodb.destroy();
          },
        };
      },
      close: async () => {
        for (const stop of readings) stop.abort();
        kinesis.destroy();
      },
    };
  },
});

/** Another member of the group has a shard of the stream. */
async function othersRead(access: KinesisAccess, leases: Leases): Promise<boolean> {
  for (const { ShardId = '' } of await listShards(access)) {
    const lease = await leases.read(ShardId);
    if (lease !== undefined && lease.owner !== '' && lease.until > Date.now()) return true;
  }
  return false;
}
