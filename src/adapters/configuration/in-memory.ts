// configuration.in-memory: items in the memory of this process, given in the metadata. Not a component of Dapr.
import { textOf } from '../../core/errors.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { type ConfigurationItem, type ConfigurationStore, defineConfigurationStore } from '../../blocks/configuration/port.ts';
import { createItemMap, type ItemMap, itemsOf } from './item-map.ts';

/** For code in the same process, which may change items while the sidecar runs. */
export type InMemoryConfigurationStore = ConfigurationStore & Pick<ItemMap, 'set'>;

export default defineConfigurationStore({
  type: 'configuration.in-memory',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Configuration items in the memory of this process; for tests and first steps.',
  metadata: schema({
    items: field.json().default({}).describe('JSON object of the items by key: a text is the value, an object has `value`, `version` and `metadata`'),
  }),
  open: async ({ items: given }, { log }): Promise<InMemoryConfigurationStore> => {
    let items: Map<string, ConfigurationItem>;
    try {
      items = itemsOf(given);
    } catch (error) {
      throw new MetadataError(`metadata field items: ${textOf(error)}`, 'items', textOf(error));
    }
    return createItemMap(items, log);
  },
});
