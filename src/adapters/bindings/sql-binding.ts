// What the bindings of SQL databases have in common: their operations, requests and answers (Dapr: bindings/postgres and bindings/mysql alike).
import type { InvokeRequest, InvokeResult } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { any, list, parseWhole, utf8 } from '../../core/go-json.ts';
import { type Exact, parseExact } from '../../core/json-exact.ts';
import { stopwatch } from './stopwatch.ts';

export interface SqlPool {
  /** Rows affected. */
  exec(sql: string, parameters: readonly Exact[]): Promise<number | bigint>;
  /** The rows as JSON, each an array. */
  query(sql: string, parameters: readonly Exact[]): Promise<string>;
  close(): Promise<void>;
}

/** `worded`: the database's message as Dapr's client words it. */
export function sqlBinding(pool: SqlPool, worded: (message: string) => string = (message) => message) {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= pool.close();
    return closing;
  };
  return {
    operations: ['exec', 'query', 'close'],
    invoke: async (request: InvokeRequest): Promise<InvokeResult | null> => {
      const { operation } = request;
      if (operation === 'close') {
        await close();
        return null;
      }
      if (closing !== undefined) throw new AdapterError('unavailable', 'component is closed');
      const { sql, parameters } = sqlRequest(request);
      const took = stopwatch();
      try {
        if (operation === 'exec') {
          const count = await pool.exec(sql, parameters);
          return { data: new Uint8Array(0), metadata: { operation, sql, 'rows-affected': String(count), ...took() } };
        }
        return { data: utf8(await pool.query(sql, parameters)), metadata: { operation, sql, ...took() } };
      } catch (error) {
        throw error instanceof AdapterError ? new AdapterError(error.kind, `error executing query: ${worded(error.message)}`, error) : error;
      }
    },
    close,
  };
}

/** Parameters keep the digits of their numbers. */
function sqlRequest({ metadata }: InvokeRequest): { sql: string; parameters: readonly Exact[] } {
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
