// Publishing to Kafka: what comes while a request for its topic is under way travels together in the next one, in its order.
import type { ICustomPartitioner, Kafka, Message } from 'kafkajs';
import { AdapterError } from '../../core/errors.ts';
import { failure, loadKafka } from './client.ts';
import { choosePartition } from './partitioner.ts';
import { type NewRecord, sizeOf } from './record.ts';
import type { KafkaSettings } from './settings.ts';

export interface Publisher {
  /** Connects; rejects when no broker answers. */
  connect(): Promise<void>;
  /** Resolves when the brokers have them all. Rejects with AdapterError: `invalid` where trying again would not help. */
  send(topic: string, records: readonly NewRecord[]): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  records: readonly NewRecord[];
  size: number;
  resolve(): void;
  reject(error: unknown): void;
}
const maxTogether = 1000;

export async function createPublisher(client: Kafka, settings: KafkaSettings): Promise<Publisher> {
  const { CompressionTypes, KafkaJSNonRetriableError } = await loadKafka();
  const partitioner: ICustomPartitioner = () => ({ message, partitionMetadata }) => {
    try {
      return choosePartition(message.partition, message.key === null || message.key === undefined ? undefined : (message.key as Buffer), partitionMetadata);
    } catch (error) {
      throw new KafkaJSNonRetriableError(error as Error); // else it would be tried again
    }
  };
  const producer = client.producer({ createPartitioner: partitioner, retry: { initialRetryTime: 100, retries: settings.retries }, metadataMaxAge: settings.metadataAgeMs, allowAutoTopicCreation: true });
  const compressions = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };
  const queues = new Map<string, Waiting[]>();

  const request = async (topic: string, records: readonly NewRecord[]): Promise<void> => {
    const messages: Message[] = records.map(({ key, value, headers, partition }) => ({
      key: key === undefined ? null : bufferOf(key),
      value: value === null ? null : bufferOf(value),
      headers,
      ...(partition === undefined ? {} : { partition }),
    }));
    try {
      await producer.send({ topic, messages, acks: settings.acks, timeout: 10_000, compression: compressions[settings.compression] });
    } catch (error) {
      throw failure(error);
    }
  };
  const work = async (topic: string, queue: Waiting[]): Promise<void> => {
    while (queue.length > 0) {
      let count = 0, size = 0, records = 0;
      for (const one of queue) {
        if (count > 0 && (size + one.size > settings.maxMessageBytes || records + one.records.length > maxTogether)) break;
        count++;
        size += one.size;
        records += one.records.length;
      }
      const together = queue.slice(0, count);
      try {
        await request(topic, together.flatMap((one) => one.records));
        for (const one of together) one.resolve();
      } catch (error) {
        // One that cannot be sent must not take the others with it.
        if (count === 1 || (error as AdapterError).kind === 'unavailable') for (const one of together) one.reject(error);
        else for (const one of together) await request(topic, one.records).then(one.resolve, one.reject);
      }
      queue.splice(0, count);
    }
    queues.delete(topic);
  };

  return {
    connect: async () => {
      try {
        await producer.connect();
      } catch (error) {
        throw failure(error);
      }
    },
    send: (topic, records) => {
      const sizes = records.map(sizeOf);
      const tooLarge = sizes.find((size) => size > settings.maxMessageBytes);
      if (tooLarge !== undefined) return Promise.reject(new AdapterError('invalid', `kafka: invalid configuration (Attempt to produce message larger than configured Producer.MaxMessageBytes: ${tooLarge} > ${settings.maxMessageBytes})`));
      return new Promise((resolve, reject) => {
        const waiting: Waiting = { records, size: sizes.reduce((a, b) => a + b, 0), resolve, reject };
        const queue = queues.get(topic);
        if (queue !== undefined) queue.push(waiting);
        else {
          const mine = [waiting];
          queues.set(topic, mine);
          void work(topic, mine);
        }
      });
    },
    close: () => producer.disconnect(),
  };
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
