// What a request of a database binding says: the statement and its parameters (Dapr: bindings/postgres and bindings/mysql alike).
import type { InvokeRequest } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { any, list, parseWhole } from '../../core/go-json.ts';
import { type Exact, parseExact } from '../../core/json-exact.ts';

export const sqlOperations = ['exec', 'query', 'close'];

/** Parameters keep the digits of their numbers. */
export function sqlRequest({ metadata }: InvokeRequest): { sql: string; parameters: readonly Exact[] } {
  const { sql, params } = metadata;
  if (!sql) throw new AdapterError('invalid', 'required metadata not set: sql');
  if (!params) return { sql, parameters: [] };
  try {
    list(any).read(parseWhole(params), '');
  } catch (error) {
    throw new AdapterError('invalid', `invalid metadata property params: failed to unserialize into an array: ${textOf(error)}`, error);
  }
  return { sql, parameters: (parseExact(params) as readonly Exact[] | null) ?? [] };
}
