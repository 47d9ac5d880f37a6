// The configuration block, each operation on a component counted.
import { bound, measured, type Meter } from '../../core/meter.ts';
import type { ConfigurationBlock } from './configuration.ts';

export function measuredConfiguration(block: ConfigurationBlock, meter: Meter): ConfigurationBlock {
  const operationsOf = bound((store) => ({
    get: meter.operation('configuration', store, 'get'), subscribe: meter.operation('configuration', store, 'subscribe'), unsubscribe: meter.operation('configuration', store, 'unsubscribe'),
  }));
  return {
    store: (name) => {
      const store = block.store(name);
      const { get, subscribe, unsubscribe } = operationsOf(name);
      return {
        ...store,
        get: async (request, context) => measured(get, () => store.get(request, context)),
        subscribe: async (request, handler) => measured(subscribe, () => store.subscribe(request, handler)),
        unsubscribe: async (id) => measured(unsubscribe, () => store.unsubscribe(id)),
      };
    },
  };
}
