// A state store under the policies of its name: the same port, every call a run (saving many: save.ts).
import { Final } from '../resiliency/failures.ts';
import type { Policy } from '../resiliency/policy.ts';
import type { StateStore } from './port.ts';
import { isRefusal } from './save.ts';

/** What the store is asked for through the API. A write refused for its etag is not tried again. */
export type PolicedStore = Pick<StateStore, 'get' | 'delete' | 'bulkGet' | 'transact' | 'query' | 'keysLike'>;

export function underPolicy(port: StateStore, policy: Policy): PolicedStore {
  const { bulkGet, transact, query, keysLike } = port;
  return {
    get: (request, context) => policy.run(context, (limited) => port.get(request, limited)),
    delete: (request, context) => policy.run(context, (limited) => port.delete(request, limited).catch(finalIfRefused)),
    ...(bulkGet && { bulkGet: (requests, context) => policy.run(context, (limited) => bulkGet.call(port, requests, limited)) }),
    ...(transact && { transact: (operations, metadata, context) => policy.run(context, (limited) => transact.call(port, operations, metadata, limited).catch(finalIfRefused)) }),
    ...(query && { query: (question, metadata, context) => policy.run(context, (limited) => query.call(port, question, metadata, limited)) }),
    ...(keysLike && { keysLike: (request, context) => policy.run(context, (limited) => keysLike.call(port, request, limited)) }),
  };
}

function finalIfRefused(error: unknown): never {
  throw isRefusal(error) ? new Final(error) : error;
}
