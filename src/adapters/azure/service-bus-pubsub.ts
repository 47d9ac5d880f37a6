// Pub/sub on Azure Service Bus, as its two components share it: what is published, what is delivered.
import type { ServiceBusReceiver } from '@azure/service-bus';
import type { ComponentContext } from '../../blocks/components/definition.ts';
import type { PubSub } from '../../blocks/pubsub/port.ts';
import { AdapterError } from '../../core/errors.ts';
import { openServiceBus, type ServiceBus } from './service-bus-client.ts';
import { bytesOf, metadataOf, toServiceBus } from './service-bus-message.ts';
import { startServiceBusReader } from './service-bus-reader.ts';
import { checkServiceBus, type ServiceBusSettings } from './service-bus-settings.ts';

export interface ServiceBusKind<S> {
  /** What the log calls it. */
  name: 'topic' | 'queue';
  /** Makes what publishing needs. */
  prepare(bus: ServiceBus, topic: string): Promise<void>;
  /** Makes what is read, and opens it. */
  receiver(bus: ServiceBus, topic: string, settings: S, consumerID: string): Promise<ServiceBusReceiver>;
}

const usualBatchBytes = 131_072;

export async function openServiceBusPubSub<S extends ServiceBusSettings>(kind: ServiceBusKind<S>, given: S, { host, log, appId, properties }: ComponentContext): Promise<PubSub> {
  const settings = checkServiceBus(given, properties, log);
  const bus = await openServiceBus(settings, host, log);
  const consumerID = (properties.consumerID ?? '').trim() || appId;
  const readers = new Set<{ close(): Promise<void> }>();
  let closed = false;
  const alive = () => {
    if (closed) throw new AdapterError('invalid', 'component is closed');
  };
  const prepareFor = (topic: string) => () => kind.prepare(bus, topic);
  return {
    publish: async ({ topic, data, metadata = {} }, { signal }) => {
      alive();
      await bus.send(topic, toServiceBus(data, metadata), prepareFor(topic), signal);
    },
    bulkPublish: async ({ topic, entries, metadata }) => {
      alive();
      if (entries.length === 0) return new Map();
      const most = Number(metadata.maxBulkPubBytes);
      const messages = entries.map((entry) => toServiceBus(entry.data, entry.metadata ?? {}, entry.contentType ?? ''));
      await bus.sendBatch(topic, messages, prepareFor(topic), Number.isSafeInteger(most) && most > 0 ? most : usualBatchBytes);
      return new Map();
    },
    subscribe: async ({ topic, metadata }, handler) => {
      alive();
      if (kind.name === 'topic' && /^(y|yes|true|t|on|1)$/i.test((metadata.requireSessions ?? '').trim())) throw new AdapterError('invalid', 'requireSessions is not supported yet');
      const receiver = await kind.receiver(bus, topic, settings, consumerID);
      const reader = startServiceBusReader({
        receiver, settings, log,
        entity: `${kind.name} ${topic}`,
        handle: (message, context) => handler({ topic, data: bytesOf(message), metadata: metadataOf(message) }, context),
      });
      readers.add(reader);
      return {
        close: async () => {
          readers.delete(reader);
          await reader.close();
        },
      };
    },
    close: async () => {
      closed = true;
      await Promise.all([...readers].map((reader) => reader.close()));
      await bus.close();
    },
  };
}
