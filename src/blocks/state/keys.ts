// How user keys become keys in a store and back (Dapr: pkg/components/state/state_config.go).
import { badRequestDetail, fail, infoDetail, resourceDetail } from '../../core/errors.ts';
import { property, type Properties } from '../../core/metadata.ts';

const separator = '||';

/** Prefix (without `||`) that the component's `keyPrefix` asks for; undefined means none at all. Throws when it contains `||`. */
export function prefixOf(properties: Properties, names: { store: string; appId: string; namespace: string }): string | undefined {
  const strategy = property(properties, 'keyPrefix')?.toLowerCase();
  switch (strategy) {
    case undefined:
    case 'appid':
      return names.appId || undefined;
    case 'namespace':
      return names.appId ? (names.namespace ? `${names.namespace}.${names.appId}` : names.appId) : undefined;
    case 'name':
      return names.store;
    case 'none':
      return undefined;
    default:
      refuse(strategy, names.store);
      return strategy;
  }
}

/** Throws Dapr's 400 for a key that contains the separator. `field` is '' in transactions, where Dapr has cleared the key already. */
export function refuse(key: string, store: string, field = key): void {
  if (!key.includes(separator)) return;
  const message = `api error: code = InvalidArgument desc = input key/keyPrefix '${key}' can't contain '||'`;
  throw fail('stateIllegalKey', { key }, { message, details: [badRequestDetail(field, message), resourceDetail('state', store), infoDetail('DAPR_STATE_ILLEGAL_KEY', null)] });
}

export const storedKey = (prefix: string | undefined, key: string): string => (prefix === undefined ? key : prefix + separator + key);

/** What a caller calls a stored key: the second of at most three parts, else the whole. */
export function userKey(stored: string): string {
  const parts = stored.split(separator);
  return parts.length > 1 ? (parts[1] as string) : stored;
}
