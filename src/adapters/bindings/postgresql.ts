// bindings.postgresql: statements of the app's own, in PostgreSQL.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import { schema } from '../../core/metadata.ts';
import { postgresConnection, postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { withParameters } from '../postgresql/parameters.ts';
import { openPostgres } from '../postgresql/pool.ts';
import { jsonOf } from '../postgresql/values.ts';
import { sqlOperations, sqlRequest } from './sql-request.ts';
import { stopwatch } from './stopwatch.ts';

/** `timeout` is about connecting; a statement runs as long as it needs. */
const noLimitMs = 2 ** 31 - 1;

export default defineBinding({
  type: 'bindings.postgresql',
  aliases: ['bindings.postgres'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['OUTPUT_BINDING'],
  summary: 'Runs SQL statements in PostgreSQL.',
  metadata: schema(postgresConnectionFields, postgresConnectionAliases),
  open: async (metadata, { host, log }) => {
    const connection = await postgresConnection(metadata, host, log);
    const pool = await openPostgres(connection, log).catch((error) => {
      throw new Error(`failed to ping the DB: ${textOf(error)}`, { cause: error });
    });
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closing ??= pool.close();
      return closing;
    };
    return {
      operations: sqlOperations,
      invoke: async (request) => {
        const { operation } = request;
        if (operation === 'close') {
          await close();
          return null;
        }
        if (closing !== undefined) throw new AdapterError('unavailable', 'component is closed');
        const { sql, parameters } = sqlRequest(request);
        const took = stopwatch();
        const statement = { text: sql, timeoutMs: noLimitMs };
        try {
          if (operation === 'exec') {
            const { count } = await withParameters(parameters, (values) => pool.write(statement, values));
            return { data: new Uint8Array(0), metadata: { operation, sql, 'rows-affected': String(count), ...took() } };
          }
          const { types, rows } = await withParameters(parameters, (values) => pool.table(statement, values));
          const json = rows.map((row) => `[${row.map((value, i) => jsonOf(types[i] as number, value)).join(',')}]`);
          return { data: utf8(`[${json.join(',')}]`), metadata: { operation, sql, ...took() } };
        } catch (error) {
          throw error instanceof AdapterError ? new AdapterError(error.kind, `error executing query: ${counted(error.message)}`, error) : error;
        }
      },
      close,
    };
  },
});

/** The server's words for a wrong number of parameters, in those of pgx. */
function counted(message: string): string {
  const [, given, wanted] = /bind message supplies (\d+) parameters, but prepared statement "" requires (\d+)/.exec(message) ?? [];
  return given === undefined ? message : `expected ${wanted} arguments, got ${given}`;
}
