// The state query API as SQL over a jsonb column: paths and values as texts, as daprd compares them.
import { type QueryFilter, offsetOf, QueryError, requireNoText, type StateQuery } from '../../blocks/state/query.ts';
import { AdapterError } from '../../core/errors.ts';
import type { QueryResult } from '../../blocks/state/port.ts';
import { goQuote } from '../../core/go-quote.ts';
import type { PostgresPool, PostgresValue } from './pool.ts';

export interface QueriedTable {
  table: string;
  /** The jsonb column that filters and sorts look into. */
  column: string;
  /** What is selected besides `key`; has `etag`. */
  selected: string;
  /** Condition on rows that have not expired. */
  live: string;
  decode(row: Record<string, unknown>): Uint8Array;
}

/** Rejects with AdapterError. The token counts the rows before the next page; there is one whenever a limit was asked for. */
export async function runQuery(pool: PostgresPool, table: QueriedTable, query: StateQuery): Promise<{ results: QueryResult[]; token?: string | undefined }> {
  let statement: { text: string; values: PostgresValue[]; offset: number };
  try {
    statement = queryStatement(table, query);
  } catch (error) {
    throw error instanceof QueryError ? new AdapterError('invalid', error.message) : error;
  }
  const { rows } = await pool.read({ text: statement.text }, statement.values);
  return {
    results: rows.map((row) => ({ key: row.key as string, data: table.decode(row), etag: row.etag as string })),
    token: query.limit > 0 ? String(statement.offset + rows.length) : undefined,
  };
}

/** Throws QueryError. */
export function queryStatement({ table, column, selected, live }: Omit<QueriedTable, 'decode'>, query: StateQuery): { text: string; values: PostgresValue[]; offset: number } {
  const values: PostgresValue[] = [];
  const parameter = (value: unknown) => `$${values.push(textOfValue(value))}::text`;
  const condition = (filter: QueryFilter): string => {
    if ('filters' in filter) return `(${filter.filters.map(condition).join(` ${filter.is} `)})`;
    const field = fieldOf(column, filter.path);
    if ('values' in filter) {
      if (filter.values.length === 0) throw new QueryError(`empty IN operator for key ${goQuote(filter.path)}`);
      return `(${filter.values.map((value) => `${field} = ${parameter(value)}`).join(' OR ')})`;
    }
    if (filter.is !== 'EQ' && filter.is !== 'NEQ') requireNoText(filter.value);
    // null equals nothing, and differs from everything there is
    if (filter.is === 'NEQ' && filter.value === null) return `${field} IS NOT NULL`;
    return `${field} ${operators[filter.is]} ${parameter(filter.value)}`;
  };
  const where = query.filter === undefined ? live : `${live} AND ${condition(query.filter)}`;
  const order = query.sort.map(({ path, order }) => `${fieldOf(column, path)} ${sortOrder(order)}`.trimEnd());
  const offset = offsetOf(query.token);
  const text = [`SELECT key, ${selected} FROM ${table} WHERE ${where}`];
  if (order.length > 0) text.push(`ORDER BY ${order.join(', ')}`);
  if (query.limit > 0) text.push(`LIMIT ${BigInt(query.limit)}`);
  if (query.token !== '') text.push(`OFFSET ${BigInt(offset)}`);
  return { text: text.join(' '), values, offset };
}

const operators = { EQ: '=', NEQ: '!=', GT: '>', GTE: '>=', LT: '<', LTE: '<=' } as const;

/** `a.b` as `value->'a'->>'b'`. The names are literals, not parameters, so that indexes on such expressions are used. */
function fieldOf(column: string, path: string): string {
  const names = path.split('.').map(literal);
  return `${column}${names.map((name, i) => (i === names.length - 1 ? `->>${name}` : `->${name}`)).join('')}`;
}

/** Any text as an SQL literal; one with a backslash in the form that means the same under every setting of the server. */
function literal(text: string): string {
  if (text.includes('\0')) throw new QueryError('a path may not contain NUL');
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** daprd puts what is written here into its SQL as it is, so all that PostgreSQL knows about an order is allowed. */
function sortOrder(order: string): string {
  if (!/^\s*(?:(?:asc|desc)\b)?\s*(?:nulls\s+(?:first|last))?\s*$/i.test(order)) throw new QueryError(`sort order ${JSON.stringify(order)} is neither ASC nor DESC`);
  return order.trim();
}

/** A value as `->>` spells it. */
function textOfValue(value: unknown): PostgresValue {
  if (value === null || typeof value === 'string') return value as string | null;
  // jsonb has no exponents; daprd spells numbers of a million and more with one and never finds them
  if (typeof value === 'number' && Number.isInteger(value)) return String(BigInt(value));
  return JSON.stringify(value);
}
