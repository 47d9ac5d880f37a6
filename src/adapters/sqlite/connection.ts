// Connection settings that every SQLite component shares (Dapr: components-contrib/common/authentication/sqlite).
import type { Logger } from '../../core/log.ts';
import { field } from '../../core/metadata.ts';

export interface SqliteConnection {
  connectionString: string;
  /** Milliseconds. */
  timeout: number;
  /** Milliseconds to wait for a lock; 0 and less: not at all. */
  busyTimeout: number;
  disableWAL: boolean;
}

/** Fields for a component's schema. */
export const sqliteConnectionFields = (defaults: { timeoutMs: number; busyTimeoutMs: number }) => ({
  connectionString: field.text().default('').describe('Path of the database file, a `file:` URI, or `:memory:`. Required.'),
  timeout: field.duration().default(defaults.timeoutMs).describe('Longest time an operation may take. At least 1s.'),
  busyTimeout: field.duration().default(defaults.busyTimeoutMs).describe('How long to wait while another process holds the lock of the database.'),
  disableWAL: field.flag().default(false).describe('Turns the write-ahead log off. Needed where the file is on a network share.'),
});
export const sqliteConnectionAliases = { url: 'connectionString', timeoutInSeconds: 'timeout' };

export interface SqliteLocation {
  /** A `file:` URI as SQLite reads it. */
  uri: string;
  memory: boolean;
  /** Opened with `mode=ro` or `immutable=1`. */
  readOnly: boolean;
  /** Further pragmas the user asked for, as `name(value)` or `name=value`. */
  pragmas: string[];
}

const forbidden: Record<string, string> = {
  busy_timeout: 'please use the `busyTimeout` metadata property instead',
  journal_mode: 'please use the `disableWAL` metadata property instead',
  foreign_keys: 'it cannot be changed',
};

/** What a connection string means. Throws where it is missing or asks for what must not be. */
export function locationOf(settings: SqliteConnection, log: Logger): SqliteLocation {
  const { connectionString, timeout } = settings;
  if (connectionString === '') throw new Error('missing connection string');
  if (timeout < 1000) throw new Error("invalid value for 'timeout': must be greater than 1s");
  const memory = /^(:memory:|file::memory:)/i.test(connectionString);
  const mark = connectionString.indexOf('?');
  const base = mark > 0 ? connectionString.slice(0, mark) : connectionString;
  const given = new URLSearchParams(mark > 0 ? connectionString.slice(mark + 1) : '');

  const pragmas = given.getAll('_pragma');
  for (const pragma of pragmas) {
    const name = Object.keys(forbidden).find((n) => pragma.toLowerCase().startsWith(n));
    if (name === undefined) continue;
    log.error(`Cannot set \`_pragma=${name}\` option in the connection string; ${forbidden[name]}`);
    throw new Error(`found forbidden option '_pragma=${name}' in the connection string`);
  }
  const lock = given.get('_txlock')?.toLowerCase();
  // Transactions here always start as writers: one that turns into a writer halfway can fail without a chance to wait.
  if (lock !== undefined && lock !== 'immediate') log.warn("Ignoring the _txlock of the connection string: transactions are always 'immediate'");

  // Names with an underscore are the Go driver's; the rest is SQLite's own. Only the first of each counts.
  const own = new URLSearchParams();
  for (const [name, value] of given) if (!name.startsWith('_') && !own.has(name)) own.set(name, value);
  if (memory) own.set('cache', 'shared');
  const readOnly = own.get('mode') === 'ro' || own.get('immutable') === '1';
  const path = /^file:/i.test(base) ? base : `file:${base}`;
  return { uri: own.size === 0 ? path : `${path}?${own}`, memory, readOnly, pragmas };
}

/** Names of tables: letters, digits and underscores only, as they stand in SQL text. */
export const isIdentifier = (name: string): boolean => /^[A-Za-z0-9_]+$/.test(name);
