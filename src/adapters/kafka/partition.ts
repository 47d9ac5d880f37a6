// What was fetched of one partition and waits for the app: one message after the other, or batches (components-contrib/common/component/kafka/consumer.go).
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { dataOf, metadataOf, type StoredRecord } from './record.ts';
import { withRetries } from '../retry-policy.ts';
import type { KafkaSettings } from './settings.ts';

export interface KafkaEvent {
  data: Uint8Array;
  metadata: Record<string, string>;
}
/** What happens with the messages of a topic: each alone, or several together, with an id each. */
export type TopicHandler = {
  /** What the value of a record means; undefined: itself. */
  decode?: ((value: Uint8Array) => Promise<Uint8Array>) | undefined;
} & (
  | { deliver(event: KafkaEvent): Promise<void> }
  | { max: number; waitMs: number; deliverAll(entries: ({ entryId: string } & KafkaEvent)[]): Promise<ReadonlyMap<string, unknown>> }
);

export interface Partition {
  /** Adds what was fetched; false: enough for now, call `whenRoom` first. */
  push(records: readonly StoredRecord[]): boolean;
  /** Called once when there is room again. */
  whenRoom(call: () => void): void;
  /** Offset after the last message that was processed, where that has not been told yet. */
  toCommit(): string | undefined;
  committed(offset: string): void;
  /** Fetched again from the last committed offset: what waits is dropped, what was begun is not begun twice. */
  restart(): void;
  /** Begins nothing more and resolves when nothing runs. What is not processed yet stays so. */
  close(): Promise<void>;
}

export function createPartition(topic: string, partition: number, handler: TopicHandler, settings: KafkaSettings, log: Logger): Partition {
  const closing = new AbortController();
  const { signal } = closing;
  const { ahead, retry } = settings;
  let queue: StoredRecord[] = [];
  /** Nothing below was not begun. */
  let begun = -1n;
  let next: bigint | undefined, told: bigint | undefined;
  let room: (() => void) | undefined;
  let running = false;
  let idle: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = false;

  const { decode } = handler;
  const eventOf = (record: StoredRecord): KafkaEvent | Promise<KafkaEvent> => {
    const metadata = metadataOf(record, settings);
    if (decode === undefined || record.value === null) return { data: dataOf(record), metadata };
    return decode(record.value).then((data) => ({ data, metadata }));
  };
  const name = ({ offset, key }: StoredRecord) => `${topic}/${partition}/${offset} [key=${key === null ? '' : btoa(String.fromCharCode(...key.subarray(0, 1000)))}]`;
  const mark = ({ offset }: StoredRecord): void => {
    const after = BigInt(offset) + 1n;
    if (next === undefined || after > next) next = after;
  };

  const deliverOne = async (record: StoredRecord, deliver: (event: KafkaEvent) => Promise<void>): Promise<void> => {
    try {
      await withRetries(
        retry, signal,
        async () => deliver(await eventOf(record)),
        (error) => log.warn(`Error processing Kafka message: ${name(record)}. Error: ${textOf(error)}. Retrying...`),
        () => log.info(`Successfully processed Kafka message after it previously failed: ${name(record)}`),
      );
      mark(record);
    } catch (error) {
      if (!signal.aborted) log.error(`${retry === undefined ? 'Error' : 'Too many failed attempts at'} processing Kafka message: ${name(record)}. Error: ${textOf(error)}.`);
    }
  };
  const deliverSeveral = async (records: readonly StoredRecord[], deliverAll: (entries: ({ entryId: string } & KafkaEvent)[]) => Promise<ReadonlyMap<string, unknown>>): Promise<void> => {
    let open = records.map((record, i) => ({ entryId: String(i), record }));
    try {
      await withRetries(
        retry, signal,
        async () => {
          const failed = new Map<string, unknown>();
          const decoded = await Promise.all(open.map(async ({ entryId, record }) => {
            try {
              return [{ entryId, ...(await eventOf(record)) }];
            } catch (error) {
              failed.set(entryId, error);
              return [];
            }
          }));
          const entries = decoded.flat();
          if (entries.length > 0) for (const [entryId, error] of await deliverAll(entries)) failed.set(entryId, error);
          open = open.filter(({ entryId }) => failed.has(entryId));
          if (open.length > 0) throw [...failed.values()][0];
        },
        (error) => log.warn(`Error processing Kafka bulk messages: ${topic}. Error: ${textOf(error)}. Retrying...`),
        () => log.info(`Successfully processed Kafka message after it previously failed: ${topic}`),
      );
    } catch (error) {
      if (!signal.aborted) log.error(`${retry === undefined ? 'Error' : 'Too many failed attempts at'} processing Kafka message: ${topic}. Error: ${textOf(error)}.`);
    }
    const end = open.length === 0 ? records.length : records.indexOf((open[0] as { record: StoredRecord }).record);
    if (end > 0) mark(records[end - 1] as StoredRecord);
  };
  const take = (count: number): StoredRecord[] => {
    const taken = queue.splice(0, count);
    const last = taken.at(-1);
    if (last !== undefined) begun = BigInt(last.offset);
    if (room !== undefined && queue.length < ahead / 2) {
      const call = room;
      room = undefined;
      call();
    }
    return taken;
  };
  const step = (): Promise<void> | undefined => {
    if (signal.aborted || queue.length === 0) return undefined;
    if ('deliver' in handler) return deliverOne(take(1)[0] as StoredRecord, handler.deliver);
    const full = queue.length >= handler.max || queue.length >= ahead;
    if (!full && !due) {
      timer ??= setTimeout(() => {
        timer = undefined;
        due = true;
        void work();
      }, handler.waitMs);
      return undefined;
    }
    clearTimeout(timer);
    timer = undefined;
    due = false;
    return deliverSeveral(take(handler.max), handler.deliverAll);
  };
  const work = async (): Promise<void> => {
    if (running) return;
    running = true;
    for (let working = step(); working !== undefined; working = step()) await working;
    running = false;
    idle?.();
  };

  return {
    push: (records) => {
      if (signal.aborted) return true;
      for (const record of records) if (BigInt(record.offset) > begun) queue.push(record);
      void work();
      return queue.length < ahead;
    },
    whenRoom: (call) => {
      if (queue.length < ahead / 2) call();
      else room = call;
    },
    toCommit: () => (next !== undefined && next !== told ? String(next) : undefined),
    committed: (offset) => { told = BigInt(offset); },
    restart: () => {
      queue = [];
      room = undefined;
      told = undefined;
    },
    close: async () => {
      closing.abort();
      clearTimeout(timer);
      queue = [];
      room = undefined;
      if (running) await new Promise<void>((resolve) => { idle = resolve; });
    },
  };
}
