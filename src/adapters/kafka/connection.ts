// What a Kafka component has open: the publisher, connected, its consumer group, and the schemas of its messages.
import type { Kafka } from 'kafkajs';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { createClient } from './client.ts';
import { createGroup, type Group } from './group.ts';
import { createPublisher } from './publisher.ts';
import { recordOf } from './record.ts';
import { type AvroMessages, createAvroMessages, valueToSend } from './schema-registry.ts';
import type { KafkaSettings } from './settings.ts';

export interface NewMessage {
  data: Uint8Array;
  metadata: Readonly<Record<string, string>>;
}
export interface KafkaConnection {
  client: Kafka;
  group: Group;
  /** Where the component has a schema registry. */
  avro: AvroMessages | undefined;
  /** Resolves when the brokers have them all. Rejects with AdapterError. */
  publish(topic: string, messages: readonly NewMessage[]): Promise<void>;
  close(): Promise<void>;
}

/** Rejects with AdapterError `unavailable` when no broker answers. */
export async function openKafka(settings: KafkaSettings, host: Host, log: Logger): Promise<KafkaConnection> {
  const client = await createClient(settings, host, log);
  const publisher = await createPublisher(client, settings);
  await publisher.connect().catch((error) => { throw new AdapterError('unavailable', `failed to get latest Kafka clients for initialization: ${textOf(error)}`, error); });
  const avro = settings.registry && createAvroMessages(settings.registry, host.http, log);
  const group = createGroup(client, settings, log);
  return {
    client, group, avro,
    publish: async (topic, messages) => {
      const values = messages.map(({ data, metadata }) => valueToSend(avro, topic, data, metadata));
      // Without schemas at once: what is published together goes together.
      const ready = values.some((value) => value instanceof Promise) ? await Promise.all(values) : (values as Uint8Array[]);
      await publisher.send(topic, messages.map(({ metadata }, i) => recordOf(ready[i] as Uint8Array, metadata, settings.exclude)));
    },
    close: async () => {
      await group.close();
      await publisher.close();
    },
  };
}
