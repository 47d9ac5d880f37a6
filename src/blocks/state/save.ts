// Saving many values at once, and again what failed of them under a policy (Dapr: pkg/components/state/bulk.go PerformBulkStoreOperation).
import type { CallContext } from '../../core/context.ts';
import { AdapterError, etagInvalid, etagMismatch, textOf } from '../../core/errors.ts';
import { Final } from '../resiliency/failures.ts';
import type { Policy } from '../resiliency/policy.ts';
import { eachOf } from './each.ts';
import type { SetRequest, StateStore } from './port.ts';

/** Concurrency control refused the write: another try would be refused as well. */
export const isRefusal = (error: unknown): error is AdapterError => error instanceof AdapterError && (error.kind === 'etagMismatch' || error.kind === 'etagInvalid');

interface Failure {
  request: SetRequest;
  error: unknown;
}

/** Rejects with one error for all. Under a policy each try has the values that failed before, without those the store refused. */
export async function saveAll(port: StateStore, requests: readonly SetRequest[], maxParallel: number, policy: Policy | undefined, context: CallContext): Promise<void> {
  const several = requests.length > 1;
  if (policy === undefined) return fulfilled(await write(port, requests, maxParallel, context), several);
  let pending = requests;
  const refused: Failure[] = [];
  await policy.run(context, async (limited, attempt) => {
    const failures = await write(port, pending, maxParallel, limited);
    // the next try has begun, or nobody waits any more
    if (attempt.late) return;
    const again = failures.filter(({ error }) => !isRefusal(error));
    refused.push(...failures.filter(({ error }) => isRefusal(error)));
    if (again.length > 0) {
      pending = again.map(({ request }) => request);
      fulfilled([...refused, ...again], several);
    }
    try {
      fulfilled(refused, several);
    } catch (error) {
      throw new Final(error);
    }
  });
}

/** What failed. A store with a way of its own for many fails as a whole. */
async function write(port: StateStore, requests: readonly SetRequest[], maxParallel: number, context: CallContext): Promise<Failure[]> {
  const failures: Failure[] = [];
  if (requests.length > 1 && port.bulkSet) {
    try {
      await port.bulkSet([...requests], context);
    } catch (error) {
      for (const request of isRefusal(error) ? requests.slice(0, 1) : requests) failures.push({ request, error });
    }
    return failures;
  }
  await eachOf(requests.length, maxParallel, async (i) => {
    const request = requests[i] as SetRequest;
    try {
      await port.set(request, context);
    } catch (error) {
      failures.push({ request, error });
    }
  });
  return failures;
}

/** Throws one error when some failed: etag trouble first (as Dapr reports a mix), texts joined by line breaks. Nothing but etag trouble among several values is said to be so twice. */
function fulfilled(failures: readonly Failure[], several: boolean): void {
  const errors = [...new Set(failures.map(({ error }) => error))];
  if (errors.length === 0) return;
  if (several && errors.every(isRefusal)) throw (errors.some(({ kind }) => kind === 'etagInvalid') ? etagInvalid : etagMismatch)(errors.map(textOf).join('\n'));
  if (errors.length === 1) throw errors[0];
  const kinds = errors.map((e) => (e instanceof AdapterError ? e.kind : undefined));
  const kind = kinds.includes('etagInvalid') ? 'etagInvalid' : kinds.includes('etagMismatch') ? 'etagMismatch' : 'internal';
  throw new AdapterError(kind, errors.map(textOf).join('\n'), errors[0]);
}
