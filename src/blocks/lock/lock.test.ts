// The lock building block: the order of its checks and its keys.
import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { AdapterError, type DaprError } from '../../core/errors.ts';
import { createComponentStore } from '../components/store.ts';
import { createLockBlock } from './lock.ts';
import type { LockStore } from './port.ts';

function start(stores: Record<string, Record<string, string>>, port: Partial<LockStore> = {}, appId = 'app') {
  const components = createComponentStore();
  const keys: string[] = [];
  const store: LockStore = { tryLock: async ({ key }) => keys.push(key) > 0, unlock: async () => 'others', close: async () => undefined, ...port };
  for (const [name, properties] of Object.entries(stores)) components.add({ name, type: 'lock.test', version: 'v1', block: 'lock', features: [], properties, port: store });
  return { lock: createLockBlock({ components, appId }), keys };
}
const request = { store: 's', resourceId: 'r', lockOwner: 'me', expiryInSeconds: 1 };
const said = async (work: Promise<unknown>) => work.then(() => 'done', (error: DaprError) => `${error.http} ${error.grpc} ${error.row.code} ${error.message}`);

describe('a lock', () => {
  it.each([
    [{}, { expiryInSeconds: 0, resourceId: '' }, '400 InvalidArgument ERR_MALFORMED_REQUEST ExpiryInSeconds is not positive in lock store s'],
    [{}, { expiryInSeconds: -1 }, '400 InvalidArgument ERR_MALFORMED_REQUEST ExpiryInSeconds is not positive in lock store s'],
    [{}, { resourceId: '' }, '500 FailedPrecondition ERR_LOCK_STORE_NOT_CONFIGURED lock store is not configured'],
    [{ other: {} }, { resourceId: '', lockOwner: '' }, '400 InvalidArgument ERR_MALFORMED_REQUEST ResourceId is empty in lock store s'],
    [{ other: {} }, { lockOwner: '' }, '400 InvalidArgument ERR_MALFORMED_REQUEST LockOwner is empty in lock store s'],
    [{ other: {} }, { resourceId: 'a||b' }, '400 InvalidArgument ERR_LOCK_STORE_NOT_FOUND lock store s not found'],
    [{ s: {} }, { resourceId: 'a||b' }, "500 Internal ERR_TRY_LOCK failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'"],
    [{ s: {} }, {}, 'done'],
  ])('%j %j: %s', async (stores, change, words) => expect(await said(start(stores).lock.tryLock({ ...request, ...change }, background))).toBe(words));

  it('is released by the same checks but the time', async () => {
    expect(await start({ s: {} }).lock.unlock(request, background)).toBe(2);
    expect(await said(start({ s: {} }).lock.unlock({ ...request, resourceId: '||' }, background))).toBe("500 Internal ERR_UNLOCK failed to release lock: input key/keyPrefix '||' can't contain '||'");
  });
  it('tells what its store said', async () => {
    const tryLock = async () => { throw new AdapterError('unavailable', 'no answer'); };
    expect(await said(start({ s: {} }, { tryLock }).lock.tryLock(request, background))).toBe('500 Internal ERR_TRY_LOCK failed to try acquiring lock: no answer');
  });
  it.each<[Record<string, string>, string, string]>([
    [{}, 'app', 'lock||app||r'],
    [{ keyPrefix: 'AppId' }, 'app', 'lock||app||r'],
    [{}, '', 'lock||r'],
    [{ KEYPREFIX: 'Name' }, 'app', 'lock||s||r'],
    [{ keyPrefix: 'none' }, 'app', 'lock||r'],
    [{ keyPrefix: 'MyPrefix' }, 'app', 'lock||myprefix||r'],
    [{ keyPrefix: 'namespace' }, 'app', 'lock||namespace||r'],
    [{ keyPrefix: '' }, 'app', 'lock||||r'],
  ])('%j and app "%s" stand under %s', async (properties, appId, key) => {
    const { lock, keys } = start({ s: properties }, {}, appId);
    await lock.tryLock(request, background);
    expect(keys).toEqual([key]);
  });
});
