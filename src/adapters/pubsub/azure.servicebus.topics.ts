// pubsub.azure.servicebus.topics: Azure Service Bus topics with one subscription for each app (components-contrib/pubsub/azure/servicebus/topics).
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { openServiceBusPubSub } from '../azure/service-bus-pubsub.ts';
import { topicsMetadata } from '../azure/service-bus-settings.ts';

/** Locks are renewed by our own rules. */
const options = { receiveMode: 'peekLock', skipParsingBodyAsJson: true, maxAutoLockRenewalDurationInMs: 0 } as const;

export default definePubSub({
  type: 'pubsub.azure.servicebus.topics',
  aliases: ['pubsub.azure.servicebus'],
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['MESSAGE_TTL', 'BULK_PUBSUB'],
  summary: 'Azure Service Bus topics, with one subscription for each app. `requireSessions` in the metadata of a subscription reads sessions. Tested against a contract server of its protocol, not the service.',
  metadata: topicsMetadata,
  open: (settings, context) =>
    openServiceBusPubSub(
      {
        name: 'topic',
        prepare: async ({ entities }, topic) => entities?.topic(topic),
        receiver: async ({ client, entities }, topic, _, consumerID) => {
          await entities?.subscription(consumerID, topic, false);
          return client.createReceiver(topic, consumerID, options);
        },
        sessions: async ({ client, entities }, topic, consumerID) => {
          await entities?.subscription(consumerID, topic, true);
          return (abortSignal) => client.acceptNextSession(topic, consumerID, { ...options, abortSignal });
        },
      },
      settings,
      context,
    ),
});
