// bindings.kafka: topics of Apache Kafka, read and written (components-contrib/bindings/kafka/kafka.go).
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { AdapterError } from '../../core/errors.ts';
import { openKafka } from '../kafka/connection.ts';
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
    const kafka = await openKafka(settings, host, log);
    let closed = false;

    return {
      operations: ['create'],
      invoke: async ({ data, metadata: wanted }) => {
        if (metadata.publishTopic === '') throw new AdapterError('invalid', 'kafka binding: publishTopic is not set');
        await kafka.publish(metadata.publishTopic, [{ data, metadata: wanted }]);
        return null;
      },
      read: async (handler) => {
        if (closed) throw new AdapterError('invalid', 'error: binding is closed');
        if (topics.length === 0) {
          log.warn('kafka binding: no topic defined, input bindings will not be started');
          return { close: async () => undefined };
        }
        return kafka.group.add(topics, { deliver: async ({ data, metadata: given }) => void (await handler({ data, metadata: given }, background)) });
      },
      close: async () => {
        closed = true;
        await kafka.close();
      },
    };
  },
});
