// pubsub.azure.eventhubs: a topic is an Azure Event Hub, read by consumer group with checkpoints in blobs (components-contrib/pubsub/azure/eventhubs).
import { type BulkMessageEntry, definePubSub, type SubscribeRequest, type Subscription } from '../../blocks/pubsub/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError } from '../../core/errors.ts';
import { isTruthy } from '../../core/metadata.ts';
import { openEventHubs } from '../azure/event-hubs-client.ts';
import { bytesOf, metadataOf } from '../azure/event-hubs-event.ts';
import { type EventHubReaderOptions, startEventHubReader } from '../azure/event-hubs-reader.ts';
import { eventHubsAddress, eventHubsMetadata, missingForReading } from '../azure/event-hubs-settings.ts';
import { retryPolicy } from '../retry-policy.ts';
import { createOpenReaders } from '../open-readers.ts';

const usual = { count: 100, awaitMs: 10_000 };

export default definePubSub({
  type: 'pubsub.azure.eventhubs',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['BULK_PUBSUB'],
  summary: 'Azure Event Hubs: each topic is an Event Hub, with checkpoints in Azure Blob Storage. Tested against a contract server of its protocol, not the service.',
  metadata: eventHubsMetadata,
  open: async (settings, { host, log, appId }) => {
    const address = eventHubsAddress(settings, log);
    const retry = retryPolicy(settings);
    const hubs = await openEventHubs(settings, address, host, log);
    const group = settings.consumerGroup || settings.consumerID.trim() || appId;
    const readers = createOpenReaders();
    let closed = false;
    const alive = () => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
    };
    const event = (data: Uint8Array, contentType: string | undefined) => ({ body: data, messageId: crypto.randomUUID(), ...(contentType ? { contentType } : {}) });
    const subscribe = async ({ topic, metadata }: SubscribeRequest, options: Pick<EventHubReaderOptions, 'bulk' | 'handle'>): Promise<Subscription> => {
      alive();
      const missing = missingForReading(settings, group);
      if (missing !== undefined) throw new AdapterError('invalid', missing);
      const every = Number(metadata.checkPointFrequencyPerPartition);
      const reader = await startEventHubReader({ ...options, hubs, hub: topic, group, retry, log, ordered: settings.enableInOrderMessageDelivery, checkpointEvery: Number.isSafeInteger(every) && metadata.checkPointFrequencyPerPartition !== '' && every >= 0 ? every : 1 });
      return readers.keep(reader);
    };
    const withProperties = ({ metadata }: SubscribeRequest) => isTruthy(metadata.requireAllProperties) || settings.getAllMessageProperties;
    return {
      publish: async ({ topic, data, contentType, metadata }, { signal }) => {
        alive();
        const partitionKey = metadata?.partitionKey;
        await hubs.publish(topic, [event(data, contentType)], partitionKey ? { partitionKey } : {}, signal);
      },
      bulkPublish: async ({ topic, entries, metadata }, { signal }) => {
        alive();
        const keys = new Set(entries.flatMap((entry) => entry.metadata?.partitionKey || []));
        if (keys.size > 1) throw new AdapterError('invalid', 'cannot send messages to different partitions');
        const [partitionKey] = keys;
        const maxBytes = /^\d+$/.test(metadata.maxBulkPubBytes ?? '') ? Number(metadata.maxBulkPubBytes) : 0;
        await hubs.publish(topic, entries.map((entry) => event(entry.data, entry.contentType)), { ...(partitionKey === undefined ? {} : { partitionKey }), maxBytes }, signal);
        return new Map();
      },
      subscribe: (request, handler) =>
        subscribe(request, {
          bulk: { size: 1, waitMs: 0 },
          handle: async ([one]) => {
            if (one !== undefined) await handler({ topic: request.topic, data: bytesOf(one), metadata: metadataOf(one, withProperties(request)) }, background);
          },
        }),
      bulkSubscribe: (request, handler) =>
        subscribe(request, {
          bulk: { size: request.maxMessagesCount || usual.count, waitMs: request.maxAwaitDurationMs || usual.awaitMs },
          handle: async (events) => {
            const entries = events.map((one): BulkMessageEntry => ({ entryId: crypto.randomUUID(), data: bytesOf(one), metadata: metadataOf(one, withProperties(request)) }));
            const failures = await handler({ topic: request.topic, entries, metadata: {} }, background);
            // The service takes no refusals: all of them are tried again together, as in daprd.
            for (const why of failures.values()) throw why;
          },
        }),
      close: async () => {
        closed = true;
        await readers.close();
        await hubs.close();
      },
    };
  },
});
