// A pool of MySQL connections over `mysql2`: values come as the server's texts, errors in the words of Go's driver.
import type { Pool, PoolConnection, PoolOptions } from 'mysql2/promise';
import { AdapterError, textOf } from '../../core/errors.ts';
import { Digits, type Exact } from '../../core/json-exact.ts';
import type { MysqlDsn } from './dsn.ts';
import { type MysqlColumn, rowJson } from './values.ts';

export interface MysqlPoolOptions {
  /** Certificates in PEM that the server must be signed by: `tls=custom`. */
  ca: string | undefined;
  maxConnections: number;
  maxIdle: number;
  /** Milliseconds; undefined: for ever. */
  idleMs: number | undefined;
  lifetimeMs: number | undefined;
}

export interface MysqlPool {
  /** Rows changed. */
  exec(sql: string, parameters: readonly Exact[]): Promise<number>;
  /** JSON text: a list of objects, null without any. */
  query(sql: string, parameters: readonly Exact[]): Promise<string>;
  close(): Promise<void>;
}

type Parameter = string | number | boolean | null;
type Field = PoolOptions extends { typeCast?: infer C } ? (C extends (field: infer F, next: infer N) => unknown ? (field: F, next: N) => unknown : never) : never;

/** Connects once, to learn that it works. Rejects with the reason when it does not. */
export async function openMysql(dsn: MysqlDsn, options: MysqlPoolOptions): Promise<MysqlPool> {
  const { default: mysql } = await import('mysql2/promise');
  // Geometry as its bytes, everything else as it comes.
  const typeCast: Field = (field, next) => (field.type === 'GEOMETRY' ? field.buffer() : next());
  const born = new WeakMap<object, number>();
  const openPool = (ssl: PoolOptions['ssl']): Pool => {
    const pool = mysql.createPool({
      ...dsn.address,
      user: dsn.user,
      password: dsn.password,
      database: dsn.database,
      charset: dsn.collation.toUpperCase(),
      ...(ssl === undefined ? {} : { ssl }),
      ...(dsn.timeoutMs ? { connectTimeout: dsn.timeoutMs } : {}),
      flags: [dsn.clientFoundRows ? 'FOUND_ROWS' : '-FOUND_ROWS'],
      multipleStatements: dsn.multiStatements,
      enableCleartextPlugin: dsn.cleartextPasswords,
      connectionLimit: options.maxConnections,
      maxIdle: Math.min(options.maxIdle, options.maxConnections),
      idleTimeout: options.idleMs ?? 60_000,
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      jsonStrings: true,
      rowsAsArray: true,
      disableEval: true,
      maxPreparedStatements: 100,
      typeCast,
    });
    pool.on('connection', (connection) => {
      born.set(connection, performance.now());
      for (const setting of dsn.settings) connection.query(setting);
    });
    return pool;
  };

  const checked = { verifyIdentity: true, minVersion: 'TLSv1.2', ...(options.ca === undefined ? {} : { ca: options.ca }) };
  const unchecked = { rejectUnauthorized: false };
  const ways: PoolOptions['ssl'][] = { false: [undefined], true: [{ verifyIdentity: true }], 'skip-verify': [unchecked], preferred: [unchecked, undefined], custom: [checked] }[dsn.tls] ?? [];
  let opened: Pool | undefined;
  for (const [i, ssl] of ways.entries()) {
    const candidate = openPool(ssl);
    try {
      const connection = await candidate.getConnection();
      await connection.ping();
      connection.release();
      opened = candidate;
      break;
    } catch (error) {
      await candidate.end();
      if (i === ways.length - 1 || (error as { code?: string }).code !== 'HANDSHAKE_NO_SSL_SUPPORT') throw new Error(errorText(error), { cause: error });
    }
  }
  const pool = opened as Pool;

  const borrow = async (): Promise<PoolConnection> => {
    for (;;) {
      const connection = await pool.getConnection();
      const age = performance.now() - (born.get(connection.connection) ?? Number.POSITIVE_INFINITY);
      if (options.lifetimeMs === undefined || !(age > options.lifetimeMs) || age === Number.POSITIVE_INFINITY) return connection;
      connection.destroy();
    }
  };
  const run = async (sql: string, parameters: readonly Exact[]): Promise<[unknown, unknown]> => {
    const values = parameters.map(boundOf);
    const connection = await borrow();
    try {
      // Without parameters nothing is prepared: some statements cannot be.
      if (values.length === 0) return await connection.query(sql);
      // A statement that was prepared before on this connection is not prepared again.
      const statement = await connection.prepare(sql);
      const wanted = (statement as unknown as { statement: { parameters: unknown[] } }).statement.parameters.length;
      if (wanted !== values.length) throw new AdapterError('invalid', `sql: expected ${wanted} arguments, got ${values.length}`);
      return await (statement.execute(values) as unknown as Promise<[unknown, unknown]>);
    } finally {
      connection.release();
    }
  };
  const failing = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      throw error instanceof AdapterError ? error : new AdapterError((error as { errno?: number }).errno === undefined || (error as { sqlState?: string }).sqlState === undefined ? 'unavailable' : 'internal', errorText(error), error);
    });

  return {
    exec: async (sql, parameters) => {
      const [result] = await failing(run(sql, parameters));
      const last = Array.isArray(result) ? result.at(-1) : result; // rows, or what each of several statements gave
      return (last as { affectedRows?: number } | undefined)?.affectedRows ?? 0;
    },
    query: async (sql, parameters) => {
      const [result, fields] = await failing(run(sql, parameters));
      // A procedure, or several statements: a list of results, the first of which counts.
      const many = Array.isArray(fields) && Array.isArray(fields[0]);
      const columns = (many ? fields[0] : fields) as MysqlColumn[] | undefined;
      const rows = (many ? (result as unknown[])[0] : result) as unknown[][];
      if (!Array.isArray(columns) || !Array.isArray(rows) || rows.length === 0) return 'null';
      return `[${rows.map((row) => rowJson(columns, row)).join(',')}]`;
    },
    close: () => pool.end(),
  };
}

/** As JSON has them; whole numbers too big for a float stay what they are, as text. */
function boundOf(value: Exact, i: number): Parameter {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Digits) return /^-?\d{16,}$/.test(value.text) ? value.text : Number(value.text);
  const type = Array.isArray(value) ? '[]interface {}, a slice of interface' : 'map[string]interface {}, a map';
  throw new AdapterError('invalid', `sql: converting argument $${i + 1} type: unsupported type ${type}`);
}

function errorText(error: unknown): string {
  const { errno, sqlState, sqlMessage } = error as { errno?: number; sqlState?: string; sqlMessage?: string };
  if (sqlState !== undefined && errno !== undefined) return `Error ${errno} (${sqlState.replace('#', '')}): ${sqlMessage ?? textOf(error)}`;
  // a name with several addresses: one refusal each, and no text of its own
  if (error instanceof AggregateError && error.message === '') return error.errors.map(textOf).join('; ');
  return textOf(error);
}
