// A pool of PostgreSQL connections over `pg`: bounded waits, coded errors, recovery after the server has been away.
import type { Pool, PoolClient, QueryArrayConfig, QueryResult } from 'pg';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { PostgresConnection, PostgresTls } from './connection.ts';

export type PostgresValue = string | number | boolean | null | Uint8Array | string[];
export interface PostgresResult {
  rows: Record<string, unknown>[];
  /** Rows changed or read. */
  count: number;
}
export interface PostgresStatement {
  /** Statements with a name are prepared once per connection. One name, one text. */
  name?: string;
  text: string;
  /** Milliseconds; default the connection's timeout. */
  timeoutMs?: number;
}
/** Rows as the server sends them: its text for every value, with the type of each column. */
export interface PostgresTable {
  /** Object ids of the columns' types (pg_type). */
  types: number[];
  rows: (string | null)[][];
}
export type PostgresQuery = (statement: PostgresStatement, values?: PostgresValue[]) => Promise<PostgresResult>;

export interface PostgresPool {
  /** Runs a statement that may be run twice: a connection found dead is replaced once. Errors are AdapterErrors. */
  read: PostgresQuery;
  /** Runs a statement at most once. Errors are AdapterErrors; after `unavailable` it may have been carried out or not. */
  write: PostgresQuery;
  /** Like `write`, for one statement whose rows are read whatever their types are. */
  table(statement: PostgresStatement, values: PostgresValue[]): Promise<PostgresTable>;
  /** BEGIN … COMMIT on one connection; an error thrown by `work` rolls back and is passed on. */
  transaction<T>(work: (query: PostgresQuery) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** What one connection of `pg` needs to know. */
export const clientConfig = (connection: PostgresConnection, ssl: PostgresTls) => ({
  host: connection.host,
  port: connection.port,
  user: connection.user,
  password: connection.password,
  database: connection.database,
  application_name: connection.applicationName,
  options: connection.options,
  ssl,
  connectionTimeoutMillis: connection.connectTimeoutMs,
  query_timeout: connection.timeoutMs,
  keepAlive: true,
});

/** Connects once, to learn that it works and whether the server speaks TLS. Rejects with the reason when it does not. */
export async function openPostgres(connection: PostgresConnection, log: Logger): Promise<PostgresPool> {
  const { default: pg } = await import('pg');
  const config = (ssl: PostgresTls) => ({
    ...clientConfig(connection, ssl),
    max: connection.maxConns,
    idleTimeoutMillis: connection.idleMs,
    maxLifetimeSeconds: connection.lifetimeMs / 1000,
    // an idle connection must not keep a sidecar alive that has nothing else to do
    allowExitOnIdle: true,
  });

  let pool: Pool | undefined;
  for (const [i, ssl] of connection.tls.entries()) {
    const candidate = new pg.Pool(config(ssl));
    // Without a listener the loss of an idle or borrowed connection would end the process.
    candidate.on('error', (error) => log.warn(`Lost an idle connection to PostgreSQL: ${error.message}`));
    candidate.on('connect', (client) => void client.on('error', () => {}));
    try {
      (await candidate.connect()).release();
      pool = candidate;
      break;
    } catch (error) {
      await candidate.end();
      if (i === connection.tls.length - 1 || !dependsOnTls(error)) throw new Error(`failed to connect to the database: ${describe(error)}`, { cause: error });
    }
  }
  const opened = pool as Pool;

  const run = async (client: PoolClient, { name, text, timeoutMs }: PostgresStatement, values: PostgresValue[]): Promise<PostgresResult> => {
    const results: QueryResult | QueryResult[] = await client.query({ text, values, ...(connection.prepare && name ? { name } : {}), ...(timeoutMs ? { query_timeout: timeoutMs } : {}) });
    // a text without values may be several statements: what the last one did counts
    const result = Array.isArray(results) ? (results.at(-1) as QueryResult) : results;
    return { rows: result.rows, count: result.rowCount ?? 0 };
  };
  const borrowed = async <T>(work: (client: PoolClient) => Promise<T>): Promise<T> => {
    const client = await opened.connect();
    try {
      const result = await work(client);
      client.release();
      return result;
    } catch (error) {
      client.release(spoiled(error) ? (error as Error) : undefined);
      throw error;
    }
  };
  const once = (statement: PostgresStatement, values: PostgresValue[] = []): Promise<PostgresResult> => borrowed((client) => run(client, statement, values));
  const again = (retry: (error: unknown) => boolean): PostgresQuery => async (statement, values) => {
    try {
      return await once(statement, values);
    } catch (error) {
      if (!retry(error)) throw storeError(error);
    }
    return once(statement, values).catch((error) => {
      throw storeError(error);
    });
  };

  return {
    read: again((error) => notRun(error) || isLost(error)),
    write: again(notRun),
    table: ({ text, timeoutMs }, values) =>
      borrowed(async (client) => {
        const config: QueryArrayConfig<PostgresValue[]> & { queryMode: 'extended'; query_timeout?: number } = { text, values, rowMode: 'array', types: plainTypes, queryMode: 'extended' };
        if (timeoutMs) config.query_timeout = timeoutMs;
        const { fields, rows } = await client.query<(string | null)[]>(config);
        return { types: fields.map(({ dataTypeID }) => dataTypeID), rows };
      }).catch((error) => {
        throw storeError(error);
      }),
    transaction: async (work) => {
      let client: PoolClient;
      try {
        client = await opened.connect();
      } catch (error) {
        throw storeError(error, 'failed to begin transaction');
      }
      const query: PostgresQuery = async (statement, values = []) => {
        try {
          return await run(client, statement, values);
        } catch (error) {
          broken ??= spoiled(error) ? (error as Error) : undefined;
          throw storeError(error);
        }
      };
      let broken: Error | undefined;
      try {
        await query({ text: 'BEGIN' });
        const result = await work(query);
        await query({ text: 'COMMIT' });
        client.release();
        return result;
      } catch (error) {
        if (broken === undefined) await query({ text: 'ROLLBACK' }).catch((e) => (broken ??= e as Error));
        client.release(broken);
        throw error;
      }
    },
    close: async () => {
      // Connections in use come back by themselves, at the latest after `timeout`; a shutdown does not wait so long.
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([opened.end(), new Promise((resolve) => (timer = setTimeout(resolve, 5000)))]);
      clearTimeout(timer);
    },
  };
}

/** Every value stays the text that came. */
const plainTypes: NonNullable<QueryArrayConfig['types']> = { getTypeParser: () => (text: string) => text };

const sqlState = (error: unknown): string | undefined => {
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && severity !== undefined ? code : undefined;
};

/** The server was reached but wants it the other way: with TLS, or without. */
export const dependsOnTls = (error: unknown): boolean => sqlState(error) === '28000' || /does not support SSL|establishing an SSL connection/.test(textOf(error));

/** The server refused before it did anything, because what it had prepared is out of date or gone. */
const notRun = (error: unknown): boolean => sqlState(error) === '26000' || (sqlState(error) === '0A000' && /cached plan/.test(textOf(error)));

/** The connection is gone. Classes 08 and 57P: PostgreSQL's documentation, "Error Codes". */
const isLost = (error: unknown): boolean => {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|57P0[123])/.test(state);
  return /Connection terminated|not queryable|ECONNRESET|EPIPE/.test(`${textOf(error)} ${(error as { code?: string }).code ?? ''}`);
};

/** A connection after such an error is not given to anybody else. */
const spoiled = (error: unknown): boolean => sqlState(error) === undefined || isLost(error) || notRun(error);

export const describe = (error: unknown): string => {
  const state = sqlState(error);
  if (state !== undefined) return `${(error as { severity: string }).severity}: ${textOf(error)} (SQLSTATE ${state})`;
  // a name with several addresses: one refusal each, and no text of its own
  if (error instanceof AggregateError && error.message === '') return error.errors.map(textOf).join('; ');
  return textOf(error);
};

function storeError(error: unknown, prefix?: string): AdapterError {
  if (error instanceof AdapterError) return error;
  const state = sqlState(error);
  const kind = state === undefined || isLost(error) || state.startsWith('53') ? 'unavailable' : 'internal';
  return new AdapterError(kind, prefix === undefined ? describe(error) : `${prefix}: ${describe(error)}`, error);
}
