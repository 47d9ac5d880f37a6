// The state block, each operation on a component counted.
import { countFailure, countResult, measured, type Meter, now } from '../../core/meter.ts';
import type { GetResult } from './port.ts';
import type { NamedStateStore, StateBlock } from './state.ts';

export function measuredState(block: StateBlock, meter: Meter): StateBlock {
  const known = new WeakMap<NamedStateStore, NamedStateStore>();
  // mostly the same again
  let last: { plain: NamedStateStore; store: NamedStateStore } | undefined;
  const bind = (plain: NamedStateStore, name: string): NamedStateStore => {
    const store = measuredStore(plain, (operation) => meter.operation('state', name, operation));
    known.set(plain, store);
    return store;
  };
  return {
    store: (name, anonymous) => {
      const plain = block.store(name, anonymous);
      if (last === undefined || last.plain !== plain) last = { plain, store: known.get(plain) ?? bind(plain, name) };
      return last.store;
    },
  };
}

function measuredStore(store: NamedStateStore, of: (operation: string) => ReturnType<Meter['operation']>): NamedStateStore {
  const [get, set, remove, bulkGet, transaction, query] = [of('get'), of('set'), of('delete'), of('bulk_get'), of('transaction'), of('query')];
  return {
    ...store,
    // as `measured` does it, but without a function made for each call
    get: (key, options, context) => {
      const startedAt = now();
      let result: GetResult | Promise<GetResult>;
      try {
        result = store.get(key, options, context);
      } catch (error) {
        countFailure(get, error, startedAt);
        throw error;
      }
      return countResult(get, result, startedAt);
    },
    save: async (items, context) => measured(set, () => store.save(items, context)),
    delete: async (key, options, context) => measured(remove, () => store.delete(key, options, context)),
    // asking for no keys asks nobody
    bulkGet: async (keys, options, context) => (keys.length === 0 ? store.bulkGet(keys, options, context) : measured(bulkGet, () => store.bulkGet(keys, options, context))),
    transact: async (...call) => measured(transaction, () => store.transact(...call)),
    query: async (text, metadata, context) => measured(query, () => store.query(text, metadata, context)),
  };
}
