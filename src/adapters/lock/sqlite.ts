// lock.sqlite: locks as rows of a SQLite file, shared by the sidecars of one machine. Not a component of Dapr.
import { field, schema } from '../../core/metadata.ts';
import { defineLockStore } from '../../blocks/lock/port.ts';
import { scheduleCleanup } from '../sql/cleanup.ts';
import { isIdentifier, locationOf, sqliteConnectionAliases, sqliteConnectionFields } from '../sqlite/connection.ts';
import { openSqlite } from '../sqlite/database.ts';

export default defineLockStore({
  type: 'lock.sqlite',
  aliases: ['lock.sqlite3'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Locks in a SQLite file, which may be the file of the state store; for the sidecars of one machine.',
  metadata: schema(
    {
      ...sqliteConnectionFields({ timeoutMs: 20_000, busyTimeoutMs: 2000 }),
      tableName: field.text().default('dapr_lock').describe('Table that holds the locks.'),
      cleanupInterval: field.duration().default(3600_000).describe('How often rows of expired locks are removed; 0 and less: never. An expired lock is free at once, whatever stands here.'),
    },
    sqliteConnectionAliases,
  ),
  open: async (metadata, { host, log }) => {
    const { tableName: table } = metadata;
    if (!isIdentifier(table)) throw new Error(`invalid identifier: ${table}`);
    const location = locationOf(metadata, log);
    const database = await openSqlite(host, location, metadata, (file) =>
      // Milliseconds since 1970: all who share the file share the clock of this machine.
      file.exec(`CREATE TABLE IF NOT EXISTS ${table} (key TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, expires_at INTEGER NOT NULL)`),
    );
    const take = database.prepare(`INSERT INTO ${table} AS held (key, owner, expires_at) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at WHERE held.expires_at <= ?`);
    const find = database.prepare(`SELECT owner FROM ${table} WHERE key = ? AND expires_at > ?`);
    const remove = database.prepare(`DELETE FROM ${table} WHERE key = ?`);
    const removeExpired = database.prepare(`DELETE FROM ${table} WHERE expires_at <= ?`);
    const cleanup = scheduleCleanup({
      intervalMs: host.background ? metadata.cleanupInterval : 0,
      log,
      claim: async () => true,
      remove: () => database.write(() => removeExpired.run(Date.now()).changes),
    });
    return {
      tryLock: ({ key, owner, seconds }) => database.write(() => take.run(key, owner, Date.now() + seconds * 1000, Date.now()).changes > 0),
      unlock: ({ key, owner }) =>
        database.write(() => {
          const held = find.get(key, Date.now());
          if (held === undefined) return 'missing';
          if (held.owner !== owner) return 'others';
          remove.run(key);
          return 'success';
        }),
      ping: async () => void (await database.read(() => find.get('', 0))),
      close: async () => {
        cleanup.stop();
        await database.close();
      },
    };
  },
});
