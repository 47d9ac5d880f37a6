// The lock building block: who may take and release what, under which key (Dapr: pkg/api/universal/lock.go).
import type { CallContext } from '../../core/context.ts';
import { type ErrorName, fail, textOf } from '../../core/errors.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
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

export function createLockBlock({ components, appId }: { components: ComponentStore; appId: string }): LockBlock {
  const storeFor = ({ store, resourceId, lockOwner }: UnlockRequest): Loaded<LockStore> => {
    if (components.lock.size === 0) throw fail('lockStoreNotConfigured');
    if (resourceId === '') throw fail('lockResourceEmpty', { store });
    if (lockOwner === '') throw fail('lockOwnerEmpty', { store });
    const loaded = components.lock.get(store);
    if (loaded === undefined) throw fail('lockStoreNotFound', { store });
    return loaded;
  };
  const run = async <T>(is: ErrorName, request: UnlockRequest, work: (store: LockStore, key: string) => Promise<T>): Promise<T> => {
    const { port, properties, name } = storeFor(request);
    try {
      return await work(port, lockKey(lockPrefixOf(properties, { store: name, appId }), request.resourceId));
    } catch (error) {
      throw fail(is, { error: textOf(error) }, { cause: error });
    }
  };
  return {
    tryLock: async (request, context) => {
      const { store, lockOwner: owner, expiryInSeconds: seconds } = request;
      if (seconds <= 0) throw fail('lockExpiryNotPositive', { store });
      return run('tryLock', request, (port, key) => port.tryLock({ key, owner, seconds }, context));
    },
    unlock: (request, context) => run('unlock', request, async (port, key) => statuses[await port.unlock({ key, owner: request.lockOwner }, context)]),
  };
}
