// pubsub.kafka and bindings.kafka against a Kafka broker: what every broker must do, and what only Kafka has.
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import type { Message, MessageHandler, PubSub, Subscription } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startKafka } from '../harness/servers.ts';
import { describeBinding } from './bindings.ts';
import { lines, openComponent } from './open.ts';
import { describePubSub } from './pubsub.ts';

// One broker for the whole file: it takes some seconds to start.
let broker: ReturnType<typeof startKafka> | undefined;
const theBroker = () => (broker ??= startKafka());
afterAll(async () => (await broker)?.stop('SIGKILL'));
const quiet = { logLevel: kafkajs.logLevel.NOTHING };
const clientOf = (brokers: string) => new kafkajs.Kafka({ clientId: 'test', brokers: [brokers], ...quiet });

const until = async (fits: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await fits()); ) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
const text = ({ data }: { data: Uint8Array }) => new TextDecoder().decode(data);

describePubSub({
  type: 'pubsub.kafka',
  servers: ['kafka'],
  start: async () => ({ metadata: { brokers: (await theBroker()).brokers, authType: 'none', initialOffset: 'oldest', backOffDuration: '100ms', backOffMaxRetries: '2' }, stop: async () => undefined }),
  operations: ['groups', 'history', 'metadata'],
  quirks: { unordered: true },
});

describeBinding({
  type: 'bindings.kafka',
  servers: ['kafka'],
  start: async () => {
    const { brokers } = await theBroker();
    const producer = clientOf(brokers).producer();
    await producer.connect();
    const timer = setInterval(() => void producer.send({ topic: 'ticks', messages: [{ value: 'tick' }] }).catch(() => undefined), 100);
    const stop = async () => {
      clearInterval(timer);
      await producer.disconnect();
    };
    return { metadata: { brokers, authType: 'none', topics: 'ticks', publishTopic: 'written', consumerGroup: 'conformance' }, stop };
  },
  operations: ['create'],
  eventWithinMs: 1500,
});
