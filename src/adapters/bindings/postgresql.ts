// bindings.postgresql: statements of the app's own, in PostgreSQL.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { textOf } from '../../core/errors.ts';
import { schema } from '../../core/metadata.ts';
import { postgresConnection, postgresConnectionAliases, postgresConnectionFields } from '../postgresql/connection.ts';
import { withParameters } from '../postgresql/parameters.ts';
import { openPostgres } from '../postgresql/pool.ts';
import { jsonOf } from '../postgresql/values.ts';
import { sqlBinding } from './sql-binding.ts';

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
    return sqlBinding({
      exec: async (sql, parameters) => (await withParameters(parameters, (values) => pool.write({ text: sql, timeoutMs: noLimitMs }, values))).count,
      query: async (sql, parameters) => {
        const { types, rows } = await withParameters(parameters, (values) => pool.table({ text: sql, timeoutMs: noLimitMs }, values));
        return `[${rows.map((row) => `[${row.map((value, i) => jsonOf(types[i] as number, value)).join(',')}]`).join(',')}]`;
      },
      close: () => pool.close(),
    }, counted);
  },
});

/** The server's words for a wrong number of parameters, in those of pgx. */
function counted(message: string): string {
  const [, given, wanted] = /bind message supplies (\d+) parameters, but prepared statement "" requires (\d+)/.exec(message) ?? [];
  return given === undefined ? message : `expected ${wanted} arguments, got ${given}`;
}
