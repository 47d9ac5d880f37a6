// pubsub.kafka: messages in the topics of Apache Kafka (components-contrib/pubsub/kafka/kafka.go).
import { definePubSub } from '../../blocks/pubsub/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { createClient } from '../kafka/client.ts';
import { createGroup } from '../kafka/group.ts';
import { createPublisher } from '../kafka/publisher.ts';
import { recordOf } from '../kafka/record.ts';
import { createAvroMessages, decoderFor, valueToSend } from '../kafka/schema-registry.ts';
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
    const client = await createClient(settings, host, log);
    const publisher = await createPublisher(client, settings);
    await publisher.connect().catch((error) => { throw new AdapterError('unavailable', `failed to get latest Kafka clients for initialization: ${textOf(error)}`, error); });
    const avro = settings.registry && createAvroMessages(settings.registry, host.http, log);
    const group = createGroup(client, settings, log);
    let closed = false;
    const checkOpen = () => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
    };

    return {
      publish: async ({ topic, data, metadata: wanted = {} }) => {
        checkOpen();
        const value = valueToSend(avro, topic, data, wanted);
        // without a schema at once: what is published together goes together
        await publisher.send(topic, [recordOf(value instanceof Promise ? await value : value, wanted, settings.exclude)]);
      },
      bulkPublish: async ({ topic, entries, metadata: wanted }) => {
        checkOpen();
        // What the request says wins here.
        const metadata = entries.map((entry) => ({ ...entry.metadata, ...wanted }));
        const values = await Promise.all(entries.map(({ data }, i) => valueToSend(avro, topic, data, metadata[i] as Record<string, string>)));
        await publisher.send(topic, values.map((value, i) => recordOf(value, metadata[i] as Record<string, string>, settings.exclude)));
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
        await group.close();
        await publisher.close();
      },
    };
  },
});
