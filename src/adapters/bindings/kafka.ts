// bindings.kafka: topics of Apache Kafka, read and written (components-contrib/bindings/kafka/kafka.go).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { createClient } from '../kafka/client.ts';
import { createGroup } from '../kafka/group.ts';
import { createPublisher } from '../kafka/publisher.ts';
import { recordOf } from '../kafka/record.ts';
import { createAvroMessages, valueToSend } from '../kafka/schema-registry.ts';
import { kafkaBindingSchema, settingsOf } from '../kafka/settings.ts';

export default defineBinding({
  type: 'bindings.kafka',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING', 'OUTPUT_BINDING'],
  summary: 'Topics of Apache Kafka.',
  metadata: kafkaBindingSchema,
  open: async (metadata, { host, log, properties }) => {
    const settings = settingsOf(metadata, properties, log, false);
    const topics = metadata.topics === '' ? [] : metadata.topics.split(',');
    const client = await createClient(settings, host, log);
    const publisher = await createPublisher(client, settings);
    await publisher.connect().catch((error) => { throw new AdapterError('unavailable', `failed to get latest Kafka clients for initialization: ${textOf(error)}`, error); });
    const avro = settings.registry && createAvroMessages(settings.registry, host.http, log);
    const group = createGroup(client, settings, log);
    let closed = false;

    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }) => {
        if (metadata.publishTopic === '') throw new AdapterError('invalid', 'kafka binding: publishTopic is not set');
        const value = valueToSend(avro, metadata.publishTopic, data, wanted);
        await publisher.send(metadata.publishTopic, [recordOf(value instanceof Promise ? await value : value, wanted, settings.exclude)]);
        return null;
      },
      read: async (handler) => {
        if (closed) throw new AdapterError('invalid', 'error: binding is closed');
        if (topics.length === 0) {
          log.warn('kafka binding: no topic defined, input bindings will not be started');
          return { close: async () => undefined };
        }
        return group.add(topics, { deliver: async ({ data, metadata: given }) => void (await handler({ data, metadata: given }, background)) });
      },
      close: async () => {
        closed = true;
        await group.close();
        await publisher.close();
      },
    };
  },
});
