// bindings.aws.kinesis: records of an AWS Kinesis stream.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { awsCalls } from '../aws/failure.ts';
import { consumeStream } from '../aws/kinesis-consumer.ts';
import { createLeases } from '../aws/kinesis-leases.ts';
import { awsAliases, awsClientSettings, awsFields } from '../aws/settings.ts';

// Of the Kinesis Client Library, so that members of both kinds can share a group; it looks for shards every minute only.
const leaseMs = 10_000;
const every = { look: 5000, renew: 2500, idle: 1000 };

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
      mode: field.text().default('').describe('shared (default). extended, a share of its own for each reader, is not supported for reading'),
    },
    awsAliases,
  ),
  open: async (metadata, { host, log }) => {
    if (!['', 'shared', 'extended'].includes(metadata.mode)) throw new MetadataError(`aws.kinesis invalid "mode" field ${metadata.mode}`);
    const settings = awsClientSettings(metadata, host);
    const sdk = await import('@aws-sdk/client-kinesis');
    const kinesis = new sdk.KinesisClient(settings);
    const call = awsCalls('Kinesis');
    const { streamName, consumerName } = metadata;
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }, { signal }) => {
        const record = { StreamName: streamName, Data: data, PartitionKey: wanted.partitionKey || crypto.randomUUID() };
        await call('PutRecord', kinesis.send(new sdk.PutRecordCommand(record), signal ? { abortSignal: signal } : {}));
        return null;
      },
      read: async (handler) => {
        if (metadata.mode === 'extended') throw new MetadataError('aws.kinesis: mode extended is not supported for reading (it needs event streams over HTTP/2); use shared');
        const dynamodbSdk = await import('@aws-sdk/client-dynamodb');
        const dynamodb = new dynamodbSdk.DynamoDBClient(settings);
        const stop = new AbortController();
        // Each member is a worker of its own: in Dapr all have the name of the group, and all read every shard.
        const leases = createLeases({ dynamodb, sdk: dynamodbSdk, call: awsCalls('DynamoDB'), table: consumerName, worker: `${consumerName}-${crypto.randomUUID()}`, leaseMs });
        await leases.prepare(stop.signal);
        // As upstream: what the app refuses is not brought again (a resiliency policy is tried before).
        const handle = async (data: Uint8Array) => void (await handler({ data, metadata: {} }, background).catch(() => undefined));
        const consuming = consumeStream({ kinesis, sdk, call, leases, stream: streamName, log, handle, every }, stop.signal);
        return {
          close: async () => {
            stop.abort();
            await consuming;
            dynamodb.destroy();
          },
        };
      },
      close: async () => kinesis.destroy(),
    };
  },
});
