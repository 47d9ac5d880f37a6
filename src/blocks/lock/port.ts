// What a lock store must provide (Dapr: components-contrib/lock/store.go).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';

export interface LockClaim {
  /** As it stands in the store: `lock||app||resource`. */
  key: string;
  owner: string;
}

/** `missing`: nobody holds it, or its time is over. `others`: another owner holds it. */
export type Unlocked = 'success' | 'missing' | 'others';

/** Both throw AdapterError. */
export interface LockStore extends Closable {
  /** Takes the lock for so many seconds (1 to 2³¹-1) where nobody holds it; never waits, never renews, not even for the same owner. */
  tryLock(request: LockClaim & { seconds: number }, context: CallContext): Promise<boolean>;
  unlock(request: LockClaim, context: CallContext): Promise<Unlocked>;
  ping?(context: CallContext): Promise<void>;
}

export const defineLockStore = <M>(definition: Omit<Definition<LockStore, M, never>, 'block' | 'features'>): Definition<LockStore, M, never> => ({ block: 'lock', features: [], ...definition });
