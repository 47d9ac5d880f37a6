// bindings.azure.eventhubs: events to and from one Azure Event Hub (components-contrib/bindings/azure/eventhubs).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { openEventHubs } from '../azure/event-hubs-client.ts';
import { bytesOf, metadataOf } from '../azure/event-hubs-event.ts';
import { startEventHubReader } from '../azure/event-hubs-reader.ts';
import { eventHubsAddress, eventHubsBindingMetadata, missingForReading } from '../azure/event-hubs-settings.ts';
import { retryPolicy } from '../retry-policy.ts';
import { createOpenReaders } from '../open-readers.ts';

export default defineBinding({
  type: 'bindings.azure.eventhubs',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Sends events to an Azure Event Hub and reads them, with checkpoints in Azure Blob Storage. Tested against a contract server of its protocol, not the service.',
  metadata: eventHubsBindingMetadata,
  open: async (settings, { host, log }) => {
    const address = eventHubsAddress(settings, log, settings.eventHub);
    const { hub } = address;
    const retry = retryPolicy(settings);
    const hubs = await openEventHubs(settings, address, host, log);
    const readers = createOpenReaders();
    return {
      operations: ['create'],
      invoke: async ({ data, metadata: { partitionKey, contentType } }, { signal }) => {
        await hubs.publish(hub, [{ body: data, messageId: crypto.randomUUID(), ...(contentType ? { contentType } : {}) }], partitionKey ? { partitionKey } : {}, signal);
        return null;
      },
      read: async (handler) => {
        const group = settings.consumerGroup || settings.consumerID;
        const missing = missingForReading(settings, group);
        if (missing !== undefined) throw new Error(missing);
        const reader = await startEventHubReader({
          hubs, hub, group, retry, log,
          ordered: settings.enableInOrderMessageDelivery,
          bulk: { size: 1, waitMs: 0 },
          checkpointEvery: 1,
          handle: async ([event]) => {
            if (event !== undefined) await handler({ data: bytesOf(event), metadata: metadataOf(event, settings.getAllMessageProperties) }, background);
          },
        });
        return readers.keep(reader);
      },
      close: async () => {
        await readers.close();
        await hubs.close();
      },
    };
  },
});
