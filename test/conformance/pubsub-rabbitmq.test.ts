// pubsub.rabbitmq and bindings.rabbitmq on the server: what every broker must do, dead letters, order, limits, and what outlives lost channels and a killed broker.
import type { ChannelModel } from 'amqplib';
import amqp from 'amqplib';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import type { Message, MessageHandler, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { collect, text } from '../harness/received.ts';
import { startRabbitmq } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { lines, openComponent } from './open.ts';
import { describePubSub } from './pubsub.ts';

// One broker for the whole file: it takes some seconds to start.
let broker: ReturnType<typeof startRabbitmq> | undefined;
const theBroker = () => (broker ??= startRabbitmq());
afterAll(async () => (await broker)?.stop());

describePubSub({
  type: 'pubsub.rabbitmq',
  servers: ['rabbitmq'],
  start: async () => ({ metadata: { connectionString: (await theBroker()).url }, stop: async () => undefined }),
  operations: ['groups'],
  quirks: { unordered: true },
});

describeWithServer('rabbitmq', 'RabbitMQ', () => {
  let rabbitmq: Awaited<ReturnType<typeof startRabbitmq>>;
  let admin: ChannelModel;
  const ending: (() => Promise<unknown>)[] = [];
  let run = 0;
  const topicOf = (name: string) => `${name}-${++run}`;
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<PubSub>('pubsub.rabbitmq', { connectionString: rabbitmq.url, reconnectWaitSeconds: '200ms', ...metadata });
    ending.push(() => port.close());
    return port;
  };
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler, metadata: Record<string, string> = {}) => {
    const subscription = await port.subscribe({ topic, metadata }, handler);
    ending.push(() => subscription.close());
    return subscription;
  };
  const publish = (port: PubSub, topic: string, data: string, metadata: Record<string, string> = {}) => port.publish({ topic, data: Buffer.from(data), metadata }, background);
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));
  const inQueue = async (queue: string): Promise<string[]> => {
    const channel = await admin.createChannel();
    const found: string[] = [];
    for (let message = await channel.get(queue, { noAck: true }); message !== false; message = await channel.get(queue, { noAck: true })) found.push(message.content.toString());
    await channel.close();
    return found;
  };

  beforeAll(async () => {
    rabbitmq = await theBroker();
    admin = await amqp.connect(rabbitmq.url);
    admin.on('error', () => undefined);
  }, 60_000);
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  afterAll(() => admin.close().catch(() => undefined));

  test('a failed message is dropped, dead-lettered or delivered again, as the component says', async () => {
    const topic = topicOf('failing');
    const plain = await open({ consumerID: 'plain' });
    const dead = await open({ consumerID: 'dead', enableDeadLetter: 'true' });
    const again = await open({ consumerID: 'again', requeueInFailure: 'true' });
    const tries = { plain: 0, dead: 0, again: 0 };
    for (const [name, port] of Object.entries({ plain, dead, again }) as [keyof typeof tries, PubSub][])
      await subscribe(port, topic, async () => {
        if (++tries[name] < 4) throw new Error('refused by the test');
      });
    await publish(plain, topic, 'x');
    await until(() => tries.again === 4);
    await sleep(50);
    expect(tries).toEqual({ plain: 1, dead: 1, again: 4 });
    expect(await inQueue(`dlq-dead-${topic}`)).toEqual(['x']);
  });

  test('prefetchCount bounds what is in hand, concurrencyMode single keeps the order', async () => {
    for (const [metadata, most] of [[{ prefetchCount: '3' }, 3], [{ concurrencyMode: 'single' }, 1]] as [Record<string, string>, number][]) {
      const topic = topicOf('limited');
      const port = await open(metadata);
      const given = collect<Message>({ takesMs: 5 });
      await subscribe(port, topic, given.handler);
      for (const n of numbers(20)) await publish(port, topic, n);
      await until(() => given.messages.length === 20);
      expect(given.most()).toBe(most);
      if (most === 1) expect(given.texts()).toEqual(numbers(20));
    }
  });

  test('time to live, priority, and properties as metadata', async () => {
    const topic = topicOf('properties');
    const port = await open({ deletedWhenUnused: 'false', publishMessagePropertiesToMetadata: 'true', ttlInSeconds: '60' });
    const seen: Message[] = [];
    const declared = await subscribe(port, topic, async () => undefined, { maxPriority: '10' });
    await declared.close();
    await publish(port, topic, 'short', { ttlInSeconds: '100ms' });
    await publish(port, topic, 'low', { priority: '1', messageid: 'm1', correlationID: 'c1', type: 't1', contentType: 'text/x' });
    await publish(port, topic, 'high', { priority: '9' });
    await sleep(200);
    await subscribe(port, topic, async (message) => void seen.push(message), { maxPriority: '10' });
    await until(() => seen.length === 2);
    expect(seen.map(text)).toEqual(['high', 'low']);
    expect(seen[1]?.metadata).toEqual({ 'metadata.messageid': 'm1', 'metadata.correlationid': 'c1', 'metadata.type': 't1', 'metadata.contenttype': 'text/x' });
  });

  test('a subscription the broker refuses fails at once and disturbs no other', async () => {
    const [good, bad] = [topicOf('good'), topicOf('bad')];
    const port = await open();
    const seen: string[] = [];
    await subscribe(port, good, async (message) => void seen.push(text(message)));
    const channel = await admin.createChannel();
    await channel.assertQueue(`conformance-${bad}`, { durable: false });
    await expect(subscribe(port, bad, async () => undefined)).rejects.toThrow(/failed to subscribe to conformance-bad.*Exception \(406\).*PRECONDITION_FAILED/);
    await expect(subscribe(port, bad, async () => undefined, { queueType: 'stream' })).rejects.toThrow('error not retriable for conformance-bad');
    await channel.assertExchange(`${bad}-exchange`, 'direct');
    await expect(publish(port, `${bad}-exchange`, 'x')).rejects.toThrow('PRECONDITION_FAILED');
    await publish(port, good, 'x');
    await until(() => seen.length === 1);
    await channel.close();
  });

  test('messages behind one whose exchange is gone are not lost', async () => {
    const [gone, there] = [topicOf('gone'), topicOf('there')];
    const port = await open();
    const seen: string[] = [];
    await subscribe(port, there, async (message) => void seen.push(text(message)));
    const first = await subscribe(port, gone, async () => undefined);
    await publish(port, gone, 'x');
    await first.close(); // the exchange goes with its last queue, and the publishing channel with the next message to it
    await Promise.all([publish(port, gone, 'x'), ...numbers(20).map((n) => publish(port, there, n))]);
    await until(() => new Set(seen).size === 20);
  });

  test('a queue that is deleted under its subscriber is made again', async () => {
    const topic = topicOf('deleted');
    const port = await open();
    const seen: string[] = [];
    await subscribe(port, topic, async (message) => void seen.push(text(message)));
    const channel = await admin.createChannel();
    await channel.deleteQueue(`conformance-${topic}`);
    await until(async () => {
      const look = await admin.createChannel(); // a look at what is not there ends its channel
      look.on('error', () => undefined);
      return look.checkQueue(`conformance-${topic}`).then(({ consumerCount }) => look.close().then(() => consumerCount > 0), () => false);
    });
    await sleep(100);
    await publish(port, topic, 'x');
    await until(() => seen.length === 1);
  });

  test('the binding: metadata as headers, refused events come again, one at a time', async () => {
    const { port } = await openComponent<Binding>('bindings.rabbitmq', { host: rabbitmq.url, queueName: 'orders', durable: 'true', maxPriority: '5', ttlInSeconds: '30' });
    ending.push(() => port.close());
    const send = (data: string, metadata: Record<string, string> = {}) => port.invoke?.({ operation: 'create', data: Buffer.from(data), metadata }, background);
    expect(port.operations).toEqual(['create']);
    expect(await send('"late"', { ttlInSeconds: '100ms' })).toBeNull();
    await sleep(300);
    await send('"first"', { 'my key': 'a b', priority: '3', contentType: 'application/x' });
    const { handler, messages: events, texts, most } = collect<BindingEvent>({ takesMs: 5, refuses: (_, nth) => nth === 1 });
    const reading = await port.read?.(handler);
    ending.push(async () => reading?.close());
    await until(() => events.length === 2);
    await send('"second"');
    await until(() => events.length === 3);
    expect(texts()).toEqual(['"first"', '"first"', '"second"']);
    expect(most()).toBe(1);
    expect(events[0]?.metadata).toEqual({ 'my+key': 'a b', priority: '3', contentType: 'application/x' });
    await expect(send('x', { ttlInSeconds: 'soon' })).rejects.toThrow("failed to get TTL: ttl value must be a valid integer: actual is 'soon'");
    await expect(send('x', { priority: 'high' })).rejects.toThrow("priority value must be a valid integer: actual is 'high'");
  });

  test.each([
    [{ connectionString: 'http://guest:pass@localhost' }, "rabbitmq pub/sub error: invalid connection string, err: AMQP scheme must be either 'amqp://' or 'amqps://'"],
    [{ protocol: 'amqps' }, 'protocol does not match connection string'],
    [{ deliveryMode: '3' }, 'invalid RabbitMQ delivery mode, accepted values are between 0 and 2'],
    [{ exchangeKind: 'star' }, 'invalid RabbitMQ exchange kind star'],
    [{ ttlInSeconds: '-1' }, "parse RabbitMQ ttl metadata with error: ttl value must be higher than zero: actual is '-1'"],
    [{ caCert: 'x' }, 'invalid TLS configuration: invalid caCert'],
    [{ saslExternal: 'true' }, 'saslExternal can only be set to true'],
    [{ concurrencyMode: 'many' }, 'invalid concurrencyMode many'],
  ] as [Record<string, string>, string][])('metadata %j is refused', async (metadata, words) => {
    await expect(open(metadata)).rejects.toThrow(words);
  });
  test('a binding without its fields, and a wrong password, are refused', async () => {
    await expect(openComponent('bindings.rabbitmq', {})).rejects.toThrow('missing host address');
    await expect(openComponent('bindings.rabbitmq', { host: rabbitmq.url })).rejects.toThrow('missing queue Name');
    await expect(open({ connectionString: rabbitmq.url.replace('guest:guest', 'guest:wrong') })).rejects.toThrow('403');
  });

  test('after the broker was killed everything goes on by itself', async () => {
    const topic = topicOf('killed');
    const port = await open({ deletedWhenUnused: 'false', deliveryMode: '2', publisherConfirm: 'true' });
    const seen: string[] = [];
    await subscribe(port, topic, async (message) => void seen.push(text(message)));
    await publish(port, topic, 'before');
    await until(() => seen.length === 1);
    await rabbitmq.kill();
    await expect(publish(port, topic, 'refused')).rejects.toMatchObject({ kind: 'unavailable' });
    await rabbitmq.restart();
    await publish(port, topic, 'after');
    await until(() => seen.includes('after'));
    expect(lines.join('\n')).not.toContain('guest:guest');
  }, 60_000);
});
