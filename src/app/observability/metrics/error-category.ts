// The category of an error in dapr_error_code_total (dapr/pkg/messages/errorcodes): the API it belongs to, told by our name for its row.
import { rows } from '../../../core/errors.ts';

const categories: readonly (readonly [prefix: string, category: string])[] = [
  ['actor', 'actor'], ['workflow', 'workflow'], ['state', 'state'], ['configuration', 'configuration'], ['crypto', 'crypto'], ['secret', 'secret'],
  ['pubsub', 'pubsub'], ['outbox', 'pubsub'], ['conversation', 'conversation'], ['invoke', 'service-invocation'], ['binding', 'binding'],
  ['lock', 'lock'], ['tryLock', 'lock'], ['unlock', 'lock'], ['job', 'job'], ['scheduler', 'job'], ['health', 'health'], ['outbound', 'health'],
];

/** By row; one that every API shares is `common`, and what has no code of Dapr's is not there. */
export function errorCategories(): Map<object, string> {
  const found = new Map<object, string>();
  for (const [name, row] of Object.entries(rows)) {
    const shared = row.code === 'ERR_MALFORMED_REQUEST' && row.reason === undefined;
    if (row !== rows.unknown) found.set(row, shared ? 'common' : (categories.find(([prefix]) => name.startsWith(prefix))?.[1] ?? 'common'));
  }
  return found;
}
