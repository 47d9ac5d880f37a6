// The language of the state query API: filter, sort, page (Dapr: components-contrib/state/query).
import { GoJsonError, int, list, parseWhole, type Reader, string, struct } from '../../core/go-json.ts';
import { goQuote } from '../../core/go-quote.ts';

/** Paths are member names joined by dots; they begin inside the value. */
export type QueryFilter =
  | { readonly is: 'EQ' | 'NEQ' | 'GT' | 'GTE' | 'LT' | 'LTE'; readonly path: string; readonly value: unknown }
  | { readonly is: 'IN'; readonly path: string; readonly values: readonly unknown[] }
  | { readonly is: 'AND' | 'OR'; readonly filters: readonly QueryFilter[] };

export interface StateQuery {
  /** undefined: everything. */
  readonly filter: QueryFilter | undefined;
  /** `order` as the caller wrote it, '' when absent: see sortOrder. */
  readonly sort: readonly { readonly path: string; readonly order: string }[];
  /** Results per page; 0 and less: all. */
  readonly limit: number;
  /** '' for the first page. */
  readonly token: string;
}

const members: Reader<Record<string, unknown>> = {
  go: 'map[string]interface {}',
  zero: {},
  read: (value, at) => {
    if (value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) {
      const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
      throw new GoJsonError(`json: cannot unmarshal ${kind} into Go struct field ${at} of type map[string]interface {}`);
    }
    return value as Record<string, unknown>;
  },
};
const body = struct('query.QueryFields', {
  filter: members,
  sort: list(struct('query.Sorting', { key: string, order: string })),
  page: struct('query.Pagination', { limit: int, token: string }),
});

/** Throws GoJsonError or QueryError with daprd's words. */
export function parseQuery(text: string): StateQuery {
  const { filter, sort, page } = body.read(parseWhole(text), '');
  return {
    filter: Object.keys(filter).length === 0 ? undefined : filterOf(filter),
    sort: sort.map(({ key, order }) => ({ path: key, order })),
    limit: page.limit,
    token: page.token,
  };
}

/** A query that cannot be carried out as it stands. */
export class QueryError extends Error {
  override name = 'QueryError';
}

function filterOf(unit: unknown): QueryFilter {
  if (!isObject(unit)) throw new QueryError('filter unit must be a map');
  const entries = Object.entries(unit);
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) throw new QueryError('filter unit must have a single element');
  const [is, operand] = entry;
  switch (is) {
    case 'EQ':
    case 'NEQ':
    case 'GT':
    case 'GTE':
    case 'LT':
    case 'LTE': {
      const [path, value] = pairOf(is, operand);
      return { is, path, value };
    }
    case 'IN': {
      const [path, values] = pairOf(is, operand);
      if (!Array.isArray(values)) throw new QueryError('IN filter value must be an array');
      return { is, path, values };
    }
    case 'AND':
    case 'OR':
      if (!Array.isArray(operand)) throw new QueryError(`${is} filter must be an array`);
      if (operand.length < 2) throw new QueryError(`${is} filter must contain at least two entries`);
      return { is, filters: operand.map(filterOf) };
    default:
      throw new QueryError(`unsupported filter ${goQuote(is)}`);
  }
}

function pairOf(is: string, operand: unknown): [path: string, value: unknown] {
  if (!isObject(operand)) throw new QueryError(`${is} filter must be a map`);
  const pairs = Object.entries(operand);
  const [pair] = pairs;
  if (pair === undefined || pairs.length !== 1) throw new QueryError(`${is} filter must contain a single key/value pair`);
  return pair;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** GT and its kin take no text. Throws where it is one. */
export function requireNoText(value: unknown): void {
  if (typeof value === 'string') throw new QueryError(`unsupported type of value ${value}; string type not permitted`);
}

/** How many results the pages before have had. Throws on a token that none of them gave. */
export function offsetOf(token: string): number {
  if (token === '') return 0;
  const wrong = !/^[+-]?\d+$/.test(token) ? 'invalid syntax' : BigInt.asIntN(64, BigInt(token.replace('+', ''))) !== BigInt(token.replace('+', '')) ? 'value out of range' : undefined;
  if (wrong !== undefined) throw new QueryError(`strconv.ParseInt: parsing ${goQuote(token)}: ${wrong}`);
  if (token.startsWith('-')) throw new QueryError('OFFSET must not be negative');
  return Number(token);
}
