// One subscription to an Azure Event Hub: its share of the partitions, each in a lane of its own (upstream: Subscribe and processEvents in common/component/azure/eventhubs/eventhubs.go).
import type { EventHubConsumerClient, EventPosition, PartitionContext, ReceivedEventData } from '@azure/event-hubs';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { type RetryPolicy, withRetries } from '../retry-policy.ts';
import type { Checkpoints } from './event-hubs-checkpoints.ts';
import type { Consumer, EventHubs } from './event-hubs-client.ts';
import { createLane, type Lane } from './event-hubs-lane.ts';

export interface EventHubReaderOptions {
  hubs: EventHubs;
  hub: string;
  group: string;
  /** Events of one partition one after the other. */
  ordered: boolean;
  /** How many go to the app together, and how long they wait for one another. */
  bulk: { size: number; waitMs: number };
  /** Every how many of these the place is written down; 0: never. */
  checkpointEvery: number;
  retry: RetryPolicy;
  log: Logger;
  /** Rejects where the app refused them. */
  handle(events: readonly ReceivedEventData[]): Promise<void>;
}

/** `gone`: the partition is somebody else's. */
type OwnLane = Lane<ReceivedEventData> & { gone: AbortController };

/** Events (or groups of them) of one partition at the app at once, where their order does not matter. */
const atOnce = 100;
const batchSize = 100;
/** The library looks after a lost connection only when this is over. */
const maxWaitSeconds = 3;
const againMs = 5000;
/** So long a subscription waits to be in place; it is tried on for ever. */
const startMs = 10_000;
const looksAtOnce = 8;

/** Resolves when what is published from now on will be read, or after 10 s where the service or the storage account cannot be reached. */
export async function startEventHubReader(options: EventHubReaderOptions): Promise<{ close(): Promise<void> }> {
  const { hubs, hub, group, log } = options;
  const stop = new AbortController();
  const { signal } = stop;
  let reading: { close(): Promise<void> } | undefined;
  const run = async () => {
    while (!signal.aborted) {
      try {
        const opened = await open(options, await hubs.consumer(hub, group), signal);
        reading = opened;
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.error(`error trying to establish a connection: ${textOf(error)}`);
        await pause(againMs, signal);
      }
    }
  };
  const running = run();
  await Promise.race([running, pause(startMs, signal)]);
  return {
    close: async () => {
      stop.abort();
      await running;
      await reading?.close();
    },
  };
}

async function open({ hub, ordered, bulk, checkpointEvery, retry, log, handle }: EventHubReaderOptions, { client, checkpoints }: Consumer, signal: AbortSignal): Promise<{ close(): Promise<void> }> {
  const lanes = new Map<string, OwnLane>();
  const laneOf = (context: PartitionContext): OwnLane => {
    const { partitionId } = context;
    const known = lanes.get(partitionId);
    if (known !== undefined) return known;
    const gone = new AbortController();
    const left = AbortSignal.any([signal, gone.signal]);
    const lane = createLane<ReceivedEventData>({
      atOnce: ordered ? 1 : atOnce,
      group: bulk,
      every: checkpointEvery,
      handle: async (events) => {
        try {
          await withRetries(
            retry, left,
            () => handle(events),
            (error) => log.warn(`Error processing EventHubs events for topic ${hub}. Error: ${textOf(error)}. Retrying...`),
            () => log.warn(`Successfully processed EventHubs events after it previously failed for topic ${hub}`),
          );
          return true;
        } catch (error) {
          // The service knows no refusal: what the app does not take after all tries is passed over. Where the reading ends it comes again.
          if (left.aborted) return false;
          log.error(`Too many failed attempts at processing Eventhubs events for topic ${hub}. Error: ${textOf(error)}`);
          return true;
        }
      },
      checkpoint: (event) => context.updateCheckpoint(event).catch((error) => log.warn(`failed to update checkpoint of partition ${partitionId} of ${hub}: ${textOf(error)}`)),
    });
    const made = { ...lane, gone };
    lanes.set(partitionId, made);
    return made;
  };
  try {
    const startPosition = await beginnings(client, checkpointEvery > 0 ? checkpoints : undefined, signal);
    const subscription = client.subscribe(
      {
        processEvents: (events, context) => laneOf(context).take(events),
        processClose: async (reason, { partitionId }) => {
          const lane = lanes.get(partitionId);
          lanes.delete(partitionId);
          // Whoever has it now gets these events as well: no more tries here.
          if (reason === 'OwnershipLost') lane?.gone.abort();
          await lane?.end(reason === 'OwnershipLost');
          // The library gave up on an error it takes for final, such as a name that is not found. Without an owner the partition is taken up again in the next round, else only when the ownership is over.
          if (reason !== 'OwnershipLost' && !signal.aborted) await giveBack(client, checkpoints, partitionId).catch((error) => log.warn(`could not give back partition ${partitionId} of ${hub}: ${textOf(error)}`));
        },
        processError: async (error, { partitionId }) => {
          if ((error as { code?: string }).code === 'ReceiverDisconnectedError') log.debug(`Client lost ownership of partition ${partitionId} for topic ${hub}`);
          else log.error(`Error from event processor${partitionId === '' ? '' : ` of partition ${partitionId}`}: ${said(error)}`);
        },
      },
      { maxBatchSize: Math.max(batchSize, bulk.size), maxWaitTimeInSeconds: maxWaitSeconds, skipParsingBodyAsJson: true, ...(Object.keys(startPosition).length === 0 ? {} : { startPosition }) },
    );
    return {
      close: async () => {
        // Nothing begins any more, however long the library takes to stop.
        await Promise.all([...lanes.values()].map((lane) => lane.end(false)));
        await subscription.close().catch((error) => log.warn(`Error closing the subscription to ${hub}: ${textOf(error)}`));
        await client.close().catch(() => undefined); // its connection may be gone
      },
    };
  } catch (error) {
    await client.close().catch(() => undefined);
    throw error;
  }
}

/** A connection that failed on all addresses of a name has nothing to say by itself. */
function said(error: Error): string {
  const { errors = [], code } = error as { errors?: unknown[]; code?: string };
  return textOf(error) || errors.map(textOf).join('; ') || code || error.name;
}

async function giveBack({ identifier }: EventHubConsumerClient, checkpoints: Checkpoints, partitionId: string): Promise<void> {
  const own = (await checkpoints.listOwnership('', '', '')).filter((one) => one.partitionId === partitionId && one.ownerId === identifier);
  await checkpoints.claimOwnership(own.map((one) => ({ ...one, ownerId: '' })));
}

/**
 * A partition without a checkpoint is read from where it ends now, and that is written down: what comes from now on is not lost when
 * nobody gets to the first checkpoint. "Latest" would be wherever it ends when the link opens, and again after each lost connection.
 */
async function beginnings(client: EventHubConsumerClient, checkpoints: Checkpoints | undefined, signal: AbortSignal): Promise<Record<string, EventPosition>> {
  const known = new Set((await checkpoints?.listCheckpoints('', '', ''))?.map(({ partitionId }) => partitionId));
  const left = (await client.getPartitionIds({ abortSignal: signal })).filter((id) => !known.has(id));
  const ends: Record<string, EventPosition> = {};
  const worker = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const { lastEnqueuedOffset, lastEnqueuedSequenceNumber } = await client.getPartitionProperties(id, { abortSignal: signal });
      const offset = String(lastEnqueuedOffset);
      await checkpoints?.begin(id, offset, lastEnqueuedSequenceNumber);
      ends[id] = { offset };
    }
  };
  await Promise.all(Array.from({ length: looksAtOnce }, worker));
  return ends;
}
