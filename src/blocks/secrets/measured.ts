// The secrets block, each operation on a component counted.
import { bound, measured, type Meter } from '../../core/meter.ts';
import type { SecretsBlock } from './secrets.ts';

export function measuredSecrets(block: SecretsBlock, meter: Meter): SecretsBlock {
  const get = bound((store) => meter.operation('secret', store, 'get'));
  const bulkGet = bound((store) => meter.operation('secret', store, 'bulk_get'));
  return {
    get: async (store, key, metadata, context) => measured(get(store), () => block.get(store, key, metadata, context)),
    bulkGet: async (store, metadata, context) => measured(bulkGet(store), () => block.bulkGet(store, metadata, context)),
  };
}
