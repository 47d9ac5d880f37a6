// What SQL state stores read in a request before they touch the database.
import { AdapterError } from '../../core/errors.ts';
import { ttlOf } from '../../blocks/state/options.ts';

/** The key; refused where it is empty, which only `keyPrefix: none` makes possible. `what` is daprd's word for the call. */
export function keyOf(request: { key: string }, what: 'get operation' | 'set operation' | 'set option' | 'delete operation'): string {
  if (request.key === '') throw new AdapterError('invalid', `missing key in ${what}`);
  return request.key;
}

/** Seconds to live, null where the value stays (no ttlInSeconds, 0 or -1). */
export function lifetimeOf({ metadata }: { metadata: Record<string, string> }): number | null {
  try {
    const seconds = ttlOf(metadata) ?? 0;
    return seconds > 0 ? seconds : null;
  } catch (error) {
    throw error instanceof AdapterError ? new AdapterError(error.kind, `error parsing TTL: ${error.message}`) : error;
  }
}
