// How resources become keys in a lock store (Dapr: pkg/components/lock/lock_config.go).
import { property, type Properties } from '../../core/metadata.ts';

const separator = '||';

/** What stands before the resource. `keyPrefix` knows `appid` (default), `name` and `none`; anything else stands for itself, `namespace` too. */
export function lockPrefixOf(properties: Properties, { store, appId }: { store: string; appId: string }): string {
  const strategy = property(properties, 'keyPrefix')?.toLowerCase() ?? 'appid';
  refuseSeparator(strategy);
  const part = strategy === 'appid' ? appId || undefined : strategy === 'name' ? store : strategy === 'none' ? undefined : strategy;
  return part === undefined ? `lock${separator}` : `lock${separator}${part}${separator}`;
}

/** Throws for a resource that contains the separator. */
export function lockKey(prefix: string, resource: string): string {
  refuseSeparator(resource);
  return prefix + resource;
}

function refuseSeparator(key: string): void {
  if (key.includes(separator)) throw new Error(`input key/keyPrefix '${key}' can't contain '${separator}'`);
}
