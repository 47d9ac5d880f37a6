// nameresolution.sqlite: sidecars of one machine find each other through a table in a SQLite file, in daprd's own form.
import { textOf } from '../../core/errors.ts';
import type { SqliteDatabase } from '../../core/host.ts';
import { field, schema } from '../../core/metadata.ts';
import { defineNameResolver, type Instance } from '../../blocks/invoke/port.ts';
import { scheduleCleanup } from '../sql/cleanup.ts';
import { isIdentifier, locationOf, sqliteConnectionAliases, sqliteConnectionFields } from '../sqlite/connection.ts';
import { openSqlite } from '../sqlite/database.ts';
import { claimCleanupSql, migrateSqlite } from '../sqlite/migrations.ts';

const settingsOf = schema(
  {
    ...sqliteConnectionFields({ timeoutMs: 1000, busyTimeoutMs: 800 }),
    tableName: field.text().default('hosts').describe('Table of the sidecars.'),
    metadataTableName: field.text().default('metadata').describe('Table that holds the schema version and the time of the last cleanup.'),
    updateInterval: field.duration().default(5000).describe('How long a sidecar counts as running after it last said so; whole seconds.'),
    cleanupInterval: field.duration().default(3600_000).describe('How often sidecars that went away without a word are removed; 0 and less: never.'),
  },
  { ...sqliteConnectionAliases, cleanupIntervalInSeconds: 'cleanupInterval' },
);

export default defineNameResolver({
  type: 'nameresolution.sqlite',
  summary: 'Finds the sidecars of one machine through a SQLite file.',
  open: async (configuration, { host, log, self }) => {
    const settings = settingsOf.parse(Object.fromEntries(Object.entries(configuration).map(([name, value]) => [name, String(value ?? '')])));
    const { tableName: table, metadataTableName: metadataTable, updateInterval } = settings;
    const address = addressOf(self);
    const location = locationOf(settings, log);
    if (!isIdentifier(table)) throw new Error(`invalid identifier for table name: ${table}`);
    if (!isIdentifier(metadataTable)) throw new Error(`invalid identifier for metadata table name: ${metadataTable}`);
    if (updateInterval % 1000 !== 0) throw new Error('update interval must not contain fractions of seconds');
    if (updateInterval - settings.timeout < 1000) throw new Error('update interval must be at least 1s greater than timeout');
    if (location.memory) log.warn('Configuring name resolution with an in-memory SQLite database. Service invocation across different apps will not work.');

    const database = await openSqlite(host, location, settings, (file) => migrateSqlite(file, { metadataTable, key: 'nr-migrations', steps: [createTable(table)] }));
    const now = 'unixepoch(CURRENT_TIMESTAMP)';
    const id = crypto.randomUUID();
    // An address has one sidecar: whoever had it before is gone. The namespace is not used, as in daprd.
    const register = database.prepare(`REPLACE INTO ${table} (registration_id, address, app_id, namespace, last_update) VALUES (?, ?, ?, '', ${now})`);
    const registerAgain = database.prepare(`INSERT INTO ${table} (registration_id, address, app_id, namespace, last_update) VALUES (?, ?, ?, '', ${now}) ON CONFLICT DO NOTHING`);
    const renewal = database.prepare(`UPDATE ${table} SET last_update = ${now} WHERE registration_id = ? AND address = ?`);
    const removal = database.prepare(`DELETE FROM ${table} WHERE registration_id = ? AND address = ?`);
    const select = database.prepare(`SELECT address FROM ${table} WHERE app_id = ? AND ${now} - last_update < ? ORDER BY RANDOM()`);
    const removeOld = database.prepare(`DELETE FROM ${table} WHERE ${now} - last_update > ?`);
    const claim = database.prepare(claimCleanupSql(metadataTable, 'nr-last-cleanup'));

    try {
      await database.write(() => register.run(id, address, self.appId));
    } catch (error) {
      await database.close();
      throw new Error(`failed to register host: ${textOf(error)}`, { cause: error });
    }

    const renew = async () => {
      try {
        const lost = await database.write(() => renewal.run(id, address).changes === 0 && registerAgain.run(id, address, self.appId).changes === 0);
        if (lost) log.error(`Host registration lost: another sidecar has registered the address ${address}`);
      } catch (error) {
        log.error(`Failed to update host registration: ${textOf(error)}`);
      }
    };
    const timer = setInterval(renew, updateInterval - settings.timeout);
    (timer as { unref?(): void }).unref?.();
    // Rows that a neighbour with a longer interval still renews stay: only what is old by any measure goes.
    const oldSeconds = Math.round(Math.max(settings.cleanupInterval, 2 * updateInterval) / 1000);
    const cleanup = scheduleCleanup({
      intervalMs: settings.cleanupInterval,
      log,
      claim: (minAgeMs) => database.write(() => claim.run(minAgeMs).changes > 0),
      remove: () => database.write(() => removeOld.run(oldSeconds).changes),
    });

    return {
      // A row counts as alive for seconds after its sidecar's last sign; asking again within one tells nothing new.
      cacheMs: 1000,
      resolve: async (appId) => {
        const rows = await database.read(() => select.all(appId, updateInterval / 1000));
        if (rows.length === 0) throw new Error('no host found with the given ID');
        return rows.map((row) => String(row.address));
      },
      close: async () => {
        clearInterval(timer);
        cleanup.stop();
        await database.write(() => removal.run(id, address)).catch((error) => log.error(`failed to unregister host: ${textOf(error)}`));
        await database.close();
      },
    };
  },
});

function addressOf({ appId, address, internalPort }: Instance): string {
  if (appId === '') throw new Error('name is missing');
  if (address === '') throw new Error('address is missing');
  if (internalPort === 0) throw new Error('port is missing or invalid');
  return `${address.includes(':') ? `[${address}]` : address}:${internalPort}`;
}

// Word for word the columns daprd creates. Source: components-contrib/nameresolution/sqlite/sqlite_migrations.go.
const createTable = (table: string) => (database: SqliteDatabase) =>
  database.exec(`CREATE TABLE ${table} (
    registration_id TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    app_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    last_update INTEGER NOT NULL
  );
  CREATE UNIQUE INDEX ${table}_address_idx ON ${table} (address);
  CREATE INDEX ${table}_last_update_idx ON ${table} (last_update);`);
