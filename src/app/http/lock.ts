// HTTP routes of the lock building block.
import { protoInt32, protoMessage, protoString } from '../../core/proto-json.ts';
import type { LockBlock } from '../../blocks/lock/lock.ts';
import { type Handler, json, type Route, segment } from './call.ts';
import { protoBody } from './proto-body.ts';

// A storeName in the body counts for nothing, the path names the store; it must still be a text.
const unlockBody = { storeName: protoString, resourceId: protoString, lockOwner: protoString };
const unlockRequest = protoMessage(unlockBody);
const tryLockRequest = protoMessage({ ...unlockBody, expiryInSeconds: protoInt32 });

export function lockRoutes(lock: LockBlock): Route[] {
  const tryLock: Handler = async (call) => {
    const request = await protoBody(call, tryLockRequest);
    return json(call, 200, `{"success":${await lock.tryLock({ ...request, store: segment(call, 2) }, call.context)}}`);
  };
  const unlock: Handler = async (call) => {
    const request = await protoBody(call, unlockRequest);
    return json(call, 200, `{"status":${await lock.unlock({ ...request, store: segment(call, 2) }, call.context)}}`);
  };
  return [
    { methods: ['POST'], path: 'v1.0-alpha1/lock/:storeName', name: 'TryLock', group: 'lock/v1alpha1', handler: tryLock },
    { methods: ['POST'], path: 'v1.0-alpha1/unlock/:storeName', name: 'Unlock', group: 'unlock/v1alpha1', handler: unlock },
  ];
}
