// state.aws.dynamodb: one item per key in a table of AWS DynamoDB, a random text as the etag.
import type { AttributeValue, Delete, Put } from '@aws-sdk/client-dynamodb';
import { AdapterError, etagMismatch } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { bytesOf, etagOf } from '../../blocks/state/options.ts';
import { type DeleteRequest, defineStateStore, type GetResult, type SetRequest, type TransactionOperation } from '../../blocks/state/port.ts';
import { AwsFailure, awsCalls, prefixed } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

type Item = Record<string, AttributeValue>;
type Condition = Pick<Put, 'ConditionExpression' | 'ExpressionAttributeNames' | 'ExpressionAttributeValues'>;

export default defineStateStore({
  type: 'state.aws.dynamodb',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL'],
  summary: 'State in a table of AWS DynamoDB.',
  metadata: schema(
    {
      ...awsFields,
      table: field.text().default('').describe('Name of the table, which must be there; its partition key is a text. Required'),
      ttlAttributeName: field.text().default('').describe('Attribute of the table for the time when an item expires; without it there are no lifetimes'),
      partitionKey: field.text().default('key').describe('Name of the partition key of the table; read only in this spelling'),
    },
    awsAliases,
  ),
  open: async (metadata, { host, properties, signal: starting }) => {
    if (metadata.table === '') throw new MetadataError('missing dynamodb table name');
    const settings = awsClientSettings(metadata, host);
    const { DeleteItemCommand, DynamoDBClient, GetItemCommand, PutItemCommand, TransactWriteItemsCommand } = await import('@aws-sdk/client-dynamodb');
    const client = new DynamoDBClient(settings);
    const call = awsCalls('DynamoDB');
    const { table: TableName, ttlAttributeName: ttl } = metadata;
    const partitionKey = properties.partitionKey ?? 'key';
    const keyOf = (key: string): Item => ({ [partitionKey]: { S: key } });
    const abort = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {});
    const itemOf = async (key: string, consistency: string, signal: AbortSignal | undefined) =>
      (await call('GetItem', client.send(new GetItemCommand({ TableName, Key: keyOf(key), ConsistentRead: consistency === 'strong' }), abort(signal)))).Item;

    const putOf = ({ key, value, metadata: wanted }: SetRequest): { TableName: string; Item: Item } => {
      const expires = ttl === '' ? undefined : expiryOf(wanted);
      // Bytes stay bytes, JSON stands as text, so that others who look at the table can read it.
      const Item: Item = { ...keyOf(key), value: 'json' in value ? { S: textOfBytes(bytesOf(value)) } : { B: value.bytes }, etag: { S: newEtag() } };
      return { TableName, Item: expires === undefined ? Item : { ...Item, [ttl]: { N: String(expires) } } };
    };
    const conditionOf = (request: DeleteRequest, isWrite: boolean): Condition => {
      const etag = etagOf(request);
      const first = isWrite && request.concurrency === 'first-write';
      if (etag === undefined && !first) return {};
      // DynamoDB takes its time to remove what has expired; until then such an item counts as gone here.
      const expiring = ttl === '' ? {} : { names: { '#ttl': ttl }, values: { ':now': { N: String(nowInSeconds()) } } };
      const expression = etag === undefined ? `attribute_not_exists(etag)${ttl === '' ? '' : ' OR #ttl <= :now'}` : `etag = :etag${ttl === '' ? '' : ' AND (attribute_not_exists(#ttl) OR #ttl > :now)'}`;
      const values = { ...(etag === undefined ? {} : { ':etag': { S: etag } }), ...expiring.values };
      return { ConditionExpression: expression, ...(expiring.names ? { ExpressionAttributeNames: expiring.names } : {}), ...(Object.keys(values).length > 0 ? { ExpressionAttributeValues: values } : {}) };
    };
    const guarded = async <T>(work: Promise<T>): Promise<void> => {
      await work.catch((error) => {
        throw error instanceof AwsFailure && error.code === 'ConditionalCheckFailedException' ? etagMismatch(error.reason) : error;
      });
    };
    const writeOf = (operation: TransactionOperation): { Put: Put } | { Delete: Delete } =>
      operation.operation === 'upsert' ? { Put: { ...putOf(operation), ...conditionOf(operation, true) } } : { Delete: { TableName, Key: keyOf(operation.key), ...conditionOf(operation, false) } };

    // Shows at load whether the table is there and may be read.
    await itemOf(crypto.randomUUID(), '', starting).catch((error) => {
      throw prefixed(`error validating DynamoDB table '${TableName}' access`, error);
    });
    return {
      features: ttl === '' ? ['ETAG', 'TRANSACTIONAL'] : ['ETAG', 'TRANSACTIONAL', 'TTL'],
      maxTransactionOperations: 100,
      get: async ({ key, consistency }, { signal }) => resultOf(await itemOf(key, consistency, signal), key, ttl),
      set: async (request, { signal }) => guarded(call('PutItem', client.send(new PutItemCommand({ ...putOf(request), ...conditionOf(request, true) }), abort(signal)))),
      delete: async (request, { signal }) => guarded(call('DeleteItem', client.send(new DeleteItemCommand({ TableName, Key: keyOf(request.key), ...conditionOf(request, false) }), abort(signal)))),
      transact: async (operations, _metadata, { signal }) => {
        if (operations.length === 0) return;
        // DynamoDB takes no two operations on one item: the last one counts.
        const last = new Map(operations.map((operation) => [operation.key, operation]));
        const TransactItems = operations.filter((operation) => last.get(operation.key) === operation).map(writeOf);
        await call('TransactWriteItems', client.send(new TransactWriteItemsCommand({ TransactItems }), abort(signal)));
      },
      close: async () => client.destroy(),
    };
  },
});

const nowInSeconds = (): number => Math.floor(Date.now() / 1000);
/** A random number of 64 bits, in hexadecimal digits as Go prints it. */
const newEtag = (): string => (crypto.getRandomValues(new BigUint64Array(1))[0] as bigint).toString(16);

function resultOf(item: Item | undefined, key: string, ttl: string): GetResult {
  if (item === undefined || Object.keys(item).length === 0) return { data: null };
  const expires = ttl === '' || item[ttl] === undefined ? undefined : Number(item[ttl].N);
  if (expires !== undefined && expires <= nowInSeconds()) return { data: null };
  return { data: dataOf(item.value, key), etag: item.etag?.S, ...(expires === undefined ? {} : { metadata: { ttlExpireTime: `${new Date(expires * 1000).toISOString().slice(0, 19)}Z` } }) };
}

function dataOf(value: AttributeValue | undefined, key: string): Uint8Array | null {
  if (value === undefined || value.NULL) return null;
  if (value.B !== undefined) return value.B;
  if (value.S !== undefined) return utf8(value.S);
  throw new AdapterError('internal', `dynamodb error: failed to unmarshal value for key ${key}: unsupported attribute value type ${Object.keys(value)[0]}`);
}

/** Seconds since 1970; undefined: never. -1 means never, as in every other store; daprd lets such a value expire at once. */
function expiryOf(metadata: Record<string, string>): number | undefined {
  const text = metadata.ttlInSeconds;
  if (text === undefined || text === '' || text === '-1') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw new AdapterError('invalid', `dynamodb error: failed to parse ttlInSeconds: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const at = nowInSeconds() + Number(text);
  if (!Number.isSafeInteger(at)) throw new AdapterError('invalid', `dynamodb error: failed to parse ttlInSeconds: strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return at;
}
