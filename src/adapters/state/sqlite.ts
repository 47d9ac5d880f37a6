// state.sqlite: state in one SQLite file, in daprd's own tables.
import { AdapterError, etagMismatch } from '../../core/errors.ts';
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { goEscape } from '../../core/go-json.ts';
import type { SqliteDatabase, SqliteValue } from '../../core/host.ts';
import { field, schema } from '../../core/metadata.ts';
import { emptyPattern } from '../../blocks/state/keys-like.ts';
import { checkOptions, etagOf } from '../../blocks/state/options.ts';
import { type DeleteRequest, defineStateStore, type GetResult, type SetRequest } from '../../blocks/state/port.ts';
import { scheduleCleanup } from '../sql/cleanup.ts';
import { keyOf, lifetimeOf } from '../sql/request.ts';
import { isIdentifier, locationOf, sqliteConnectionAliases, sqliteConnectionFields } from '../sqlite/connection.ts';
import { openSqlite } from '../sqlite/database.ts';
import { claimCleanupSql, migrateSqlite } from '../sqlite/migrations.ts';

export default defineStateStore({
  type: 'state.sqlite',
  aliases: ['state.sqlite3'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['ETAG', 'TRANSACTIONAL', 'TTL', 'KEYS_LIKE'],
  summary: 'State in a SQLite file; the right default for one machine.',
  metadata: schema(
    {
      ...sqliteConnectionFields({ timeoutMs: 20_000, busyTimeoutMs: 2000 }),
      tableName: field.text().default('state').describe('Table that holds the state.'),
      metadataTableName: field.text().default('metadata').describe('Table that holds the schema version and the time of the last cleanup.'),
      cleanupInterval: field.duration().default(0).describe('How often expired rows are removed; 0 and less: never. Reads never see expired rows.'),
    },
    { ...sqliteConnectionAliases, cleanupIntervalInSeconds: 'cleanupInterval' },
  ),
  open: async (metadata, { host, log }) => {
    const { tableName: table, metadataTableName: metadataTable } = metadata;
    const location = locationOf(metadata, log);
    for (const name of [table, metadataTable]) if (!isIdentifier(name)) throw new Error(`invalid identifier: ${name}`);
    const database = await openSqlite(host, location, metadata, (file) => migrateSqlite(file, { metadataTable, key: 'migrations', steps: [createTable(table)] }));

    // CURRENT_TIMESTAMP has whole seconds, and so has everything compared with it. DATETIME(…, NULL) is NULL: no lifetime.
    const live = '(expiration_time IS NULL OR expiration_time > CURRENT_TIMESTAMP)';
    const lifetime = 'DATETIME(CURRENT_TIMESTAMP, ?)';
    const select = database.prepare(`SELECT CAST(value AS BLOB) AS value, is_binary, etag, expiration_time FROM ${table} WHERE key = ? AND ${live}`);
    const replace = database.prepare(`INSERT OR REPLACE INTO ${table} (key, value, is_binary, etag, expiration_time, update_time) VALUES (?, ?, ?, ?, ${lifetime}, CURRENT_TIMESTAMP)`);
    const update = database.prepare(`UPDATE ${table} SET value = ?, is_binary = ?, etag = ?, expiration_time = ${lifetime}, update_time = CURRENT_TIMESTAMP WHERE key = ? AND etag = ? AND ${live}`);
    const isLive = database.prepare(`SELECT 1 FROM ${table} WHERE key = ? AND ${live}`);
    const remove = database.prepare(`DELETE FROM ${table} WHERE key = ?`);
    const removeMatching = database.prepare(`DELETE FROM ${table} WHERE key = ? AND etag = ?`);
    // LIKE would ignore the case of ASCII letters, which keys do not.
    const list = database.prepare(`SELECT key, rowid FROM ${table} WHERE key GLOB ? AND ${live} AND rowid > ? ORDER BY rowid LIMIT ?`);

    const get = (key: string): GetResult => {
      const row = select.get(keyOf({ key }, 'get operation'));
      return row === undefined ? { data: null } : resultOf(row);
    };
    /** What a write will do; throws before anything is written where the request itself is wrong. */
    const setting = (request: SetRequest): (() => void) => {
      checkOptions(request);
      const key = keyOf(request, 'set option');
      const seconds = lifetimeOf(request);
      const expires = seconds === null ? null : `+${seconds} seconds`;
      const { value } = request;
      const [text, binary] = 'json' in value ? [goEscape(value.json), 0] : [toBase64(value.bytes), 1];
      const etag = etagOf(request);
      if (etag !== undefined)
        return () => {
          if (update.run(text, binary, crypto.randomUUID(), expires, key, etag).changes === 0) throw etagMismatch();
        };
      const first = request.concurrency === 'first-write';
      return () => {
        if (first && isLive.get(key) !== undefined) throw etagMismatch();
        replace.run(key, text, binary, crypto.randomUUID(), expires);
      };
    };
    const deleting = (request: DeleteRequest): (() => void) => {
      checkOptions(request);
      const key = keyOf(request, 'delete operation');
      const etag = etagOf(request);
      return () => {
        if (etag === undefined) remove.run(key);
        else if (removeMatching.run(key, etag).changes === 0) throw etagMismatch();
      };
    };

    const claim = database.prepare(claimCleanupSql(metadataTable, 'last-cleanup'));
    const removeExpired = database.prepare(`DELETE FROM ${table} WHERE expiration_time IS NOT NULL AND expiration_time < CURRENT_TIMESTAMP`);
    const cleanup = scheduleCleanup({
      intervalMs: host.background ? metadata.cleanupInterval : 0,
      log,
      claim: (minAgeMs) => database.write(() => claim.run(minAgeMs).changes > 0),
      remove: () => database.write(() => removeExpired.run().changes),
    });

    return {
      get: ({ key }) => database.read(() => get(key)),
      bulkGet: (requests) => database.read(() => requests.map(({ key }) => ({ key, ...caught(() => get(key)) }))),
      set: async (request) => database.write(setting(request)),
      delete: async (request) => database.write(deleting(request)),
      transact: async (operations) => {
        // Checked one by one inside: what daprd says of several wrong operations is what is wrong with the first.
        await database.write(() => {
          for (const operation of operations) (operation.operation === 'upsert' ? setting(operation) : deleting(operation))();
        });
      },
      keysLike: async ({ pattern, pageSize, continuationToken }) => {
        if (pattern === '') throw emptyPattern();
        const after = continuationToken === undefined || continuationToken === '' ? 0 : Number(continuationToken);
        if (!Number.isSafeInteger(after)) throw new AdapterError('invalid', `invalid continue token: ${continuationToken}`);
        // One row more than asked for tells whether there is another page.
        const rows = await database.read(() => list.all(globOf(pattern), after, pageSize ? pageSize + 1 : -1));
        const page = pageSize ? rows.slice(0, pageSize) : rows;
        return { keys: page.map((row) => String(row.key)), ...(page.length < rows.length ? { continuationToken: String(page.at(-1)?.rowid) } : {}) };
      },
      ping: async () => void (await database.read(() => isLive.get(''))),
      close: async () => {
        cleanup.stop();
        await database.close();
      },
    };
  },
});

// Word for word the columns daprd creates. Source: components-contrib/state/sqlite/sqlite_migrations.go.
const createTable = (table: string) => (database: SqliteDatabase) =>
  database.exec(`CREATE TABLE IF NOT EXISTS ${table} (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    is_binary BOOLEAN NOT NULL,
    etag TEXT NOT NULL,
    expiration_time TIMESTAMP DEFAULT NULL,
    update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
  )`);

const text = new TextDecoder();
function resultOf(row: Record<string, SqliteValue>): GetResult {
  const stored = row.value as Uint8Array;
  let data = stored;
  if (row.is_binary) {
    try {
      data = fromBase64(text.decode(stored));
    } catch (error) {
      throw new AdapterError('internal', `failed to decode binary data: ${(error as Error).message}`);
    }
  }
  const expires = row.expiration_time;
  return { data, etag: String(row.etag), metadata: typeof expires === 'string' ? { ttlExpireTime: `${expires.slice(0, 19).replace(' ', 'T')}Z` } : undefined };
}

/** In a bulk read a row that cannot be read is that key's error. */
function caught(work: () => GetResult): GetResult & { error?: string } {
  try {
    return work();
  } catch (error) {
    if (error instanceof AdapterError) return { data: null, error: error.message };
    throw error;
  }
}

/** LIKE's `%`, `_` and `\` as GLOB's `*`, `?` and brackets. */
function globOf(pattern: string): string {
  let glob = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    if (c === '%') glob += '*';
    else if (c === '_') glob += '?';
    else {
      const literal = c === '\\' && i + 1 < pattern.length ? (pattern[++i] as string) : c;
      glob += '*?['.includes(literal) ? `[${literal}]` : literal;
    }
  }
  return glob;
}
