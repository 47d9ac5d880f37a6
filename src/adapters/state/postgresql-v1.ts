// state.postgresql v1: state in a PostgreSQL table with a jsonb column, the row's xmin as the etag.
import { AdapterError, etagInvalid } from '../../core/errors.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { utf8 } from '../../core/go-json.ts';
import { field, property, schema } from '../../core/metadata.ts';
import { defineStateStore } from '../../blocks/state/port.ts';
import type { StateQuery } from '../../blocks/state/query.ts';
import { postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { addRowId, columnsOf, type MigrationStep } from '../postgresql/migrations.ts';
import { runQuery } from '../postgresql/query.ts';
import { checkTableName, cleanupIntervalOf, openPostgresState, type PostgresStateTable } from '../postgresql/state.ts';

export default defineStateStore({
  type: 'state.postgresql',
  aliases: ['state.postgres'],
  versions: ['v1'],
  defaultVersion: 'v1',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE', 'QUERY_API'],
  summary: 'State in a PostgreSQL table, values as jsonb.',
  metadata: schema(
    {
      ...postgresConnectionFields,
      tableName: field.text().default('state').describe('Table that holds the state, with or without a schema.'),
      metadataTableName: field.text().default('dapr_metadata').describe('Table that holds the schema version and the time of the last cleanup.'),
      cleanupInterval: field.duration().default(3600_000).describe('How often expired rows are removed; 0 and less: never. Reads never see expired rows.'),
    },
    { ...postgresConnectionAliases, cleanupIntervalInSeconds: 'cleanupInterval' },
  ),
  open: async (metadata, context) => {
    const interval = cleanupIntervalOf(metadata.cleanupInterval, property(context.properties, 'cleanupInterval') ?? property(context.properties, 'cleanupIntervalInSeconds'));
    const store = stateTable(checkTableName(metadata.tableName), checkTableName(metadata.metadataTableName));
    const queried = { table: store.table, column: 'value', selected: `${store.columns.value}, ${store.columns.etag} AS etag`, live: '(expiredate IS NULL OR expiredate >= now())', decode: store.decode };
    return openPostgresState(store, metadata, interval, context, (pool) => ({ query: (query: StateQuery) => runQuery(pool, queried, query) }));
  },
});

function stateTable(table: string, metadataTable: string): PostgresStateTable {
  const expires = "now() + $2::integer * interval '1 second'";
  return {
    table,
    metadataTable,
    metadataFault: 'failed to parse metadata: ',
    migrationsKey: 'migrations',
    cleanupKey: 'last-cleanup',
    check: async (query) => {
      const columns = await columnsOf(query, table);
      if (columns.size > 0 && !columns.has('isbinary')) throw new Error(`table "${table}" was not made by state.postgresql v1 (its column "isbinary" does not exist, SQLSTATE 42703): v1 and v2 cannot share a table, set tableName`);
    },
    steps: [createTable(table), addExpiry(table), addRowId(table, 'insertdate')],
    // jsonb as text: PostgreSQL's spelling of the value is what readers get.
    columns: { value: 'value::text AS value, isbinary', etag: 'xmin::text', expires: 'expiredate' },
    upsert: (first) => `INSERT INTO ${table} AS t (key, expiredate, value, isbinary) VALUES ($1, ${expires}, $3, $4)
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, isbinary = excluded.isbinary, updatedate = now(), expiredate = excluded.expiredate${first ? ' WHERE t.expiredate < now()' : ''}`,
    update: `UPDATE ${table} SET value = $3, isbinary = $4, updatedate = now(), expiredate = ${expires} WHERE key = $1 AND xmin = $5 AND (expiredate IS NULL OR expiredate > now())`,
    encode: (value) => ('json' in value ? [value.json, false] : [JSON.stringify(toBase64(value.bytes)), true]),
    decode: ({ value, isbinary }) => {
      if (!isbinary) return utf8(value as string);
      try {
        return fromBase64(JSON.parse(value as string) as string);
      } catch (error) {
        throw new AdapterError('internal', `failed to decode base64 data: ${(error as Error).message}`);
      }
    },
    etag: (text) => {
      if (!/^\d+$/.test(text)) throw etagInvalid(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
      if (Number(text) > 4294967295) throw etagInvalid(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
      return String(Number(text));
    },
    hasEtag: (parameter) => `xmin = ${parameter}`,
  };
}

// The steps of components-contrib/state/postgresql/v1/migrations.go.
const createTable = (table: string): MigrationStep => async (query) =>
  void (await query({
    text: `CREATE TABLE IF NOT EXISTS ${table} (
      key text NOT NULL PRIMARY KEY,
      value jsonb NOT NULL,
      isbinary boolean NOT NULL,
      insertdate TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
      updatedate TIMESTAMP WITH TIME ZONE NULL
    )`,
  }));

const addExpiry = (table: string): MigrationStep => async (query) => void (await query({ text: `ALTER TABLE ${table} ADD expiredate TIMESTAMP WITH TIME ZONE` }));
