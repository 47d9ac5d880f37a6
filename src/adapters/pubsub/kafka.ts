// pubsub.kafka: messages in the topics of Apache Kafka (components-contrib/pubsub/kafka/kafka.go).
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { openKafka } from '../kafka/connection.ts';
import { decoderFor } from '../kafka/schema-registry.ts';
import { kafkaSchema, settingsOf } from '../kafka/settings.ts';

export default definePubSub({
  type: 'pubsub.kafka',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['BULK_PUBSUB'],
  summary: 'Topics of Apache Kafka, with consumer groups.',
  metadata: kafkaSchema,
  open: async (metadata, { host, log, properties }) => {
    const settings = settingsOf(metadata, properties, log, true);
    const { client, group, avro, publish, close } = await openKafka(settings, host, log);
    let closed = false;
    const checkOpen = () => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
    };

    return {
      publish: async ({ topic, data, metadata: wanted = {} }) => {
        checkOpen();
        await publish(topic, [{ data, metadata: wanted }]);
      },
      bulkPublish: async ({ topic, entries, metadata: wanted }) => {
        checkOpen();
        // What the request says wins here.
        await publish(topic, entries.map(({ data, metadata }) => ({ data, metadata: { ...metadata, ...wanted } })));
        return new Map();
      },
      subscribe: async ({ topic, metadata: wanted }, handler) => {
        checkOpen();
        return group.add([topic], { decode: decoderFor(avro, wanted), deliver: ({ data, metadata }) => handler({ topic, data, metadata }, background) });
      },
      bulkSubscribe: async ({ topic, metadata: wanted, maxMessagesCount, maxAwaitDurationMs }, handler) => {
        checkOpen();
        return group.add([topic], { decode: decoderFor(avro, wanted), max: maxMessagesCount > 0 ? maxMessagesCount : 80, waitMs: maxAwaitDurationMs > 0 ? maxAwaitDurationMs : 10_000, deliverAll: (entries) => handler({ topic, entries, metadata: {} }, background) });
      },
      ping: async () => {
        checkOpen();
        const admin = client.admin();
        try {
          await admin.connect();
          await admin.describeCluster();
        } catch (error) {
          throw new AdapterError('unavailable', `kafka health check: ${textOf(error)}`, error);
        } finally {
          await admin.disconnect().catch(() => undefined);
        }
      },
      close: async () => {
        closed = true;
        await close();
      },
    };
  },
});
