// configuration.in-memory: items in the memory of this process, given in the metadata. Not a component of Dapr.
import { AdapterError } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { type ConfigurationItem, type ConfigurationStore, defineConfigurationStore } from '../../blocks/configuration/port.ts';
import { createSubscribers } from '../../blocks/configuration/subscribers.ts';

/** For code in the same process, which may change items while the sidecar runs. */
export interface InMemoryConfigurationStore extends ConfigurationStore {
  /** undefined removes the item; subscribers are told of what is really another. */
  set(key: string, item: ConfigurationItem | undefined): void;
}

export default defineConfigurationStore({
  type: 'configuration.in-memory',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Configuration items in the memory of this process; for tests and first steps.',
  metadata: schema({
    items: field.json().default({}).describe('JSON object of the items by key: a text is the value, an object has `value`, `version` and `metadata`'),
  }),
  open: async ({ items: given }, { log }): Promise<InMemoryConfigurationStore> => {
    const items = new Map(itemsOf(given));
    const subscribers = createSubscribers(log);
    return {
      get: async ({ keys }) => (keys.length === 0 ? new Map(items) : new Map(keys.flatMap((key) => (items.has(key) ? [[key, items.get(key) as ConfigurationItem]] : [])))),
      subscribe: async ({ keys }, handler) => subscribers.add({ keys }, handler).id,
      unsubscribe: async (id) => {
        if (subscribers.remove(id) === undefined) throw new AdapterError('invalid', `subscription with id ${id} does not exist`);
      },
      set: (key, item) => {
        if (JSON.stringify(items.get(key)) === JSON.stringify(item)) return;
        if (item === undefined) items.delete(key);
        else items.set(key, item);
        subscribers.notify(key, () => new Map([[key, item ?? { value: '', version: '', metadata: {} }]]));
      },
      close: async () => subscribers.clear(),
    };
  },
});

function itemsOf(given: unknown): [string, ConfigurationItem][] {
  const fail = (what: string) => new MetadataError(`metadata field items: ${what}`, 'items', what);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw fail('is no JSON object');
  return Object.entries(given).map(([key, item]: [string, unknown]) => {
    if (typeof item === 'string') return [key, { value: item, version: '', metadata: {} }];
    if (typeof item !== 'object' || item === null || Array.isArray(item)) throw fail(`'${key}' is neither a text nor an object`);
    const { value = '', version = '', metadata = {} } = item as Record<string, unknown>;
    if (typeof value !== 'string' || typeof version !== 'string') throw fail(`value and version of '${key}' must be texts`);
    if (typeof metadata !== 'object' || metadata === null || Object.values(metadata).some((text) => typeof text !== 'string')) throw fail(`metadata of '${key}' must be an object of texts`);
    return [key, { value, version, metadata: { ...(metadata as Record<string, string>) } }];
  });
}
