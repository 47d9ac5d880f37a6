// pubsub.azure.servicebus.queues: a topic is an Azure Service Bus queue, which all its readers share (components-contrib/pubsub/azure/servicebus/queues).
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { openServiceBusPubSub } from '../azure/service-bus-pubsub.ts';
import { queuesMetadata } from '../azure/service-bus-settings.ts';

export default definePubSub({
  type: 'pubsub.azure.servicebus.queues',
  aliases: ['pubsub.azure.servicebusqueues'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['MESSAGE_TTL', 'BULK_PUBSUB'],
  summary: 'Azure Service Bus queues: each topic is a queue, which all its readers share. Tested against a contract server of its protocol, not the service.',
  metadata: queuesMetadata,
  open: (settings, context) =>
    openServiceBusPubSub(
      {
        name: 'queue',
        prepare: async ({ entities }, queue) => entities?.queue(queue),
        receiver: async ({ client, entities }, queue) => {
          await entities?.queue(queue);
          return client.createReceiver(queue, { receiveMode: 'peekLock', skipParsingBodyAsJson: true, maxAutoLockRenewalDurationInMs: 0 });
        },
      },
      settings,
      context,
    ),
});
