// Numbered schema steps of PostgreSQL components, counted in a metadata table and locked as daprd does it.
import type { PostgresPool, PostgresQuery } from './pool.ts';

/** One step; runs in a transaction together with the note that it has run. */
export type MigrationStep = (query: PostgresQuery) => Promise<void>;

export interface Migrations {
  /** Checked name, may have a schema. */
  metadataTable: string;
  /** Row of the metadata table that holds the number of steps done. */
  key: string;
  steps: MigrationStep[];
}

// Changes to a large table take their time.
const patience = 10 * 60_000;

/**
 * Runs the steps that this database has not seen. Sidecars that start together (daprd's too) take turns through a lock on the row `lock`.
 * A higher count than ours is left alone. Source: components-contrib/common/component/sql/migrations/postgres.
 */
export async function migratePostgres(pool: PostgresPool, { metadataTable, key, steps }: Migrations): Promise<void> {
  await createMetadataTable(pool, metadataTable);
  await pool.write({ text: `INSERT INTO ${metadataTable} (key, value) VALUES ('lock', 'lock') ON CONFLICT (key) DO NOTHING` });
  const done = new Error('done');
  try {
    await pool.transaction(async (query) => {
      await query({ text: `SELECT value FROM ${metadataTable} WHERE key = 'lock' FOR UPDATE`, timeoutMs: 60_000 });
      await runSteps(pool, { metadataTable, key, steps });
      throw done; // this transaction only holds the lock; daprd rolls it back, too
    });
  } catch (error) {
    if (error !== done) throw error;
  }
}

async function runSteps(pool: PostgresPool, { metadataTable, key, steps }: Migrations): Promise<void> {
  const { rows } = await pool.read({ text: `SELECT value FROM ${metadataTable} WHERE key = $1` }, [key]);
  const noted = rows[0]?.value;
  const level = noted === undefined ? 0 : Number(noted);
  if (!(Number.isInteger(level) && level >= 0)) throw new Error(`invalid migration level found in metadata table: ${noted}`);
  for (let i = level; i < steps.length; i++) {
    await pool.transaction(async (query) => {
      await (steps[i] as MigrationStep)((statement, values) => query({ timeoutMs: patience, ...statement }, values));
      await query({ text: `INSERT INTO ${metadataTable} (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value` }, [key, String(i + 1)]);
    });
  }
}

async function createMetadataTable(pool: PostgresPool, table: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await pool.write({ text: `CREATE TABLE IF NOT EXISTS ${table} (key text NOT NULL PRIMARY KEY, value text NOT NULL)` });
      return;
    } catch (error) {
      // Two sessions that create one table at the same moment: IF NOT EXISTS does not help. The second one fails on the catalogue's index
      // (23505) or, where it comes a little later, on the other's table (42P07) or its row type (42710).
      if (attempt === 5 || !/SQLSTATE (23505|42P07|42710)/.test((error as Error).message)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Columns of a table, empty where there is none. */
export async function columnsOf(query: PostgresQuery, table: string): Promise<Set<string>> {
  const { rows } = await query({ text: 'SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped' }, [table]);
  return new Set(rows.map((row) => String(row.attname)));
}

/**
 * The step that gives every row a number in the order of its creation, for paging. Leaves what is there already.
 * Source: migration 2 of components-contrib/state/postgresql/v1 and v2.
 */
export const addRowId = (table: string, createdColumn: string): MigrationStep => async (query) => {
  const found = await query({ text: "SELECT n.nspname AS schema, c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted, format('%I', c.relname || '_row_id_uidx') AS index FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)" }, [table]);
  const row = found.rows[0] as { schema: string; name: string; quoted: string; index: string } | undefined;
  if (row === undefined) throw new Error(`table "${table}" not found`);
  const { quoted } = row;
  if (!(await columnsOf(query, table)).has('row_id')) await query({ text: `ALTER TABLE ${quoted} ADD COLUMN row_id BIGINT` });
  await query({ text: `WITH ranked AS (SELECT key, ROW_NUMBER() OVER (ORDER BY ${createdColumn}, key) AS rank FROM ${quoted} WHERE row_id IS NULL) UPDATE ${quoted} AS t SET row_id = ranked.rank FROM ranked WHERE ranked.key = t.key` });
  await query({ text: `ALTER TABLE ${quoted} ALTER COLUMN row_id SET NOT NULL` });
  const identity = await query({ text: "SELECT 1 FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 AND column_name = 'row_id' AND is_identity = 'YES'" }, [row.schema, row.name]);
  if (identity.count === 0) await query({ text: `ALTER TABLE ${quoted} ALTER COLUMN row_id ADD GENERATED BY DEFAULT AS IDENTITY` });
  await query({ text: `SELECT setval(pg_get_serial_sequence($1, 'row_id'), COALESCE((SELECT MAX(row_id) FROM ${quoted}), 0) + 1, false)` }, [quoted]);
  await query({ text: `CREATE UNIQUE INDEX IF NOT EXISTS ${row.index} ON ${quoted} (row_id)` });
};
