// bindings.aws.dynamodb: JSON objects as items of a table of AWS DynamoDB.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { parseWhole, textOfBytes } from '../../core/go-json.ts';
import { Digits, entriesOf, type Exact, parseExact } from '../../core/json-exact.ts';
import { field, schema } from '../../core/metadata.ts';
import { awsCalls } from '../aws/failure.ts';
import { awsAliases, awsFields } from '../aws/fields.ts';
import { awsClientSettings } from '../aws/settings.ts';

export default defineBinding({
  type: 'bindings.aws.dynamodb',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Puts JSON objects into a table of AWS DynamoDB.',
  metadata: schema({ ...awsFields, table: field.text().default('').describe('Name of the table') }, awsAliases),
  open: async (metadata, { host }) => {
    const settings = awsClientSettings(metadata, host);
    const { DynamoDBClient, PutItemCommand } = await import('@aws-sdk/client-dynamodb');
    const client = new DynamoDBClient(settings);
    const call = awsCalls('DynamoDB');
    return {
      operations: ['create'],
      invoke: async ({ data }, { signal }) => {
        await call('PutItem', client.send(new PutItemCommand({ TableName: metadata.table, Item: itemOf(textOfBytes(data)) }), signal ? { abortSignal: signal } : {}));
        return null;
      },
      close: async () => client.destroy(),
    };
  },
});

function itemOf(json: string): Record<string, AttributeValue> {
  try {
    parseWhole(json);
  } catch (error) {
    throw new AdapterError('invalid', textOf(error), error);
  }
  const entries = entriesOf(parseExact(json) ?? null);
  if (entries === undefined) throw new AdapterError('invalid', 'the data of bindings.aws.dynamodb must be a JSON object');
  return Object.fromEntries(entries.map(([name, value]) => [name, attributeOf(value)]));
}

/** Numbers keep their digits, which DynamoDB stores up to 38 of. */
function attributeOf(value: Exact): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'boolean') return { BOOL: value };
  if (typeof value === 'number') return { N: String(value) };
  if (value instanceof Digits) return { N: value.text };
  if (Array.isArray(value)) return { L: (value as readonly Exact[]).map(attributeOf) };
  return { M: Object.fromEntries((entriesOf(value) ?? []).map(([name, inner]) => [name, attributeOf(inner)])) };
}
