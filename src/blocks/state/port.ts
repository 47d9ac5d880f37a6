// What a state store must provide (Dapr: components-contrib/state/store.go).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';
import type { StateQuery } from './query.ts';

/** Names as `capabilities` lists them; ACTOR is added by the block where ETAG and TRANSACTIONAL are present. */
export type StateFeature = 'ETAG' | 'TRANSACTIONAL' | 'TTL' | 'QUERY_API' | 'DELETE_WITH_PREFIX' | 'PARTITION_KEY' | 'KEYS_LIKE';

/**
 * A value on its way into a store. `json` is compact JSON text (HTTP saves), `bytes` are kept as they are (gRPC saves, actor data):
 * some stores mark which of the two they hold.
 */
export type StateValue = { readonly json: string } | { readonly bytes: Uint8Array };

export interface GetRequest {
  key: string;
  metadata: Record<string, string>;
  consistency: string;
}
export interface GetResult {
  /** null: no such key (or expired). An empty array is a stored empty value. */
  data: Uint8Array | null;
  etag?: string | undefined;
  /** Such as `ttlExpireTime`, RFC 3339 in UTC. */
  metadata?: Record<string, string> | undefined;
}
export interface BulkGetResult extends GetResult {
  key: string;
  error?: string;
}
export interface SetRequest {
  key: string;
  value: StateValue;
  /** undefined and '' both mean: no etag given. */
  etag?: string | undefined;
  metadata: Record<string, string>;
  /** '' | 'first-write' | 'last-write', not yet validated: see checkOptions. */
  concurrency: string;
  /** '' | 'eventual' | 'strong', likewise. */
  consistency: string;
}
export type DeleteRequest = Omit<SetRequest, 'value'>;
export type TransactionOperation = ({ operation: 'upsert' } & SetRequest) | ({ operation: 'delete' } & DeleteRequest);

export interface KeysLikeRequest {
  /** SQL LIKE grammar, `\` escapes. */
  pattern: string;
  /** Keys per page; undefined = all. */
  pageSize?: number | undefined;
  continuationToken?: string | undefined;
}

export interface QueryResult {
  key: string;
  /** JSON. */
  data: Uint8Array;
  etag?: string | undefined;
  /** Why there is no data. */
  error?: string | undefined;
}

/**
 * Errors: etagMismatch()/etagInvalid() of core/errors for refused writes, AdapterError for the rest, or any Error (becomes 500).
 * Keys arrive with their prefix.
 */
export interface StateStore extends Closable {
  /** A store that knows at once answers at once: the busiest call is spared its promises. */
  get(request: GetRequest, context: CallContext): GetResult | Promise<GetResult>;
  set(request: SetRequest, context: CallContext): Promise<void>;
  delete(request: DeleteRequest, context: CallContext): Promise<void>;
  /** Optional faster forms; the block runs single operations in parallel where they are missing. One result per key, any order. */
  bulkGet?(requests: GetRequest[], context: CallContext): Promise<BulkGetResult[]>;
  bulkSet?(requests: SetRequest[], context: CallContext): Promise<void>;
  bulkDelete?(requests: DeleteRequest[], context: CallContext): Promise<void>;
  /** TRANSACTIONAL: all or nothing where the store can (Redis cannot roll back), in order. */
  transact?(operations: TransactionOperation[], metadata: Record<string, string>, context: CallContext): Promise<void>;
  /** Most operations one transaction may have; absent = no limit. */
  readonly maxTransactionOperations?: number;
  /** KEYS_LIKE. */
  keysLike?(request: KeysLikeRequest, context: CallContext): Promise<{ keys: string[]; continuationToken?: string | undefined }>;
  /** DELETE_WITH_PREFIX: returns how many were removed. */
  deleteWithPrefix?(prefix: string, context: CallContext): Promise<number>;
  /** QUERY_API: what the filter finds, whoever's it is, sorted and cut as asked; the token asks for the next page. */
  query?(query: StateQuery, metadata: Record<string, string>, context: CallContext): Promise<{ results: QueryResult[]; token?: string | undefined }>;
  ping?(context: CallContext): Promise<void>;
}

/** Declared features make their methods mandatory. */
type Methods<F extends StateFeature> = ('TRANSACTIONAL' extends F ? Required<Pick<StateStore, 'transact'>> : unknown) &
  ('KEYS_LIKE' extends F ? Required<Pick<StateStore, 'keysLike'>> : unknown) &
  ('QUERY_API' extends F ? Required<Pick<StateStore, 'query'>> : unknown) &
  ('DELETE_WITH_PREFIX' extends F ? Required<Pick<StateStore, 'deleteWithPrefix'>> : unknown);

export type StateStoreDefinition<M, F extends StateFeature> = Omit<Definition<StateStore, M, F>, 'block' | 'open' | 'features'> & {
  readonly features: readonly F[];
  open(...args: Parameters<Definition<StateStore, M, F>['open']>): Promise<StateStore & Methods<F>>;
};

export const defineStateStore = <M, const F extends StateFeature>(definition: StateStoreDefinition<M, F>): Definition<StateStore, M, F> => ({ block: 'state', ...definition });
