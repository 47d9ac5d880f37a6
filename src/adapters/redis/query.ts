// The state query API over RediSearch: indexes from `queryIndexes`, filters as FT.SEARCH (Dapr: components-contrib/state/redis/redis_query.go).
import type { QueryResult, StateStore } from '../../blocks/state/port.ts';
import { offsetOf, type QueryFilter, QueryError, requireNoText, type StateQuery } from '../../blocks/state/query.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { GoJsonError, list, parseWhole, string, struct, textOfBytes } from '../../core/go-json.ts';
import { goQuote } from '../../core/go-quote.ts';
import type { Logger } from '../../core/log.ts';
import type { RedisConnection, RedisReply } from './connection.ts';

type Command = RedisConnection['command'];

export interface QueryIndex {
  name: string;
  /** Path inside the value → how RediSearch calls it. */
  aliases: ReadonlyMap<string, string>;
  /** Arguments of FT.CREATE. */
  create: readonly string[];
}

const schemas = list(struct('redis.querySchema', { name: string, indexes: list(struct('redis.index', { key: string, type: string })) }));

/** `queryIndexes` by name. Throws with the words in which loading fails. */
export function parseQueryIndexes(text: string): ReadonlyMap<string, QueryIndex> {
  const found = new Map<string, QueryIndex>();
  const wrong = (why: string) => new Error(`redis store: error parsing query index schema: ${why}`);
  if (text === '') return found;
  let given: ReturnType<typeof schemas.read>;
  try {
    given = schemas.read(parseWhole(text), '');
  } catch (error) {
    throw error instanceof GoJsonError ? wrong(error.message) : error;
  }
  for (const { name, indexes } of given) {
    if (name === '') throw wrong('empty query schema name');
    if (found.has(name)) throw wrong(`duplicate schema name ${name}`);
    // without stop words a state may be OR
    const create = [name, 'ON', 'JSON', 'STOPWORDS', '0', 'SCHEMA'];
    const aliases = new Map<string, string>();
    for (const [i, { key, type }] of indexes.entries()) {
      if (key === '') throw wrong(`empty key in query schema ${name}`);
      if (type === '') throw wrong(`empty type in query schema ${name}`);
      aliases.set(key, `var${i}`);
      create.push(`$.data.${key}`, 'AS', `var${i}`, type, 'SORTABLE');
    }
    found.set(name, { name, aliases, create });
  }
  return found;
}

/** Makes the indexes; one that is there is made anew, since its fields may have changed. */
export async function createQueryIndexes(command: Command, indexes: ReadonlyMap<string, QueryIndex>, log: Logger): Promise<void> {
  try {
    for (const { name, create } of indexes.values()) {
      log.info(`create query index ${name}`);
      try {
        await command('FT.CREATE', ...create);
      } catch (error) {
        if (!/already exists/i.test(textOf(error))) throw error;
        log.info(`drop stale query index ${name}`);
        await command('FT.DROPINDEX', name);
        await command('FT.CREATE', ...create);
      }
    }
  } catch (error) {
    throw new Error(`redis store: error registering query schemas: ${textOf(error)}`, { cause: error });
  }
}

/** `hasJson`: whether the server has RedisJSON, without which daprd too answers every query with an error. */
export function redisQuery(command: Command, indexes: ReadonlyMap<string, QueryIndex>, hasJson: boolean): NonNullable<StateStore['query']> {
  return async (query, metadata) => {
    if (!hasJson) throw new AdapterError('invalid', 'redis-json server support is required for query capability');
    const name = metadata.queryIndexName;
    if (!name) throw new AdapterError('invalid', 'query index not found');
    const index = indexes.get(name);
    if (index === undefined) throw new AdapterError('invalid', `query index schema ${goQuote(name)} not found`);
    let search: string[];
    try {
      search = searchOf(index.aliases, query);
    } catch (error) {
      throw error instanceof QueryError ? new AdapterError('invalid', error.message) : error;
    }
    const results = resultsOf(await command('FT.SEARCH', name, ...search, 'RETURN', 2, '$.data', '$.version'));
    return { results, token: query.limit > 0 && results.length > 0 ? String(offsetOf(query.token) + results.length) : undefined };
  };
}

// RediSearch gives ten results where nothing is said, and refuses to give more than these.
const everything = ['LIMIT', '0', '1000000'];

/** Arguments of FT.SEARCH behind the index. Throws QueryError. */
export function searchOf(aliases: ReadonlyMap<string, string>, query: StateQuery): string[] {
  const search = [query.filter === undefined ? '*' : termOf(aliases, query.filter)];
  if (query.sort.length > 1) throw new QueryError('multiple SORTBY steps are not allowed. Sort multiple fields in a single step');
  for (const { path, order } of query.sort) search.push('SORTBY', aliasOf(aliases, path), ...(order === 'DESC' ? ['DESC'] : []));
  if (query.limit > 0) search.push('LIMIT', String(offsetOf(query.token)), String(query.limit));
  else search.push(...everything);
  return search;
}

function aliasOf(aliases: ReadonlyMap<string, string>, path: string): string {
  const alias = aliases.get(path);
  if (alias === undefined) throw new QueryError(`JSON path ${goQuote(path)} is not indexed`);
  return alias;
}

function termOf(aliases: ReadonlyMap<string, string>, filter: QueryFilter): string {
  if ('filters' in filter) return `(${filter.filters.map((one) => termOf(aliases, one)).join(filter.is === 'AND' ? ' ' : '|')})`;
  const alias = aliasOf(aliases, filter.path);
  if ('values' in filter) {
    if (filter.values.length < 2) throw new QueryError(`too few values in IN operator for key ${goQuote(filter.path)}`);
    return `(${filter.values.map((value) => equal(alias, value)).join('|')})`;
  }
  const { is, value } = filter;
  if (is === 'EQ') return equal(alias, value);
  // daprd forgets the sign where this is the whole filter
  if (is === 'NEQ') return `-${equal(alias, value)}`;
  requireNoText(value);
  const bound = numberOf(value);
  const range = { GT: `(${bound} +inf`, GTE: `${bound} +inf`, LT: `-inf (${bound}`, LTE: `-inf ${bound}` }[is];
  return `(@${alias}:[${range}])`;
}

function equal(alias: string, value: unknown): string {
  if (typeof value === 'string') return `(@${alias}:(${words(value)}))`;
  const exact = numberOf(value);
  // daprd keeps six decimals of a number, and asks for no more
  const rounded = (value as number).toFixed(6);
  const term = (bound: string) => `@${alias}:[${bound} ${bound}]`;
  return Number(rounded) === value ? `(${term(exact)})` : `(${term(exact)}|${term(rounded)})`;
}

function numberOf(value: unknown): string {
  if (typeof value !== 'number') throw new QueryError(`unsupported type of value ${JSON.stringify(value)}; only strings and numbers are indexed`);
  return String(value);
}

/** A text as words to be found, cut where RediSearch cuts what it indexes. Nothing in it is query syntax (in daprd all of it is). */
const words = (text: string): string => text.replace(/[,.<>{}[\]"':;!@#$%^&*()\-+=~]+/g, ' ').replace(/[|\\/?`]/g, '\\$&');

/** The answer of FT.SEARCH: how many there are in all, then key and fields of each. */
function resultsOf(reply: RedisReply): QueryResult[] {
  const text = (part: RedisReply | undefined): string => (part instanceof Uint8Array ? textOfBytes(part) : String(part ?? ''));
  const parts = reply as RedisReply[];
  const results: QueryResult[] = [];
  for (let at = 1; at + 1 < parts.length; at += 2) {
    const fields = parts[at + 1];
    if (!Array.isArray(fields)) continue; // gone since it was found
    const result: QueryResult = { key: text(parts[at]), data: new Uint8Array(0), error: 'the document has no data' };
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const [name, value] = [text(fields[i]), fields[i + 1]];
      if (name === '$.data' && value instanceof Uint8Array) Object.assign(result, { data: value, error: undefined });
      else if (name === '$.version') result.etag = text(value);
    }
    results.push(result);
  }
  return results;
}
