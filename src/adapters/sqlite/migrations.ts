// Numbered schema steps of SQLite components, counted in a metadata table as daprd counts them.
import type { SqliteDatabase } from '../../core/host.ts';

/**
 * Runs the steps that this file has not seen and notes each. Call inside an exclusive transaction. A higher count than ours is left alone.
 * The steps must be daprd's, in its order: both open the same files. Source: components-contrib/common/component/sql/migrations/sqlite.
 */
export function migrateSqlite(database: SqliteDatabase, { metadataTable, key, steps }: { metadataTable: string; key: string; steps: ((database: SqliteDatabase) => void)[] }): void {
  const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(metadataTable);
  if (!exists) database.exec(`CREATE TABLE IF NOT EXISTS ${metadataTable} (key text NOT NULL PRIMARY KEY, value text NOT NULL)`);
  const noted = database.prepare(`SELECT value FROM ${metadataTable} WHERE key = ?`).get(key)?.value;
  const level = noted === undefined ? 0 : Number(noted);
  if (!(Number.isInteger(level) && level >= 0)) throw new Error(`invalid migration level found in metadata table: ${noted}`);
  for (let i = level; i < steps.length; i++) {
    (steps[i] as (database: SqliteDatabase) => void)(database);
    database.prepare(`REPLACE INTO ${metadataTable} (key, value) VALUES (?, ?)`).run(key, String(i + 1));
  }
}

/** Notes the time of a cleanup unless the last one is too young; both arguments are checked names. */
export const claimCleanupSql = (metadataTable: string, key: string): string => `INSERT INTO ${metadataTable} (key, value) VALUES ('${key}', CURRENT_TIMESTAMP)
  ON CONFLICT (key) DO UPDATE SET value = CURRENT_TIMESTAMP WHERE (unixepoch(CURRENT_TIMESTAMP) - unixepoch(value)) * 1000 > ?`;
