// The state building block: keys, etags, bulk and transactions over any state store (Dapr: pkg/api/http/http.go, pkg/components/state).
import type { CallContext } from '../../core/context.ts';
import { AdapterError, type DaprError, fail, helpDetail, infoDetail, resourceDetail, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import type { Outbox, OutboxOperation } from '../outbox/outbox.ts';
import type { EventTrace } from '../pubsub/pubsub.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import type { StateEncryption } from './encryption.ts';
import { eachOf } from './each.ts';
import { addressable, type KeyChoice, storedPattern } from './keys-like.ts';
import { prefixOf, refuse, storedKey, userKey } from './keys.ts';
import type { BulkGetResult, DeleteRequest, GetResult, QueryResult, SetRequest, StateStore } from './port.ts';
import { parseQuery, type StateQuery } from './query.ts';
import { type PolicedStore, underPolicy } from './resilient.ts';
import { saveAll } from './save.ts';

// What callers ask for and get: the port's own shapes, with the user's keys in place of stored ones.
export type SaveItem = SetRequest;
export type DeleteOptions = Omit<DeleteRequest, 'key'>;
export type Operation = { operation: string; contentType?: string | undefined } & SaveItem;
/** A bulk item as the API shows it: `data` null where missing or failed. */
export type BulkItem = BulkGetResult;

/** One state store with this app's key rules applied, and its encryption. Keys in and out are the user's. */
export interface NamedStateStore {
  /** Values are sealed in the store; a text among them comes back without its quotes. */
  readonly encrypted: boolean;
  get(key: string, options: { consistency: string; metadata: Record<string, string> }, context: CallContext): GetResult | Promise<GetResult>;
  save(items: SaveItem[], context: CallContext): Promise<void>;
  delete(key: string, options: DeleteOptions, context: CallContext): Promise<void>;
  /** Order and length of the answer are those of `keys`. parallelism ≤ 0: as many at once as the host allows. */
  bulkGet(keys: string[], options: { parallelism: number; metadata: Record<string, string> }, context: CallContext): Promise<BulkItem[]>;
  /** Throws at once when the store has no transactions; call before reading the body. */
  requireTransactions(): void;
  /** `trace`: the one that events of the outbox carry. */
  transact(operations: Operation[], metadata: Record<string, string>, context: CallContext, trace?: EventTrace): Promise<void>;
  /** `text` is the query as JSON. Finds what other apps keep in the same table too, as daprd does. */
  query(text: string, metadata: Record<string, string>, context: CallContext): Promise<{ results: QueryResult[]; token?: string | undefined }>;
  /** Throws at once when the store cannot list keys; call before reading the body. */
  requireKeys(): void;
  /** Keys below this app's prefix alone. */
  keys(choice: KeyChoice & { pageSize: number; continuationToken?: string | undefined }, context: CallContext): Promise<KeyPage>;
}

/** One page of keys; `keys` may be shorter than asked for although a token tells that there are more. */
export interface KeyPage {
  keys: string[];
  continuationToken?: string | undefined;
}

export interface StateBlock {
  /** Throws stateStoreNotConfigured or stateStoreNotFound, which name the app but for `anonymous` calls (Dapr: queries, gRPC). */
  store(name: string, anonymous?: boolean): NamedStateStore;
}

export interface StateOptions {
  components: ComponentStore;
  appId: string;
  namespace: string;
  maxParallel: number;
  resiliency?: Resiliency;
  outbox?: Outbox;
}

export function createStateBlock(options: StateOptions): StateBlock {
  const { components, appId } = options;
  const opened = new WeakMap<Loaded, NamedStateStore>();
  // mostly the same again
  let last: { name: string; generation: number; store: NamedStateStore } | undefined;
  return {
    store: (name, anonymous = false) => {
      if (last !== undefined && last.name === name && last.generation === components.generation) return last.store;
      const loaded = components.state.get(name);
      if (loaded === undefined) {
        const details = (reason: string) => [infoDetail(reason, anonymous ? null : { appID: appId })];
        if (components.state.size === 0) throw fail('stateStoreNotConfigured', { store: name }, { details: details('DAPR_STATE_NOT_CONFIGURED') });
        throw fail('stateStoreNotFound', { store: name }, { details: details('DAPR_STATE_NOT_FOUND') });
      }
      let store = opened.get(loaded);
      if (store === undefined) opened.set(loaded, (store = namedStore(loaded, prefixOf(loaded.properties, { store: name, appId, namespace: options.namespace }), options)));
      last = { name, generation: components.generation, store };
      return store;
    },
  };
}

function namedStore(loaded: Loaded<StateStore>, prefix: string | undefined, { maxParallel, resiliency, outbox }: StateOptions): NamedStateStore {
  const { name, encryption } = loaded;
  const policy = resiliency?.outbound(name, 'Statestore');
  const port: PolicedStore & Pick<StateStore, 'maxTransactionOperations'> = policy ? { ...underPolicy(loaded.port, policy), maxTransactionOperations: loaded.port.maxTransactionOperations } : loaded.port;
  const transactional = loaded.features.includes('TRANSACTIONAL') && port.transact !== undefined;
  const toStored = (key: string, field = key) => {
    refuse(key, name, field);
    return storedKey(prefix, key);
  };
  const setRequest = (item: SaveItem, key: string): SetRequest => ({ ...item, key });
  const sealAll = (requests: Pick<SetRequest, 'value'>[]) =>
    eachOf(requests.length, maxParallel, async (i) => {
      const request = requests[i] as SetRequest;
      if (encryption !== undefined) request.value = await encryption.seal(request.value);
    });
  const queryFailed = (error: string, cause?: unknown) => fail('stateQuery', { store: name, error }, { details: [resourceDetail('state', name), infoDetail('DAPR_STATE_QUERY_FAILED', null)], cause });

  const getFailure = (key: string, error: unknown) => fail('stateGet', { key, store: name, error: textOf(error) }, { cause: error });
  const openedOf = async (key: string, arriving: GetResult | Promise<GetResult>): Promise<GetResult> => {
    try {
      const result = await arriving;
      return encryption === undefined || result.data === null ? result : { ...result, data: await encryption.open(result.data) };
    } catch (error) {
      throw getFailure(key, error);
    }
  };

  return {
    encrypted: encryption !== undefined,
    get: (key, { consistency, metadata }, context) => {
      const stored = toStored(key);
      let result: GetResult | Promise<GetResult>;
      try {
        result = port.get({ key: stored, metadata, consistency }, context);
      } catch (error) {
        throw getFailure(key, error);
      }
      if (encryption === undefined && !(result instanceof Promise)) return result;
      return openedOf(key, result);
    },
    save: async (items, context) => {
      const requests = items.map((item) => setRequest(item, toStored(item.key)));
      try {
        if (encryption !== undefined) await sealAll(requests);
        if (requests.length === 1 && policy === undefined) await loaded.port.set(requests[0] as SetRequest, context);
        else await saveAll(loaded.port, requests, maxParallel, policy, context);
      } catch (error) {
        throw writeFailure('stateSave', { store: name }, error);
      }
    },
    delete: async (key, deletion, context) => {
      const request: DeleteRequest = { key: toStored(key), ...deletion };
      try {
        await port.delete(request, context);
      } catch (error) {
        throw writeFailure('stateDelete', { key }, error);
      }
    },
    bulkGet: async (keys, { parallelism, metadata }, context) => {
      const stored = keys.map((key) => toStored(key));
      const requests = stored.map((key) => ({ key, metadata, consistency: '' }));
      if (port.bulkGet) {
        let results: BulkGetResult[];
        try {
          results = await port.bulkGet(requests, context);
        } catch (error) {
          throw fail('stateBulkGet', { error: textOf(error) }, { cause: error });
        }
        const byKey = new Map(results.map((r) => [r.key, r]));
        return openAll(stored.map((key) => ({ ...(byKey.get(key) ?? { data: null }), key: userKey(key) })), encryption);
      }
      const atOnce = parallelism > 0 ? Math.min(parallelism, maxParallel) : maxParallel;
      const getAll = async (limited: CallContext) => {
        const items: BulkItem[] = keys.map((key) => ({ key, data: null }));
        await eachOf(requests.length, atOnce, async (i) => {
          const item = items[i] as BulkItem;
          try {
            Object.assign(item, await loaded.port.get(requests[i]!, limited));
          } catch (error) {
            item.error = textOf(error);
          }
        });
        return items;
      };
      const items = await (policy ? policy.run(context, getAll).catch((error) => { throw fail('stateBulkGet', { error: textOf(error) }, { cause: error }); }) : getAll(context));
      return openAll(items, encryption);
    },
    requireTransactions: () => {
      if (transactional) return;
      throw fail('stateTransactionsNotSupported', { store: name }, {
        details: [
          helpDetail('https://docs.dapr.io/reference/components-reference/supported-state-stores/', 'Check the list of state stores and the features they support'),
          resourceDetail('state', name),
          infoDetail('DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED', null),
        ],
      });
    },
    transact: async (operations, metadata, context, trace = untraced) => {
      const requests = operations.map(({ operation, ...item }): OutboxOperation => {
        if (operation === 'upsert') return { operation, ...setRequest(item, toStored(item.key, '')) };
        if (operation === 'delete') return { operation, ...setRequest(item, toStored(item.key, '')) };
        throw fail('stateOperationNotSupported', { operation });
      });
      const max = port.maxTransactionOperations;
      if (max !== undefined && requests.length > max) {
        const counts = { currentOpsTransaction: String(requests.length), maxOpsPerTransaction: String(max) };
        throw fail('stateTooManyTransactions', { count: requests.length, max }, { details: [resourceDetail('state', name), infoDetail('DAPR_STATE_TOO_MANY_TRANSACTIONS', counts)] });
      }
      const failure = (error: unknown) => fail('stateTransaction', { error: textOf(error) }, { cause: error });
      if (encryption !== undefined) await sealAll(requests.filter((request) => request.operation === 'upsert')).catch((error: unknown) => { throw failure(error); });
      // what an encrypted store keeps sealed its events carry sealed
      const prepared = await outbox?.prepare(loaded, requests, trace, context);
      try {
        await port.transact!(prepared?.operations ?? requests, metadata, context);
      } catch (error) {
        await prepared?.failed(error);
        throw failure(error);
      }
    },
    query: async (text, metadata, context) => {
      if (port.query === undefined) throw fail('stateQueryNotSupported', {}, { details: [resourceDetail('state', name), infoDetail('DAPR_STATE_QUERYING_NOT_SUPPORTED', null)] });
      if (encryption !== undefined) throw queryFailed('cannot query encrypted store');
      let query: StateQuery;
      try {
        query = parseQuery(text);
      } catch (error) {
        throw queryFailed(`failed to parse JSON query body: ${textOf(error)}`);
      }
      try {
        const { results, token } = await port.query(query, metadata, context);
        return { results: results.map((result) => ({ ...result, key: userKey(result.key) })), token };
      } catch (error) {
        throw queryFailed(textOf(error), error);
      }
    },
    requireKeys: () => {
      if (port.keysLike === undefined) throw fail('stateKeysNotSupported', { store: name }, { details: [resourceDetail('state', name), infoDetail('DAPR_STATE_LISTING_NOT_SUPPORTED', null)] });
    },
    keys: async ({ prefix: start, pattern, pageSize, continuationToken }, context) => {
      const below = storedKey(prefix, '');
      const request = { pattern: storedPattern(below, { prefix: start, pattern }), pageSize };
      try {
        for (let token = continuationToken; ; ) {
          const page = await port.keysLike!({ ...request, continuationToken: token }, context);
          const keys = addressable(below, page.keys);
          // a page of actor state alone tells a caller nothing
          if (keys.length > 0 || page.continuationToken === undefined) return { keys, continuationToken: page.continuationToken };
          token = page.continuationToken;
        }
      } catch (error) {
        throw fail('stateKeys', { store: name, error: textOf(error) }, { ...(error instanceof AdapterError && error.kind === 'invalid' ? { http: 400, grpc: 'InvalidArgument' as const } : {}), cause: error });
      }
    },
  };
}

const untraced: EventTrace = { traceparent: '', tracestate: '' };

/** In place; an item that cannot be opened keeps its etag beside the error. */
async function openAll(items: BulkItem[], encryption: StateEncryption | undefined): Promise<BulkItem[]> {
  if (encryption === undefined) return items;
  await Promise.all(
    items.map(async (item) => {
      if (item.data === null || item.error !== undefined) return;
      try {
        item.data = await encryption.open(item.data);
      } catch (error) {
        item.data = null;
        item.error = textOf(error);
      }
    }),
  );
  return items;
}

function writeFailure(is: 'stateSave' | 'stateDelete', holes: Record<string, string>, error: unknown): DaprError {
  const kind = error instanceof AdapterError ? error.kind : undefined;
  const status = kind === 'etagMismatch' ? { http: 409, grpc: 'Aborted' as const } : kind === 'etagInvalid' ? { http: 400, grpc: 'InvalidArgument' as const } : {};
  return fail(is, { ...holes, error: textOf(error) }, { ...status, cause: error });
}

/** JSON text of a stored value, or the reason why it cannot stand inside a JSON answer. `orText`: a text that is no JSON is meant as a string. */
export function jsonOf(data: Uint8Array, orText = false): { json: string } | { error: string } {
  const json = textOfBytes(data);
  try {
    JSON.parse(json);
    return { json };
  } catch {
    if (orText && !json.includes('\ufffd')) return { json: JSON.stringify(json) };
    return { error: 'the stored value is not JSON; read it singly' };
  }
}
