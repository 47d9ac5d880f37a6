// Output bindings, each call counted: calls of bindings that are not there too, as in daprd.
import { bound, type Meter, now } from '../../core/meter.ts';
import type { BindingsBlock } from './bindings.ts';

export function measuredBindings(block: BindingsBlock, meter: Meter): BindingsBlock {
  const ofBinding = bound((name) => bound((operation) => meter.operation('output_binding', name, operation), 64), 256);
  return {
    invoke: async (name, request, context) => {
      const startedAt = now();
      let succeeded = false;
      try {
        const outcome = await block.invoke(name, request, context);
        succeeded = outcome.error === undefined;
        return outcome;
      } finally {
        ofBinding(name)(request.operation)(succeeded, startedAt);
      }
    },
  };
}
