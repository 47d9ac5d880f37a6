// bindings.azure.servicebus.queues: messages to and from one Azure Service Bus queue (components-contrib/bindings/azure/servicebusqueues).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { openServiceBus } from '../azure/service-bus-client.ts';
import { bytesOf, idText, toServiceBus } from '../azure/service-bus-message.ts';
import { startServiceBusReader } from '../azure/service-bus-reader.ts';
import { bindingMetadata, checkServiceBus } from '../azure/service-bus-settings.ts';

export default defineBinding({
  type: 'bindings.azure.servicebus.queues',
  aliases: ['bindings.azure.servicebusqueues'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Sends messages to an Azure Service Bus queue and receives from it. Tested against a contract server of its protocol, not the service.',
  metadata: bindingMetadata,
  open: async (given, { host, log, properties }) => {
    const settings = checkServiceBus(given, properties, log);
    const { queueName } = settings;
    const bus = await openServiceBus(settings, host, log);
    await bus.entities?.queue(queueName).catch(async (error) => {
      await bus.close();
      throw error;
    });
    return {
      operations: ['create'],
      invoke: async ({ data, metadata }, { signal }) => {
        const message = (() => {
          try {
            return toServiceBus(data, metadata);
          } catch (error) {
            throw new AdapterError('invalid', `failed to create message: ${textOf(error)}`, error);
          }
        })();
        await bus.send(queueName, message, undefined, signal);
        return null;
      },
      read: async (handler) =>
        startServiceBusReader({
          receiver: bus.client.createReceiver(queueName, { receiveMode: 'peekLock', skipParsingBodyAsJson: true, maxAutoLockRenewalDurationInMs: 0 }),
          entity: `queue ${queueName}`,
          settings,
          log,
          handle: async (message, context) => {
            const metadata: Record<string, string> = { id: idText(message.messageId) };
            if (message.correlationId !== undefined) metadata.correlationID = idText(message.correlationId);
            if (message.subject !== undefined) metadata.label = message.subject;
            for (const [name, value] of Object.entries(message.applicationProperties ?? {})) if (typeof value === 'string') metadata[queryEscape(name)] = queryEscape(value);
            await handler({ data: bytesOf(message), metadata }, context);
          },
        }),
      close: () => bus.close(),
    };
  },
});

/** Go's url.QueryEscape: names and values that can be HTTP headers. */
const queryEscape = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll('%20', '+');
