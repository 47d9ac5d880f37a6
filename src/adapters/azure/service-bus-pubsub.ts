// Pub/sub on Azure Service Bus, as its two components share it: what is published, what is delivered.
import type { ServiceBusReceivedMessage, ServiceBusReceiver, ServiceBusSessionReceiver } from '@azure/service-bus';
import type { ComponentContext } from '../../blocks/components/definition.ts';
import { subscribeInBatches } from '../../blocks/pubsub/batches.ts';
import type { MessageHandler, PubSub, SubscribeRequest, Subscription } from '../../blocks/pubsub/port.ts';
import type { CallContext } from '../../core/context.ts';
import { AdapterError } from '../../core/errors.ts';
import { openServiceBus, type ServiceBus } from './service-bus-client.ts';
import { bytesOf, metadataOf, toServiceBus } from './service-bus-message.ts';
import { startServiceBusReader } from './service-bus-reader.ts';
import { sessionSettings, startServiceBusSessions } from './service-bus-sessions.ts';
import { checkServiceBus, type ServiceBusSettings } from './service-bus-settings.ts';
import { createOpenReaders } from '../open-readers.ts';

export interface ServiceBusKind<S> {
  /** What the log calls it. */
  name: 'topic' | 'queue';
  /** Makes what publishing needs. */
  prepare(bus: ServiceBus, topic: string): Promise<void>;
  /** Makes what is read, and opens it. */
  receiver(bus: ServiceBus, topic: string, settings: S, consumerID: string): Promise<ServiceBusReceiver>;
  /** Present where sessions can be read: makes what is read, and answers what accepts the next session. */
  sessions?(bus: ServiceBus, topic: string, consumerID: string): Promise<(signal: AbortSignal) => Promise<ServiceBusSessionReceiver>>;
}

const usualBatchBytes = 131_072;
/** Messages of a session handed over together. */
const usualBatch = 100;

export async function openServiceBusPubSub<S extends ServiceBusSettings>(kind: ServiceBusKind<S>, given: S, { host, log, appId, properties }: ComponentContext): Promise<PubSub> {
  const settings = checkServiceBus(given, properties, log);
  const bus = await openServiceBus(settings, host, log);
  const consumerID = (properties.consumerID ?? '').trim() || appId;
  const readers = createOpenReaders();
  let closed = false;
  const alive = () => {
    if (closed) throw new AdapterError('invalid', 'component is closed');
  };
  const prepareFor = (topic: string) => () => kind.prepare(bus, topic);
  const subscribe = async ({ topic, metadata }: SubscribeRequest, handler: MessageHandler): Promise<Subscription> => {
    alive();
    const entity = `${kind.name} ${topic}`;
    const handle = (message: ServiceBusReceivedMessage, context: CallContext) => handler({ topic, data: bytesOf(message), metadata: metadataOf(message) }, context);
    const sessions = kind.sessions && sessionSettings(metadata);
    if (kind.sessions === undefined || sessions === undefined) return readers.keep(startServiceBusReader({ receiver: await kind.receiver(bus, topic, settings, consumerID), settings, log, entity, handle }));
    return readers.keep(startServiceBusSessions({
      ...sessions, settings, log, entity,
      accept: await kind.sessions(bus, topic, consumerID),
      together: 1,
      work: async ([message], context) => {
        if (message !== undefined) await handle(message, context);
        return new Map();
      },
    }));
  };
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
    subscribe,
    bulkSubscribe: async (request, handler) => {
      const { topic, metadata, maxMessagesCount } = request;
      const settingsOf = kind.sessions && sessionSettings(metadata);
      if (kind.sessions === undefined || settingsOf === undefined) return subscribeInBatches({ request, handler, immediate: false, subscribe: (single) => subscribe(request, single) });
      alive();
      return readers.keep(startServiceBusSessions({
        ...settingsOf, settings, log,
        accept: await kind.sessions(bus, topic, consumerID),
        entity: `${kind.name} ${topic}`,
        together: maxMessagesCount || usualBatch,
        work: async (messages, context) => {
          const entries = messages.map((message) => ({ entryId: crypto.randomUUID(), data: bytesOf(message), metadata: metadataOf(message) }));
          const failures = await handler({ topic, entries, metadata: {} }, context);
          return new Map(messages.flatMap((message, i): [ServiceBusReceivedMessage, unknown][] => {
            const { entryId } = entries[i] as { entryId: string };
            return failures.has(entryId) ? [[message, failures.get(entryId)]] : [];
          }));
        },
      }));
    },
    close: async () => {
      closed = true;
      await readers.close();
      await bus.close();
    },
  };
}
