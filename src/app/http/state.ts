// HTTP routes of the state building block.
import { BodyBroken, BodyTooLarge } from '../../core/host.ts';
import { type ErrorName, fail } from '../../core/errors.ts';
import { any, compactJson, compactText, goEscape, GoJsonError, goStringify, int, list, optionalString, type Reader, string, stringMap, struct, textOfBytes } from '../../core/go-json.ts';
import type { TracingMode } from '../../core/traceparent.ts';
import type { GetResult, QueryResult } from '../../blocks/state/port.ts';
import { type BulkItem, jsonOf, type SaveItem, type StateBlock } from '../../blocks/state/state.ts';
import { answer, empty, firstJson, type Handler, header, type HttpCall, json, type Route, segment, universalBody } from './call.ts';
import { callerTrace } from './event-trace.ts';
import { queryMetadata, queryValue } from './path.ts';

const setOptions = struct('state.SetStateOption', { concurrency: string, consistency: string });
const item = { key: string, value: any, etag: optionalString, metadata: stringMap, options: setOptions, contentType: optionalString };
const saveBody = list(struct('state.SetRequest', item));
const bulkGetBody = struct('http.BulkGetRequest', { keys: list(string), parallelism: int, metadata: stringMap });
const transactionBody = struct('http.stateTransactionRequestBody', {
  operations: list(struct('http.stateTransactionRequestBodyOperation', { operation: string, request: any })),
  metadata: stringMap,
});
const keysBody = struct('http.ListKeysRequest', { prefix: string, pattern: string, pageSize: int, continuationToken: string });
/** Keys on a page where the caller names no size, and at most. */
const pageSizes = { usual: 1000, most: 10_000 };
const transactionItem = struct('state.SetRequest', item);

/** Reads the first JSON value of the body; trouble is a 400 of the row `is`. */
async function read<T>(call: HttpCall, reader: Reader<T>, is: ErrorName & ('malformedRequest' | 'malformedBody')): Promise<T> {
  try {
    return reader.read(await firstJson(call), '');
  } catch (error) {
    if (error instanceof GoJsonError || error instanceof BodyTooLarge || error instanceof BodyBroken) throw fail(is, { error: error.message });
    throw error;
  }
}

const saveItem = (from: { key: string; value: unknown; etag: string | undefined; metadata: Record<string, string>; options: { concurrency: string; consistency: string } }, query: Record<string, string>): SaveItem => ({
  key: from.key,
  value: { json: from.value === undefined ? 'null' : compactJson(from.value) },
  etag: from.etag,
  metadata: { ...from.metadata, ...query },
  concurrency: from.options.concurrency,
  consistency: from.options.consistency,
});

export function stateRoutes(state: StateBlock, { tracing }: { tracing: TracingMode }): Route[] {
  const found = (call: HttpCall, result: GetResult): Response => {
    if (result.data === null) return empty(call);
    const headers = result.etag === undefined ? ['Content-Type', 'application/json'] : ['Content-Type', 'application/json', 'Etag', result.etag];
    if (result.metadata !== undefined) for (const name in result.metadata) headers.push(`Metadata.${name}`, result.metadata[name] as string);
    return answer(call, 200, headers, result.data);
  };
  const foundLater = async (call: HttpCall, result: Promise<GetResult>): Promise<Response> => found(call, await result);
  const get: Handler = (call) => {
    const store = state.store(segment(call, 2));
    const { query } = call;
    const result = store.get(segment(call, 3), { consistency: query === '' ? '' : (queryValue(query, 'consistency') ?? ''), metadata: queryMetadata(query) }, call.context);
    return result instanceof Promise ? foundLater(call, result) : found(call, result);
  };

  const save: Handler = async (call) => {
    const store = state.store(segment(call, 2));
    const items = await read(call, saveBody, 'malformedRequest');
    if (items.length === 0) return empty(call);
    const query = queryMetadata(call.query);
    const requests = items.map((from) => {
      if (from.key === '') throw fail('malformedRequest', { error: '"key" is a required field' });
      return saveItem(from, query);
    });
    await store.save(requests, call.context);
    return empty(call);
  };

  const remove: Handler = async (call) => {
    const { query } = call;
    const store = state.store(segment(call, 2));
    await store.delete(segment(call, 3), {
      etag: header(call, 'if-match'),
      concurrency: queryValue(query, 'concurrency') ?? '',
      consistency: queryValue(query, 'consistency') ?? '',
      metadata: queryMetadata(query),
    }, call.context);
    return empty(call);
  };

  const bulkGet: Handler = async (call) => {
    const store = state.store(segment(call, 2));
    const body = await read(call, bulkGetBody, 'malformedBody');
    const items = body.keys.length === 0 ? [] : await store.bulkGet(body.keys, { parallelism: body.parallelism, metadata: { ...body.metadata, ...queryMetadata(call.query) } }, call.context);
    return json(call, 200, `[${items.map((item) => bulkItem(item, store.encrypted)).join(',')}]\n`);
  };

  const transact: Handler = async (call) => {
    const store = state.store(segment(call, 2));
    store.requireTransactions();
    const body = await read(call, transactionBody, 'malformedBody');
    if (body.operations.length === 0) return empty(call);
    const query = queryMetadata(call.query);
    const operations = body.operations.map(({ operation, request }) => {
      if (operation !== 'upsert' && operation !== 'delete') throw fail('stateOperationNotSupported', { operation });
      try {
        const read = transactionItem.read(request ?? null, '');
        return { operation, ...saveItem(read, query), contentType: read.contentType };
      } catch (error) {
        if (error instanceof GoJsonError) throw fail('malformedBody', { error: error.message });
        throw error;
      }
    });
    await store.transact(operations, { ...body.metadata, ...query }, call.context, callerTrace(call, tracing));
    return empty(call);
  };

  // The body is read before the store is looked for, as everywhere in upstream's universal handlers.
  const query: Handler = async (call) => {
    const text = textOfBytes(await universalBody(call));
    const { results, token } = await state.store(segment(call, 2), true).query(text, queryMetadata(call.query), call.context);
    if (results.length === 0) return empty(call);
    return json(call, 200, `{"results":[${results.map(queryItem).join(',')}]${token ? `,"token":${goStringify(token)}` : ''}}\n`);
  };

  // Not in Dapr: see docs/additions.md.
  const keys: Handler = async (call) => {
    const store = state.store(segment(call, 2));
    store.requireKeys();
    const { prefix, pattern, pageSize, continuationToken } = await read(call, keysBody, 'malformedBody');
    if (prefix !== '' && pattern !== '') throw fail('malformedBody', { error: 'prefix and pattern exclude each other' });
    const size = pageSize > 0 ? Math.min(pageSize, pageSizes.most) : pageSizes.usual;
    const page = await store.keys({ prefix, pattern, pageSize: size, continuationToken: continuationToken || undefined }, call.context);
    return json(call, 200, `${goStringify({ keys: page.keys, ...(page.continuationToken === undefined ? {} : { continuationToken: page.continuationToken }) })}\n`);
  };

  const write = ['POST', 'PUT'];
  const group = 'state/v1';
  return [
    { methods: ['GET'], path: 'v1.0/state/:storeName/:key', name: 'GetState', group, handler: get },
    { methods: write, path: 'v1.0/state/:storeName', name: 'SaveState', group, handler: save },
    { methods: ['DELETE'], path: 'v1.0/state/:storeName/:key', name: 'DeleteState', group, handler: remove },
    { methods: write, path: 'v1.0/state/:storeName/bulk', name: 'GetBulkState', group, handler: bulkGet },
    { methods: write, path: 'v1.0/state/:storeName/transaction', name: 'ExecuteStateTransaction', group, handler: transact },
    { methods: write, path: 'v1.0-alpha1/state/:storeName/query', name: 'QueryStateAlpha1', group: 'state/v1alpha1', handler: query },
    { methods: write, path: 'v1.0-alpha1/state/:storeName/keys', name: 'ListStateKeysAlpha1', group: 'state/v1alpha1', handler: keys },
  ];
}

/**
 * `data` stands in the answer as the JSON it is; bytes that are no JSON become the item's error instead of spoiling the whole answer.
 * In an encrypted store such bytes are a text that has lost its quotes, and get them back.
 */
function bulkItem({ key, data, etag, metadata, error }: BulkItem, encrypted: boolean): string {
  const value = data === null || data.length === 0 ? undefined : jsonOf(data, encrypted);
  const problem = error ?? (value && 'error' in value ? value.error : undefined);
  let text = `{"key":${goStringify(key)}`;
  if (value && 'json' in value && error === undefined) text += `,"data":${embedded(value.json)}`;
  if (etag !== undefined) text += `,"etag":${goStringify(etag)}`;
  if (metadata && Object.keys(metadata).length > 0) text += `,"metadata":${goStringify(metadata)}`;
  if (problem !== undefined) text += `,"error":${goStringify(problem)}`;
  return `${text}}`;
}

/** JSON of a store inside an answer, as Go's encoder puts it there (json.RawMessage). */
const embedded = (json: string): string => goEscape(compactText(json));

/** As a bulk item, but `data` is always there. */
function queryItem({ key, data, etag, error }: QueryResult): string {
  const value = error === undefined ? jsonOf(data) : { error };
  let text = `{"key":${goStringify(key)},"data":${'json' in value ? embedded(value.json) : 'null'}`;
  if (etag) text += `,"etag":${goStringify(etag)}`;
  if ('error' in value) text += `,"error":${goStringify(value.error)}`;
  return `${text}}`;
}
