// Publishing many entries: so many at once, and under a policy again what failed of them (dapr/pkg/runtime/pubsub/bulkpublish_resiliency.go, default_bulkpub.go).
import type { CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { AttemptEnded, BreakerRefusal } from '../resiliency/failures.ts';
import type { Policy } from '../resiliency/policy.ts';
import { CarriedMessage } from './payload.ts';
import type { BulkMessageEntry, PubSub } from './port.ts';
import { type StatusFamily, withStatus } from './publish-status.ts';

export interface BulkFailures {
  failed: { entryId: string; error: string }[];
  /** What the whole request failed with; undefined where nothing failed. */
  error: unknown;
}

const bulkAtOnce = 100;

/** Never rejects. */
export async function publishAll(port: PubSub, topic: string, entries: readonly BulkMessageEntry[], { maxParallel, policy, family }: { maxParallel: number; policy: Policy | undefined; family: StatusFamily }, context: CallContext): Promise<BulkFailures> {
  if (policy === undefined) return publishOnce(port, topic, entries, maxParallel, context);
  let pending = entries;
  let last: BulkFailures | undefined;
  try {
    await policy.run(context, async (limited, attempt) => {
      const outcome = await publishOnce(port, topic, pending, maxParallel, limited);
      // these entries are being sent again, or were given up
      if (attempt.late) return;
      last = outcome;
      const ids = new Set(outcome.failed.map(({ entryId }) => entryId));
      pending = pending.filter(({ entryId }) => ids.has(entryId));
      if (pending.length > 0) throw withStatus(outcome.error, family);
    });
    return { failed: [], error: undefined };
  } catch (error) {
    const isPolicys = error instanceof AttemptEnded || error instanceof BreakerRefusal;
    if (last !== undefined && !isPolicys) return last;
    return { failed: pending.map(({ entryId }) => ({ entryId, error: textOf(error) })), error };
  }
}

async function publishOnce(port: PubSub, topic: string, entries: readonly BulkMessageEntry[], maxParallel: number, context: CallContext): Promise<BulkFailures> {
  const failed: BulkFailures['failed'] = [];
  let first: unknown;
  if (port.bulkPublish) {
    try {
      for (const [entryId, error] of await port.bulkPublish({ topic, entries: [...entries], metadata: {} }, context)) {
        if (failed.length === 0) first = error;
        failed.push({ entryId, error: textOf(error) });
      }
      return { failed, error: first };
    } catch (error) {
      return { failed: entries.map(({ entryId }) => ({ entryId, error: textOf(error) })), error };
    }
  }
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i] as BulkMessageEntry;
      const { entryId } = entry;
      try {
        await port.publish(new CarriedMessage(topic, entry.metadata, entry, entry.contentType), context);
      } catch (error) {
        if (failed.length === 0) first = error;
        failed.push({ entryId, error: textOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(entries.length, bulkAtOnce, maxParallel) }, worker));
  return { failed, error: first };
}
