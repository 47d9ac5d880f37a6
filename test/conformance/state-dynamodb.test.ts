// state.aws.dynamodb against Moto: the shared suite, and what stands in the table.
import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StateStore, TransactionOperation } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import type { AdapterError } from '../../src/core/errors.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startMoto } from '../harness/servers.ts';
import { openComponent } from './open.ts';
import { describeStateStore } from './state.ts';

const type = 'state.aws.dynamodb';

describeWithServer('moto', type, () => {
  let moto: Awaited<ReturnType<typeof startMoto>>;
  let client: DynamoDBClient;
  beforeAll(async () => {
    moto = await startMoto();
    client = new DynamoDBClient({ endpoint: moto.endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' } });
    for (const [table, key] of [['suite', 'key'], ['looked-at', 'id']] as const) {
      await client.send(new CreateTableCommand({ TableName: table, BillingMode: 'PAY_PER_REQUEST', KeySchema: [{ AttributeName: key, KeyType: 'HASH' }], AttributeDefinitions: [{ AttributeName: key, AttributeType: 'S' }] }));
    }
  });
  afterAll(() => moto?.stop());
  const access = () => ({ endpoint: moto.endpoint, region: 'eu-west-1', accessKey: 'AKIAEXAMPLE', secretKey: 'secret' });
  describeStateStore({
    type,
    start: async () => ({ metadata: { ...access(), table: 'suite', ttlAttributeName: 'expiresAt' }, stop: async () => undefined }),
    operations: ['etag', 'firstWrite', 'transaction', 'ttl'],
    quirks: { badEtag: 'bad', tellsExpiry: true, keepsTtl: false, takesAnyOptions: true, many: 50, racy: true },
  });

  describe('in the table', () => {
    const none = { metadata: {}, concurrency: '', consistency: '' };
    const item = async (id: string) => (await client.send(new GetItemCommand({ TableName: 'looked-at', Key: { id: { S: id } } }))).Item;
    const open = async (metadata: Record<string, string> = {}) => (await openComponent<StateStore>(type, { ...access(), table: 'looked-at', partitionKey: 'id', ttlAttributeName: 'until', ...metadata })).port;

    test('JSON is a text, bytes are bytes, the etag is a number in hexadecimal digits', async () => {
      const store = await open();
      await store.set({ ...none, key: 'a||json', value: { json: '{"a":"<"}' }, metadata: { ttlInSeconds: '60' } }, background);
      await store.set({ ...none, key: 'a||bytes', value: { bytes: new Uint8Array([0, 255]) } }, background);
      expect(await item('a||json')).toEqual({ id: { S: 'a||json' }, value: { S: '{"a":"<"}' }, etag: { S: expect.stringMatching(/^[0-9a-f]{1,16}$/) }, until: { N: expect.stringMatching(/^\d{10}$/) } });
      expect(await item('a||bytes')).toMatchObject({ value: { B: new Uint8Array([0, 255]) } });
    });
    test('what others wrote is read: without an etag, expired, of another kind', async () => {
      const put = (id: string, more: ConstructorParameters<typeof PutItemCommand>[0]['Item']) => client.send(new PutItemCommand({ TableName: 'looked-at', Item: { id: { S: id }, ...more } }));
      const store = await open();
      const get = async (key: string) => store.get({ key, metadata: {}, consistency: 'strong' }, background);
      await put('bare', { value: { S: '1' } });
      expect(await get('bare')).toEqual({ data: new TextEncoder().encode('1'), etag: undefined });
      await put('old', { value: { S: '1' }, until: { N: '1000000000' }, etag: { S: 'e' } });
      expect(await get('old')).toEqual({ data: null });
      await put('number', { value: { N: '1' } });
      await expect(get('number')).rejects.toThrow('dynamodb error: failed to unmarshal value for key number: unsupported attribute value type N');
      // gone is gone, whatever the etag
      await expect(store.delete({ ...none, key: 'old', etag: 'e' }, background)).rejects.toMatchObject({ kind: 'etagMismatch' } satisfies Partial<AdapterError>);
      await store.set({ ...none, key: 'old', value: { json: '2' }, concurrency: 'first-write' }, background);
      expect(new TextDecoder().decode((await get('old')).data as Uint8Array)).toBe('2');
    });
    test('a transaction keeps to the etag of a delete', async () => {
      const store = await open();
      await store.set({ ...none, key: 'kept', value: { json: '1' } }, background);
      const operations: TransactionOperation[] = [{ operation: 'upsert', ...none, key: 'other', value: { json: '1' } }, { operation: 'delete', ...none, key: 'kept', etag: 'wrong' }];
      await expect(store.transact?.(operations, {}, background)).rejects.toThrow(/operation error DynamoDB: TransactWriteItems, .*TransactionCanceledException/);
      expect([await item('kept') !== undefined, await item('other')]).toEqual([true, undefined]);
      expect(store.maxTransactionOperations).toBe(100);
      await store.transact?.([], {}, background);
    });
    test('without an attribute for them there are no lifetimes', async () => {
      const store = await open({ ttlAttributeName: '' });
      expect(store.features).toEqual(['ETAG', 'TRANSACTIONAL']);
      await store.set({ ...none, key: 'lasting', value: { json: '1' }, metadata: { ttlInSeconds: 'foo' }, concurrency: 'first-write' }, background);
      expect(Object.keys((await item('lasting')) ?? {}).sort()).toEqual(['etag', 'id', 'value']);
      await expect(store.set({ ...none, key: 'lasting', value: { json: '2' }, concurrency: 'first-write' }, background)).rejects.toMatchObject({ kind: 'etagMismatch' });
    });
    test('a table that is not there is an error at load', async () => {
      await expect(open({ table: 'none' })).rejects.toThrow(/^error validating DynamoDB table 'none' access: operation error DynamoDB: GetItem, https response error StatusCode: 400, RequestID: .*, ResourceNotFoundException: /);
      await expect(open({ table: '' })).rejects.toThrow('missing dynamodb table name');
    });
  });
});
