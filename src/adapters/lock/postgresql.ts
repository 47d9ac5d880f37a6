// lock.postgresql: locks as rows of a PostgreSQL table, on the server's clock. Not a component of Dapr.
import { field, schema } from '../../core/metadata.ts';
import { defineLockStore } from '../../blocks/lock/port.ts';
import { postgresConnection, postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { migratePostgres } from '../postgresql/migrations.ts';
import { openPostgres } from '../postgresql/pool.ts';
import { checkTableName } from '../postgresql/state.ts';
import { scheduleCleanup } from '../sql/cleanup.ts';

export default defineLockStore({
  type: 'lock.postgresql',
  aliases: ['lock.postgres'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Locks in a PostgreSQL table.',
  metadata: schema(
    {
      ...postgresConnectionFields,
      tableName: field.text().default('dapr_lock').describe('Table that holds the locks, with or without a schema.'),
      metadataTableName: field.text().default('dapr_metadata').describe('Table that holds the schema version.'),
      cleanupInterval: field.duration().default(3600_000).describe('How often rows of expired locks are removed; 0 and less: never. An expired lock is free at once, whatever stands here.'),
    },
    postgresConnectionAliases,
  ),
  open: async (metadata, { host, log, signal }) => {
    const table = checkTableName(metadata.tableName);
    const pool = await openPostgres(await postgresConnection(metadata, host, log), log);
    try {
      const create = `CREATE TABLE IF NOT EXISTS ${table} (key text NOT NULL PRIMARY KEY, owner text NOT NULL, expires_at TIMESTAMP WITH TIME ZONE NOT NULL)`;
      await migratePostgres(pool, { metadataTable: checkTableName(metadata.metadataTableName), key: `lock-migrations-${table}`, steps: [async (query) => void (await query({ text: create }))] });
      signal.throwIfAborted();
    } catch (error) {
      await pool.close();
      throw error;
    }
    const cleanup = scheduleCleanup({
      intervalMs: host.background ? metadata.cleanupInterval : 0,
      log,
      claim: async () => true,
      remove: async () => (await pool.write({ text: `DELETE FROM ${table} WHERE expires_at <= clock_timestamp()` })).count,
    });
    const take = {
      name: 'lock-take',
      text: `INSERT INTO ${table} AS held (key, owner, expires_at) VALUES ($1, $2, clock_timestamp() + $3::integer * interval '1 second')
        ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.expires_at <= clock_timestamp()`,
    };
    // One statement: between looking and deleting nobody can come.
    const release = { name: 'lock-release', text: `DELETE FROM ${table} WHERE key = $1 AND owner = $2 AND expires_at > clock_timestamp()` };
    const find = { name: 'lock-find', text: `SELECT 1 FROM ${table} WHERE key = $1 AND expires_at > clock_timestamp()` };
    return {
      tryLock: async ({ key, owner, seconds }) => (await pool.write(take, [key, owner, seconds])).count > 0,
      unlock: async ({ key, owner }) => {
        if ((await pool.write(release, [key, owner])).count > 0) return 'success';
        return (await pool.read(find, [key])).count > 0 ? 'others' : 'missing';
      },
      ping: async () => void (await pool.read({ text: 'SELECT 1' })),
      close: async () => {
        cleanup.stop();
        await pool.close();
      },
    };
  },
});
