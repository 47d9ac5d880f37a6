// Configuration items in memory: what configuration.in-memory and configuration.local.file have in common.
import { AdapterError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { ConfigurationItem, ConfigurationStore } from '../../blocks/configuration/port.ts';
import { createSubscribers } from '../../blocks/configuration/subscribers.ts';

export interface ItemMap extends Pick<ConfigurationStore, 'get' | 'subscribe' | 'unsubscribe' | 'close'> {
  /** undefined removes the item; subscribers are told of what is really another. */
  set(key: string, item: ConfigurationItem | undefined): void;
  /** Sets all of these and removes the others. */
  replace(items: ReadonlyMap<string, ConfigurationItem>): void;
}

export function createItemMap(start: ReadonlyMap<string, ConfigurationItem>, log: Logger): ItemMap {
  const items = new Map(start);
  const subscribers = createSubscribers(log);
  const set: ItemMap['set'] = (key, item) => {
    if (JSON.stringify(items.get(key)) === JSON.stringify(item)) return;
    if (item === undefined) items.delete(key);
    else items.set(key, item);
    subscribers.notify(key, () => new Map([[key, item ?? { value: '', version: '', metadata: {} }]]));
  };
  return {
    get: async ({ keys }) => (keys.length === 0 ? new Map(items) : new Map(keys.flatMap((key) => (items.has(key) ? [[key, items.get(key) as ConfigurationItem]] : [])))),
    subscribe: async ({ keys }, handler) => subscribers.add({ keys }, handler).id,
    unsubscribe: async (id) => {
      if (subscribers.remove(id) === undefined) throw new AdapterError('invalid', `subscription with id ${id} does not exist`);
    },
    set,
    replace: (wanted) => {
      for (const key of [...items.keys()]) if (!wanted.has(key)) set(key, undefined);
      for (const [key, item] of wanted) set(key, item);
    },
    close: async () => subscribers.clear(),
  };
}

/** The items of a JSON object: a text is a value, an object has `value`, `version` and `metadata`. Throws an Error that says what is wrong. */
export function itemsOf(given: unknown): Map<string, ConfigurationItem> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Error('it is no JSON object');
  return new Map(Object.entries(given).map(([key, item]: [string, unknown]) => {
    if (typeof item === 'string') return [key, { value: item, version: '', metadata: {} }];
    if (typeof item !== 'object' || item === null || Array.isArray(item)) throw new Error(`'${key}' is neither a text nor an object`);
    const { value = '', version = '', metadata = {} } = item as Record<string, unknown>;
    if (typeof value !== 'string' || typeof version !== 'string') throw new Error(`value and version of '${key}' must be texts`);
    if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata) || Object.values(metadata).some((text) => typeof text !== 'string')) throw new Error(`metadata of '${key}' must be an object of texts`);
    return [key, { value, version, metadata: { ...(metadata as Record<string, string>) } }];
  }));
}
