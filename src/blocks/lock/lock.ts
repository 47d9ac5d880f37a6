// The lock building block: who may take and release what, under which key (Dapr: pkg/api/universal/lock.go).
import type { CallContext } from '../../core/context.ts';
import { type ErrorName, fail, textOf } from '../../core/errors.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { lockKey, lockPrefixOf } from './keys.ts';
import type { LockStore, Unlocked } from './port.ts';

export interface UnlockRequest {
  store: string;
  resourceId: string;
  lockOwner: string;
}
export interface TryLockRequest extends UnlockRequest {
  expiryInSeconds: number;
}

/** Status of an unlock as protobuf counts it: 0 SUCCESS, 1 LOCK_DOES_NOT_EXIST, 2 LOCK_BELONGS_TO_OTHERS. */
export type UnlockStatus = 0 | 1 | 2;
const statuses: Record<Unlocked, UnlockStatus> = { success: 0, missing: 1, others: 2 };

export interface LockBlock {
  /** Whether the lock was free and is now the caller's. */
  tryLock(request: TryLockRequest, context: CallContext): Promise<boolean>;
  unlock(request: UnlockRequest, context: CallContext): Promise<UnlockStatus>;
}

export function createLockBlock({ components, appId, resiliency }: { components: ComponentStore; appId: string; resiliency?: Resiliency }): LockBlock {
  const storeFor = ({ store, resourceId, lockOwner }: UnlockRequest): Loaded<LockStore> => {
    if (components.lock.size === 0) throw fail('lockStoreNotConfigured');
    if (resourceId === '') throw fail('lockResourceEmpty', { store });
    if (lockOwner === '') throw fail('lockOwnerEmpty', { store });
    const loaded = components.lock.get(store);
    if (loaded === undefined) throw fail('lockStoreNotFound', { store });
    return loaded;
  };
  const run = async <T>(is: ErrorName, request: UnlockRequest, context: CallContext, work: (store: LockStore, key: string, context: CallContext) => Promise<T>): Promise<T> => {
    const { port, properties, name } = storeFor(request);
    try {
      const key = lockKey(lockPrefixOf(properties, { store: name, appId }), request.resourceId);
      const policy = resiliency?.outbound(name, 'Lock');
      return await (policy ? policy.run(context, (limited) => work(port, key, limited)) : work(port, key, context));
    } catch (error) {
      throw fail(is, { error: textOf(error) }, { cause: error });
    }
  };
  return {
    tryLock: async (request, context) => {
      const { store, lockOwner: owner, expiryInSeconds: seconds } = request;
      if (seconds <= 0) throw fail('lockExpiryNotPositive', { store });
      return run('tryLock', request, context, (port, key, limited) => port.tryLock({ key, owner, seconds }, limited));
    },
    unlock: (request, context) => run('unlock', request, context, async (port, key, limited) => statuses[await port.unlock({ key, owner: request.lockOwner }, limited)]),
  };
}
