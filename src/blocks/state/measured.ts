// The state block, each operation on a component counted.
import { measured, type Meter } from '../../core/meter.ts';
import type { NamedStateStore, StateBlock } from './state.ts';

export function measuredState(block: StateBlock, meter: Meter): StateBlock {
  const known = new WeakMap<NamedStateStore, NamedStateStore>();
  return {
    store: (name, anonymous) => {
      const plain = block.store(name, anonymous);
      let store = known.get(plain);
      if (store === undefined) known.set(plain, (store = measuredStore(plain, (operation) => meter.operation('state', name, operation))));
      return store;
    },
  };
}

function measuredStore(store: NamedStateStore, of: (operation: string) => ReturnType<Meter['operation']>): NamedStateStore {
  const [get, set, remove, bulkGet, transaction, query] = [of('get'), of('set'), of('delete'), of('bulk_get'), of('transaction'), of('query')];
  return {
    ...store,
    get: (key, options, context) => measured(get, () => store.get(key, options, context)),
    save: async (items, context) => measured(set, () => store.save(items, context)),
    delete: async (key, options, context) => measured(remove, () => store.delete(key, options, context)),
    // asking for no keys asks nobody
    bulkGet: async (keys, options, context) => (keys.length === 0 ? store.bulkGet(keys, options, context) : measured(bulkGet, () => store.bulkGet(keys, options, context))),
    transact: async (...call) => measured(transaction, () => store.transact(...call)),
    query: async (text, metadata, context) => measured(query, () => store.query(text, metadata, context)),
  };
}
