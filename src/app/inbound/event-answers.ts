// What an app's answer to a message, or to a batch of them, means (dapr/pkg/runtime/subscription/postman/http).
import { readBody } from '../../core/body.ts';
import { list, parseFirst, string, struct, textOfBytes } from '../../core/go-json.ts';
import type { HttpResponse } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { DeliveredBatch } from '../../blocks/pubsub/bulk-delivery.ts';
import type { DeliveredEvent, Outcome } from '../../blocks/pubsub/delivery.ts';
import { StatusFailure } from '../../blocks/resiliency/failures.ts';

const appAnswer = struct('pubsub.AppResponse', { status: string });

/** What the app's answer means for the message. Throws where it is to be tried again. */
export async function outcomeOf(response: HttpResponse, { attributes, topic }: DeliveredEvent, log: Logger): Promise<Outcome> {
  const { bytes } = await readBody(response.body);
  const id = String(attributes.id);
  if (response.status >= 200 && response.status <= 299) {
    const status = bytes.length === 0 ? '' : statusOf(bytes);
    if (status === '' || status === 'SUCCESS') return 'done';
    if (status === 'RETRY') throw new Error(`RETRY status returned from app while processing pub/sub event ${id}`);
    if (status !== 'DROP') throw new Error(`unknown status returned from app while processing pub/sub event ${id}, status: ${status}`);
    log.warn(`DROP status returned from app while processing pub/sub event ${id}`);
    return 'dropped';
  }
  const text = textOfBytes(bytes);
  if (response.status === 404) {
    log.error(`non-retriable error returned from app while processing pub/sub event ${id}: ${text}. status code returned: 404`);
    return 'refused';
  }
  throw new StatusFailure(response.status, `retriable error returned from app while processing pub/sub event ${id}, topic: ${topic}, body: ${text}. status code returned: ${response.status}`);
}

/** `status` of a JSON object; whatever else an app answers with a 2xx counts as none. */
function statusOf(body: Uint8Array): string {
  try {
    return appAnswer.read(parseFirst(textOfBytes(body)), '').status;
  } catch {
    return '';
  }
}

/** What apps mostly answer, told without reading it field by field: every entry in its order is a success. */
function areAllDone(bytes: Uint8Array, entries: DeliveredBatch['entries']): boolean {
  let answer: { statuses?: unknown };
  try {
    answer = JSON.parse(textOfBytes(bytes)) as typeof answer;
  } catch {
    return false;
  }
  const statuses = answer?.statuses;
  if (!Array.isArray(statuses) || statuses.length !== entries.length) return false;
  return statuses.every((one: { entryId?: unknown; status?: unknown } | null, i) => one?.status === 'SUCCESS' && one.entryId === entries[i]?.entryId);
}

const bulkAnswer = struct('pubsub.AppBulkResponse', { statuses: list(struct('pubsub.AppBulkResponseEntry', { entryId: string, status: string })) });

/** What became of the entries the app says something about, as a BulkPostman tells it. Throws where all of them are to be tried again. */
export async function outcomesOf(response: HttpResponse, { entries, topic }: DeliveredBatch, log: Logger): Promise<ReadonlyMap<string, Outcome | Error> | 'done'> {
  const { bytes } = await readBody(response.body);
  const outcomes = new Map<string, Outcome | Error>();
  if (response.status === 404) {
    log.error('Non-retriable error returned from app while processing bulk pub/sub event. status code returned: 404');
    for (const { entryId } of entries) outcomes.set(entryId, 'refused');
    return outcomes;
  }
  if (response.status < 200 || response.status > 299) throw new Error(`Retriable error returned from app while processing bulk pub/sub event, topic: ${topic}. status code returned: ${response.status}`);
  if (areAllDone(bytes, entries)) return 'done';
  const sent = new Set(entries.map(({ entryId }) => entryId));
  let statuses: { entryId: string; status: string }[];
  try {
    statuses = bulkAnswer.read(parseFirst(textOfBytes(bytes)), '').statuses;
  } catch (error) {
    throw new Error(`failed unmarshalling app response for bulk subscribe: ${(error as Error).message}`, { cause: error });
  }
  for (const { entryId, status } of statuses) {
    if (!sent.has(entryId)) {
      log.warn(`Invalid entry id received from app while processing pub/sub event ${entryId}`);
      continue;
    }
    if (status === 'SUCCESS') outcomes.set(entryId, 'done');
    else if (status === 'DROP') {
      log.warn(`DROP status returned from app while processing pub/sub event ${entryId}`);
      outcomes.set(entryId, 'dropped');
    } else if (status === '' || status === 'RETRY') outcomes.set(entryId, new Error(`RETRY required while processing bulk subscribe event for entry id: ${entryId}`));
    else outcomes.set(entryId, new Error(`unknown status returned from app while processing bulk subscribe event ${entryId}: ${status}`));
  }
  return outcomes;
}
