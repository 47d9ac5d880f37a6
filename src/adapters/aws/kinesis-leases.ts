// Who reads which shard of a Kinesis stream, and how far: the table that the Kinesis Client Library keeps in DynamoDB, with its names.
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { pause } from '../../core/pause.ts';
import { AwsFailure, type awsCalls } from './failure.ts';

/** The checkpoint of a shard that has been read to its end. */
export const shardEnd = 'SHARD_END';

export interface Lease {
  /** Worker that has the shard now, '' where nobody has. */
  owner: string;
  /** Milliseconds since 1970. */
  until: number;
  /** Sequence number of the last record that was handled, or `shardEnd`. */
  checkpoint: string | undefined;
}
export interface Leases {
  /** Makes the table where it is missing, and waits for it. */
  prepare(signal: AbortSignal): Promise<void>;
  /** undefined: nobody has read the shard yet. */
  read(shard: string): Promise<Lease | undefined>;
  /** Takes or renews the lease; false: somebody else has it. */
  take(shard: string, parent: string | undefined): Promise<boolean>;
  /** false: the lease has gone to somebody else. */
  checkpoint(shard: string, sequenceNumber: string): Promise<boolean>;
  release(shard: string): Promise<void>;
}

export function createLeases({ dynamodb, sdk, call, table, worker, leaseMs }: { dynamodb: DynamoDBClient; sdk: typeof import('@aws-sdk/client-dynamodb'); call: ReturnType<typeof awsCalls>; table: string; worker: string; leaseMs: number }): Leases {
  const keyOf = (shard: string) => ({ TableName: table, Key: { ShardID: { S: shard } } });
  const me = { ':me': { S: worker } };
  const state = async (): Promise<string | undefined> => {
    try {
      return (await call('DescribeTable', dynamodb.send(new sdk.DescribeTableCommand({ TableName: table })))).Table?.TableStatus;
    } catch (error) {
      if (error instanceof AwsFailure && error.code === 'ResourceNotFoundException') return undefined;
      throw error;
    }
  };
  /** false where the condition did not hold. */
  const conditional = async (work: Promise<unknown>): Promise<boolean> => {
    try {
      await work;
      return true;
    } catch (error) {
      if (error instanceof AwsFailure && error.code === 'ConditionalCheckFailedException') return false;
      throw error;
    }
  };
  const read = async (shard: string): Promise<Lease | undefined> => {
    const { Item } = await call('GetItem', dynamodb.send(new sdk.GetItemCommand({ ...keyOf(shard), ConsistentRead: true })));
    return Item && { owner: Item.AssignedTo?.S ?? '', until: Date.parse(Item.LeaseTimeout?.S ?? '') || 0, checkpoint: Item.Checkpoint?.S };
  };
  return {
    prepare: async (signal) => {
      if ((await state()) === undefined) {
        const made = new sdk.CreateTableCommand({ TableName: table, AttributeDefinitions: [{ AttributeName: 'ShardID', AttributeType: 'S' }], KeySchema: [{ AttributeName: 'ShardID', KeyType: 'HASH' }], ProvisionedThroughput: { ReadCapacityUnits: 10, WriteCapacityUnits: 10 } });
        await call('CreateTable', dynamodb.send(made)).catch((error) => {
          // another member of the group was faster
          if (!(error instanceof AwsFailure && error.code === 'ResourceInUseException')) throw error;
        });
      }
      while (!signal.aborted && (await state()) !== 'ACTIVE') await pause(1000, signal);
    },
    read,
    take: async (shard, parent) => {
      const lease = await read(shard);
      if (lease !== undefined && lease.owner !== '' && lease.owner !== worker && lease.until > Date.now()) return false;
      const seen = lease === undefined || lease.owner === '' ? 'attribute_not_exists(AssignedTo)' : 'AssignedTo = :owner';
      const values = { ...me, ':until': { S: new Date(Date.now() + leaseMs).toISOString() }, ...(seen.includes(':owner') ? { ':owner': { S: lease?.owner ?? '' } } : {}), ...(parent === undefined ? {} : { ':parent': { S: parent } }) };
      return conditional(call('UpdateItem', dynamodb.send(new sdk.UpdateItemCommand({ ...keyOf(shard), UpdateExpression: `SET AssignedTo = :me, LeaseTimeout = :until${parent === undefined ? '' : ', ParentShardId = :parent'}`, ConditionExpression: seen, ExpressionAttributeValues: values }))));
    },
    checkpoint: (shard, sequenceNumber) =>
      // `Checkpoint` is no word of DynamoDB's, but others of the library are: names keep to themselves
      conditional(call('UpdateItem', dynamodb.send(new sdk.UpdateItemCommand({ ...keyOf(shard), UpdateExpression: 'SET #checkpoint = :at', ConditionExpression: 'AssignedTo = :me', ExpressionAttributeNames: { '#checkpoint': 'Checkpoint' }, ExpressionAttributeValues: { ...me, ':at': { S: sequenceNumber } } })))),
    release: async (shard) => void (await conditional(call('UpdateItem', dynamodb.send(new sdk.UpdateItemCommand({ ...keyOf(shard), UpdateExpression: 'REMOVE AssignedTo', ConditionExpression: 'AssignedTo = :me', ExpressionAttributeValues: me }))))),
  };
}

/** Leases that nobody else sees, kept as long as the sidecar runs. */
export function createOwnLeases(): Leases {
  const kept = new Map<string, Lease>();
  const put = (shard: string, more: Partial<Lease>): boolean => kept.set(shard, { owner: '', until: 0, checkpoint: undefined, ...kept.get(shard), ...more }).has(shard);
  return {
    prepare: async () => undefined,
    read: async (shard) => kept.get(shard),
    take: async (shard) => put(shard, { owner: 'this sidecar' }),
    checkpoint: async (shard, checkpoint) => put(shard, { checkpoint }),
    release: async (shard) => void put(shard, { owner: '' }),
  };
}
