// What the two versions of state.postgresql share: everything but their tables and how a value stands in them.
import { AdapterError, etagMismatch } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { MetadataError } from '../../core/metadata.ts';
import { emptyPattern } from '../../blocks/state/keys-like.ts';
import { checkOptions, etagOf } from '../../blocks/state/options.ts';
import type { DeleteRequest, GetResult, SetRequest, StateStore, StateValue } from '../../blocks/state/port.ts';
import { scheduleCleanup } from '../sql/cleanup.ts';
import { keyOf, lifetimeOf } from '../sql/request.ts';
import { type PostgresConnectionSettings, postgresConnection } from './connection.ts';
import { type MigrationStep, migratePostgres } from './migrations.ts';
import { openPostgres, type PostgresPool, type PostgresQuery, type PostgresStatement, type PostgresValue } from './pool.ts';

/** One version of the store. Names of tables are checked before they come here. */
export interface PostgresStateTable {
  /** What daprd puts before a fault of the connection metadata. */
  readonly metadataFault?: string;
  table: string;
  metadataTable: string;
  /** Row of the metadata table that counts the steps. */
  migrationsKey: string;
  /** Row of the metadata table with the time of the last cleanup. */
  cleanupKey: string;
  /** Throws where the table is one of the other version's; runs before anything is created. */
  check(query: PostgresQuery): Promise<void>;
  steps: MigrationStep[];
  /** Expressions over a row: bytes or text of the value, the etag as text, the lifetime's end. */
  columns: { value: string; etag: string; expires: string };
  /** Parameters: $1 key, $2 lifetime in seconds or NULL, then those of `encode`. `first`: only over an expired row. */
  upsert(first: boolean): string;
  /** As upsert, with the etag as the last parameter. */
  update: string;
  encode(value: StateValue): PostgresValue[];
  decode(row: Record<string, unknown>): Uint8Array;
  /** The etag as a parameter; throws where it cannot be one. */
  etag(text: string): PostgresValue;
  /** Condition on `$n`. */
  hasEtag(parameter: string): string;
}

/** `name` or `schema.name`, plain or in double quotes, as it stands in SQL text. */
export function checkTableName(name: string): string {
  const part = '(?:[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*|"(?:[^"]|"")+")';
  if (!new RegExp(`^${part}(?:\\.${part})?$`).test(name)) throw new Error(`invalid identifier: ${name}`);
  return name;
}

/** `cleanupInterval` in milliseconds as daprd reads it: nothing and '' mean an hour, 0 and less never. */
export const cleanupIntervalOf = (milliseconds: number, given: string | undefined): number => (given === '' ? 3600_000 : milliseconds);

export type PostgresState = StateStore & Required<Pick<StateStore, 'transact' | 'keysLike'>>;

/** Opens the database, creates or updates the tables and starts the cleanup. `more` adds what one version alone can do. */
export async function openPostgresState<More extends object>(store: PostgresStateTable, settings: PostgresConnectionSettings, cleanupInterval: number, { host, log, signal }: { host: Host; log: Logger; signal: AbortSignal }, more: (pool: PostgresPool) => More): Promise<PostgresState & More> {
  const connection = await postgresConnection(settings, host, log).catch((error: Error) => {
    throw error instanceof MetadataError && store.metadataFault !== undefined ? new MetadataError(`${store.metadataFault}${error.message}`) : error;
  });
  const pool = await openPostgres(connection, log);
  try {
    await store.check(pool.read);
    await migratePostgres(pool, { metadataTable: store.metadataTable, key: store.migrationsKey, steps: store.steps });
    signal.throwIfAborted();
  } catch (error) {
    await pool.close();
    throw error;
  }
  const cleanup = scheduleCleanup({ intervalMs: host.background ? cleanupInterval : 0, log, ...cleanupOf(pool, store) });
  return {
    ...operations(pool, store),
    ...more(pool),
    close: async () => {
      cleanup.stop();
      await pool.close();
    },
  };
}

function operations(pool: PostgresPool, store: PostgresStateTable): Required<Pick<StateStore, 'get' | 'bulkGet' | 'set' | 'delete' | 'transact' | 'keysLike' | 'ping'>> {
  const { table, columns } = store;
  const live = `(${columns.expires} IS NULL OR ${columns.expires} >= now())`;
  const selected = `key, ${columns.value}, ${columns.etag} AS etag, to_char(${columns.expires} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expires`;
  const statements = {
    get: { name: 'get', text: `SELECT ${selected} FROM ${table} WHERE key = $1 AND ${live}` },
    bulkGet: { name: 'bulk-get', text: `SELECT ${selected} FROM ${table} WHERE key = ANY($1) AND ${live}` },
    upsert: { name: 'upsert', text: store.upsert(false) },
    first: { name: 'first', text: store.upsert(true) },
    update: { name: 'update', text: store.update },
    delete: { name: 'delete', text: `DELETE FROM ${table} WHERE key = $1` },
    deleteMatching: { name: 'delete-matching', text: `DELETE FROM ${table} WHERE key = $1 AND ${store.hasEtag('$2')}` },
    list: { name: 'list', text: `SELECT key, row_id FROM ${table} WHERE key LIKE $1 AND ${live} AND ($2::bigint IS NULL OR row_id > $2) ORDER BY row_id LIMIT $3` },
  } satisfies Record<string, PostgresStatement>;

  const set = async (query: PostgresQuery, request: SetRequest): Promise<void> => {
    checkOptions(request);
    const key = keyOf(request, 'set operation');
    const etag = etagOf(request);
    const values = [key, lifetimeOf(request), ...store.encode(request.value)];
    if (etag !== undefined) {
      if ((await query(statements.update, [...values, store.etag(etag)])).count !== 1) throw etagMismatch();
      return;
    }
    // A conflict here is what it is everywhere else, a refused write (409); daprd answers 500 with the same words.
    if ((await query(request.concurrency === 'first-write' ? statements.first : statements.upsert, values)).count !== 1) throw new AdapterError('etagMismatch', 'no item was updated');
  };
  // Concurrency and consistency are not looked at, as in daprd.
  const remove = async (query: PostgresQuery, request: DeleteRequest): Promise<void> => {
    const key = keyOf(request, 'delete operation');
    const etag = etagOf(request);
    if (etag === undefined) await query(statements.delete, [key]);
    else if ((await query(statements.deleteMatching, [key, store.etag(etag)])).count !== 1) throw etagMismatch();
  };
  const resultOf = (row: Record<string, unknown>): GetResult => ({
    data: store.decode(row),
    etag: row.etag as string,
    metadata: row.expires === null ? undefined : { ttlExpireTime: row.expires as string },
  });

  return {
    get: async ({ key }) => {
      const row = (await pool.read(statements.get, [keyOf({ key }, 'get operation')])).rows[0];
      return row === undefined ? { data: null } : resultOf(row);
    },
    bulkGet: async (requests) => {
      const { rows } = await pool.read(statements.bulkGet, [requests.map((r) => r.key)]);
      const found = rows.map((row) => {
        const key = row.key as string;
        try {
          return { key, ...resultOf(row) };
        } catch (error) {
          return { key, data: null, error: (error as Error).message };
        }
      });
      const keys = new Set(found.map((r) => r.key));
      return [...found, ...requests.filter((r) => !keys.has(r.key)).map((r) => ({ key: r.key, data: null }))];
    },
    set: (request) => set(pool.write, request),
    delete: (request) => remove(pool.write, request),
    transact: async (list) => {
      const all = async (query: PostgresQuery) => {
        for (const operation of list) await (operation.operation === 'upsert' ? set(query, operation) : remove(query, operation));
      };
      if (list.length === 1) await all(pool.write);
      else if (list.length > 1) await pool.transaction(all);
    },
    keysLike: async ({ pattern, pageSize, continuationToken }) => {
      if (pattern === '') throw emptyPattern();
      const after = continuationToken || null;
      if (after !== null && !/^-?\d{1,18}$/.test(after)) throw new AdapterError('invalid', `invalid continue token: ${after}`);
      // One row more than asked for tells whether there is another page.
      const { rows } = await pool.read(statements.list, [pattern, after, pageSize ? pageSize + 1 : null]);
      const page = pageSize ? rows.slice(0, pageSize) : rows;
      return { keys: page.map((row) => row.key as string), ...(page.length < rows.length ? { continuationToken: String(page.at(-1)?.row_id) } : {}) };
    },
    ping: async () => void (await pool.read({ text: 'SELECT 1' })),
  };
}

function cleanupOf(pool: PostgresPool, { table, metadataTable, cleanupKey, columns }: PostgresStateTable) {
  const claim = `INSERT INTO ${metadataTable} AS m (key, value) VALUES ($2, now()::text) ON CONFLICT (key)
    DO UPDATE SET value = now()::text WHERE (EXTRACT('epoch' FROM now() - m.value::timestamptz) * 1000)::bigint > $1`;
  const expired = `DELETE FROM ${table} WHERE ${columns.expires} IS NOT NULL AND ${columns.expires} < now()`;
  return {
    claim: async (minAgeMs: number) => (await pool.write({ text: claim }, [Math.round(minAgeMs), cleanupKey])).count > 0,
    remove: async () => (await pool.write({ text: expired, timeoutMs: 10 * 60_000 })).count,
  };
}
