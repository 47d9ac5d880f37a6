// state.postgresql v2: state in a PostgreSQL table with a bytea column, a random UUID as the etag.
import { etagMismatch } from '../../core/errors.ts';
import { field, property, schema } from '../../core/metadata.ts';
import { escapedBytesOf } from '../../blocks/state/options.ts';
import { defineStateStore } from '../../blocks/state/port.ts';
import { postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { addRowId, columnsOf, type MigrationStep } from '../postgresql/migrations.ts';
import { checkTableName, cleanupIntervalOf, openPostgresState, type PostgresStateTable } from '../postgresql/state.ts';

export default defineStateStore({
  type: 'state.postgresql',
  aliases: ['state.postgres'],
  versions: ['v2'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE'],
  summary: 'State in a PostgreSQL table, values as bytes.',
  metadata: schema(
    {
      ...postgresConnectionFields,
      tablePrefix: field.text().default('').describe('What the name of the table `state` begins with; may have a schema, as in `myschema.myapp_`.'),
      metadataTableName: field.text().default('dapr_metadata').describe('Table that holds the schema version and the time of the last cleanup.'),
      cleanupInterval: field.duration().default(3600_000).describe('How often expired rows are removed; 0 and less: never. Reads never see expired rows.'),
    },
    { ...postgresConnectionAliases, cleanupIntervalInSeconds: 'cleanupInterval' },
  ),
  open: async (metadata, context) => {
    const interval = cleanupIntervalOf(metadata.cleanupInterval, property(context.properties, 'cleanupInterval') ?? property(context.properties, 'cleanupIntervalInSeconds'));
    return openPostgresState(stateTable(metadata.tablePrefix, checkTableName(metadata.metadataTableName)), metadata, interval, context, () => ({}));
  },
});

function stateTable(prefix: string, metadataTable: string): PostgresStateTable {
  const table = checkTableName(`${prefix}state`);
  const expires = "now() + $2::integer * interval '1 second'";
  return {
    table,
    metadataTable,
    migrationsKey: `migrations-state-v2-${prefix}`,
    cleanupKey: `last-cleanup-state-v2-${prefix}`,
    check: async (query) => {
      const columns = await columnsOf(query, table);
      if (columns.size > 0 && !columns.has('expires_at')) throw new Error(`table "${table}" was not made by state.postgresql v2 (its column "expires_at" does not exist, SQLSTATE 42703): v1 and v2 cannot share a table, set tablePrefix`);
    },
    steps: [createTable(table), addRowId(table, 'created_at')],
    columns: { value: 'value', etag: 'etag::text', expires: 'expires_at' },
    upsert: (first) => `INSERT INTO ${table} AS t (key, expires_at, value, etag) VALUES ($1, ${expires}, $3, gen_random_uuid())
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now(), etag = excluded.etag, expires_at = excluded.expires_at${first ? ' WHERE t.expires_at < now()' : ''}`,
    update: `UPDATE ${table} SET value = $3, updated_at = now(), etag = gen_random_uuid(), expires_at = ${expires} WHERE key = $1 AND etag = $4 AND (expires_at IS NULL OR expires_at >= now())`,
    encode: (value) => [escapedBytesOf(value)],
    decode: ({ value }) => value as Uint8Array,
    etag: (text) => {
      // The spellings github.com/google/uuid reads; PostgreSQL knows all but the URN.
      const uuid = text.replace(/^urn:uuid:/i, '');
      if (!/^(\{?)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$|^[0-9a-f]{32}$/i.test(uuid)) throw etagMismatch([32, 36, 38, 45].includes(text.length) ? 'invalid UUID format' : `invalid UUID length: ${text.length}`);
      return uuid.replace(/[{}]/g, '');
    },
    hasEtag: (parameter) => `etag = ${parameter}`,
  };
}

// The first step of components-contrib/state/postgresql/v2/postgresql.go; PostgreSQL names the index.
const createTable = (table: string): MigrationStep => async (query) => {
  await query({
    text: `CREATE TABLE IF NOT EXISTS ${table} (
      key text NOT NULL PRIMARY KEY,
      value bytea NOT NULL,
      etag uuid NOT NULL DEFAULT gen_random_uuid(),
      created_at timestamp with time zone NOT NULL DEFAULT now(),
      updated_at timestamp with time zone,
      expires_at timestamp with time zone
    )`,
  });
  await query({ text: `CREATE INDEX ON ${table} (expires_at)` });
};
