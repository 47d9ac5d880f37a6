// pubsub.kafka and bindings.kafka against a Kafka broker: what every broker must do, and what only Kafka has.
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import type { Message, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startKafkaLogin } from '../harness/kafka-login.ts';
import { text } from '../harness/received.ts';
import { startSchemaRegistry } from '../harness/schema-registry.ts';
import { startKafka } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { describeBinding } from './bindings.ts';
import { openComponent } from './open.ts';
import { describePubSub } from './pubsub.ts';

// One broker for the whole file: it takes some seconds to start.
let broker: ReturnType<typeof startKafka> | undefined;
const theBroker = () => (broker ??= startKafka());
afterAll(async () => (await broker)?.stop('SIGKILL'));
const quiet = { logLevel: kafkajs.logLevel.NOTHING };
const clientOf = (brokers: string) => new kafkajs.Kafka({ clientId: 'test', brokers: [brokers], ...quiet });

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

describeWithServer('kafka', 'Kafka', () => {
  const opened: { close(): Promise<void> }[] = [];
  let run = 0;
  const topicOf = (name: string) => `${name}-${++run}-${Date.now().toString(36)}`;
  const open = async (metadata: Record<string, string> = {}): Promise<PubSub> => {
    const { port } = await openComponent<PubSub>('pubsub.kafka', { brokers: (await theBroker()).brokers, authType: 'none', initialOffset: 'oldest', consumerID: `g${run}`, backOffDuration: '50ms', ...metadata });
    opened.push(port);
    return port;
  };
  const publish = (port: PubSub, topic: string, data: string, metadata: Record<string, string> = {}) => port.publish({ topic, data: Buffer.from(data), metadata }, background);
  /** Everything in a topic, as another client sees it. */
  const recordsOf = async (topic: string, count: number) => {
    const consumer = clientOf((await theBroker()).brokers).consumer({ groupId: `look-${topic}` });
    const records: { partition: number; key: string | null; value: string | null; headers: Record<string, string> }[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message: { key, value, headers = {} } }) =>
        void records.push({ partition, key: key?.toString() ?? null, value: value?.toString() ?? null, headers: Object.fromEntries(Object.entries(headers).map(([name, one]) => [name, String(one)])) }),
    });
    await until(() => records.length >= count);
    await consumer.disconnect();
    return records;
  };
  beforeAll(() => theBroker());
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });

  test('keys, partitions, headers and tombstones in the log', async () => {
    const topic = topicOf('log');
    const port = await open({ excludeHeaderMetaRegex: '^secret' });
    await publish(port, topic, 'keyed', { partitionKey: 'k1', region: 'eu', 'secret-one': 'x' });
    await publish(port, topic, 'null', { __key: 'k1' });
    await publish(port, topic, 'placed', { partitionNumber: '2' });
    await expect(publish(port, topic, 'x', { partitionNumber: '3' })).rejects.toMatchObject({ kind: 'invalid', message: 'partition number 3 is out of range, topic has 3 partitions' });
    const records = await recordsOf(topic, 3);
    // Where daprd puts the key among three partitions.
    expect(records.find(({ value }) => value === 'keyed')).toEqual({ partition: 1, key: 'k1', value: 'keyed', headers: { partitionKey: 'k1', region: 'eu' } });
    expect(records.find(({ value }) => value === null)).toMatchObject({ partition: 1, key: 'k1' });
    expect(records.find(({ value }) => value === 'placed')).toMatchObject({ partition: 2, key: null });
  });
  test('a bulk publish is one request, in which what the request says wins', async () => {
    const topic = topicOf('bulk');
    const port = await open();
    const entry = (entryId: string, metadata?: Record<string, string>) => ({ entryId, data: Buffer.from(entryId), metadata });
    expect(await port.bulkPublish?.({ topic, entries: [entry('1', { a: 'own', b: 'own' }), entry('2')], metadata: { a: 'request', partitionKey: 'k1' } }, background)).toEqual(new Map());
    const records = await recordsOf(topic, 2);
    expect(records.map(({ value, headers, partition }) => [value, headers, partition])).toEqual([['1', { a: 'request', b: 'own', partitionKey: 'k1' }, 1], ['2', { a: 'request', partitionKey: 'k1' }, 1]]);
  });
  test('messages of one key keep their order, also when one is refused; other partitions do not wait', async () => {
    const topic = topicOf('order');
    const port = await open();
    const texts: string[] = [];
    let refusals = 0;
    await port.subscribe({ topic, metadata: {} }, async (message) => {
      texts.push(text(message));
      if (text(message) === 'a1' && refusals++ < 3) throw new Error('refused by the test');
    });
    for (const one of ['a0', 'a1', 'a2']) await publish(port, topic, one, { partitionNumber: '0' });
    await publish(port, topic, 'b0', { partitionNumber: '1' });
    await until(() => texts.includes('a2') && texts.includes('b0'));
    expect(texts.filter((one) => one.startsWith('a'))).toEqual(['a0', 'a1', 'a1', 'a1', 'a1', 'a2']);
  });
  test('what was acknowledged does not come again to the next member, what was not does', async () => {
    const topic = topicOf('resume');
    const first = await open({ consumerID: topic });
    const seen: string[] = [];
    const subscription = await first.subscribe({ topic, metadata: {} }, async (message) => {
      seen.push(text(message));
      if (text(message) === '2') throw new Error('refused by the test');
    });
    for (const one of ['1', '2', '3']) await publish(first, topic, one, { partitionNumber: '0' });
    await until(() => seen.filter((one) => one === '2').length >= 2);
    await subscription.close();
    const second = await open({ consumerID: topic });
    const then: Message[] = [];
    await second.subscribe({ topic, metadata: {} }, async (message) => void then.push(message));
    await until(() => then.length === 2);
    expect(then.map(text)).toEqual(['2', '3']);
    expect(then[0]?.metadata).toMatchObject({ __partition: '0', __offset: '1', __topic: topic, partitionNumber: '0' });
  });
  test('a group that begins at the newest message misses none from then on', async () => {
    const topic = topicOf('newest');
    const port = await open({ initialOffset: 'newest', consumerID: topic });
    await publish(port, topic, 'before');
    const first = await port.subscribe({ topic, metadata: {} }, async () => undefined);
    await first.close();
    for (let i = 0; i < 3; i++) await publish(port, topic, 'between', { partitionNumber: String(i) });
    const seen: string[] = [];
    await port.subscribe({ topic, metadata: {} }, async (message) => void seen.push(text(message)));
    await until(() => seen.length >= 3);
    expect(seen).toEqual(['between', 'between', 'between']);
  });
  test('batches', async () => {
    const topic = topicOf('batches');
    const port = await open();
    const batches: string[][] = [];
    await port.bulkSubscribe?.({ topic, metadata: {}, maxMessagesCount: 4, maxAwaitDurationMs: 300 }, async ({ entries }) => {
      batches.push(entries.map(text));
      return new Map();
    });
    await port.bulkPublish?.({ topic, entries: ['1', '2', '3', '4', '5'].map((entryId) => ({ entryId, data: Buffer.from(entryId), metadata: undefined })), metadata: { partitionNumber: '0' } }, background);
    await until(() => batches.length === 2);
    expect(batches).toEqual([['1', '2', '3', '4'], ['5']]);
  });
  test('a message that is too large, and a topic that is none', async () => {
    const port = await open({ maxMessageBytes: '1000' });
    const topic = topicOf('large');
    await expect(publish(port, topic, 'x'.repeat(1000))).rejects.toThrow('kafka: invalid configuration (Attempt to produce message larger than configured Producer.MaxMessageBytes: 1036 > 1000)');
    await expect(publish(port, 'no topic', 'x')).rejects.toMatchObject({ kind: 'invalid', message: 'kafka server: The request attempted to perform an operation on an invalid topic' });
    await expect(port.subscribe({ topic: 'no topic', metadata: {} }, async () => undefined)).rejects.toThrow('no name of a topic');
    await publish(port, topic, 'x');
  });
  test.each(['gzip', 'snappy', 'lz4', 'zstd'])('%s, written and read', async (compression) => {
    const topic = topicOf(compression);
    const port = await open({ compression });
    const seen: string[] = [];
    await port.subscribe({ topic, metadata: {} }, async (message) => void seen.push(text(message)));
    const long = Array.from({ length: 3000 }, (_, i) => `${i} `).join('');
    for (const data of [long, '', 'short']) await publish(port, topic, data, { partitionNumber: '0' });
    await until(() => seen.length === 3);
    expect(seen).toEqual([long, '', 'short']);
  });
  test.each(['', 'SHA-256', 'SHA-512'])('a user and a password, saslMechanism %j', async (saslMechanism) => {
    const sasl = { brokers: `127.0.0.1:${(await theBroker()).sasl}`, authType: 'password', disableTls: 'true', saslUsername: 'alice', saslMechanism };
    const port = await open({ ...sasl, saslPassword: 'secret' });
    await publish(port, topicOf('sasl'), 'x');
    await expect(open({ ...sasl, saslPassword: 'wrong' })).rejects.toThrow('failed to get latest Kafka clients for initialization: ');
  });
  test('sticky: a member keeps its partitions when others come and go', async () => {
    const topic = topicOf('sticky');
    const owners = new Map<string, string>();
    const join = async (name: string) => {
      const port = await open({ consumerID: topic, consumerGroupRebalanceStrategy: 'sticky', heartbeatInterval: '200ms' });
      const subscription = await port.subscribe({ topic, metadata: {} }, async ({ metadata }) => void owners.set(metadata.__partition as string, name));
      return { port, subscription };
    };
    /** Which member reads which partition, once there are so many members that read. */
    const settled = async (port: PubSub, members: number) => {
      await until(async () => {
        owners.clear();
        for (const partitionNumber of ['0', '1', '2']) await publish(port, topic, 'x', { partitionNumber });
        await until(() => owners.size === 3);
        return new Set(owners.values()).size === members;
      });
      return new Map(owners);
    };
    const { port } = await join('first');
    await settled(port, 1);
    const second = await join('second');
    const two = await settled(port, 2);
    const mine = [...two].find(([, name]) => name === 'second')?.[0] as string;
    const third = await join('third');
    expect((await settled(port, 3)).get(mine)).toBe('second');
    await third.subscription.close();
    expect((await settled(port, 2)).get(mine)).toBe('second');
    await second.subscription.close();
    await settled(port, 1);
  });
  test('authType awsiam logs in with a signed URL as the token', async () => {
    const login = await startKafkaLogin('OAUTHBEARER');
    const port = await open({ brokers: login.brokers, authType: 'awsiam', disableTls: 'true', region: 'eu-west-1', awsAccessKey: 'AKIAEXAMPLE', awsSecretKey: 'secret' });
    expect(login.logins.map(({ mechanism }) => mechanism)).toEqual(['OAUTHBEARER']);
    const [, token = ''] = /^n,,\x01auth=Bearer ([\w-]+)\x01\x01$/.exec(String(login.logins[0]?.bytes)) ?? [];
    const url = new URL(Buffer.from(token, 'base64url').toString());
    expect([url.host, url.searchParams.get('Action')]).toEqual(['kafka.eu-west-1.amazonaws.com', 'kafka-cluster:Connect']);
    expect(url.searchParams.get('X-Amz-Credential')).toMatch(/^AKIAEXAMPLE\/\d{8}\/eu-west-1\/kafka-cluster\/aws4_request$/);
    await port.close();
    await login.stop();
  });
  test('messages in Avro: the schema of the topic out, that of the message in, for pub/sub and the binding', async () => {
    const registry = await startSchemaRegistry({ credentials: 'key:secret' });
    const topic = topicOf('avro');
    const fields = [{ name: 'id', type: 'long' }, { name: 'note', type: ['null', 'string'], default: null }];
    registry.register(`${topic}-value`, { type: 'record', name: 'Order', namespace: 'shop', fields });
    const registered = { schemaRegistryURL: registry.url, schemaRegistryAPIKey: 'key', schemaRegistryAPISecret: 'secret' };
    const port = await open({ ...registered, excludeHeaderMetaRegex: '^valueSchemaType$' });
    const avro = { valueSchemaType: 'Avro' };
    const seen: string[] = [], raw: string[] = [], batches: string[][] = [];
    await port.subscribe({ topic, metadata: avro }, async (message) => void seen.push(text(message)));
    const other = await open({ consumerID: `${topic}-raw` });
    await other.subscribe({ topic, metadata: {} }, async ({ data }) => void raw.push(Buffer.from(data).toString('hex')));
    const bulk = await open({ ...registered, useAvroJSON: 'true', consumerID: `${topic}-bulk` });
    await bulk.bulkSubscribe?.({ topic, metadata: avro, maxMessagesCount: 3, maxAwaitDurationMs: 5000 }, async ({ entries }) => {
      batches.push(entries.map(text));
      return new Map();
    });

    await publish(port, topic, '{"id": 9007199254740993, "note": "é"}', { ...avro, partitionNumber: '0' });
    await expect(publish(port, topic, '{"id": "one"}', avro)).rejects.toMatchObject({ kind: 'invalid', message: 'cannot decode textual record "shop.Order": unexpected byte: \'"\' for key: "id"' });
    await publish(port, topic, 'null', { ...avro, partitionNumber: '0' });
    await port.bulkPublish?.({ topic, entries: [{ entryId: '1', data: Buffer.from('{"id":2}'), metadata: avro }], metadata: { partitionNumber: '0' } }, background);
    const { port: binding } = await openComponent<Binding>('bindings.kafka', { brokers: (await theBroker()).brokers, authType: 'none', publishTopic: topic, ...registered });
    opened.push(binding);
    await binding.invoke?.({ operation: 'create', data: Buffer.from('{"id":3}'), metadata: { ...avro, partitionNumber: '0' } }, background);
    await until(() => seen.length === 4 && raw.length === 4 && batches.length > 0);
    expect(seen).toEqual(['{"id":9007199254740993,"note":"\\u00E9"}', 'null', '{"id":2,"note":null}', '{"id":3,"note":null}']);
    expect(raw).toEqual(['0000000001828080808080802002 04c3a9'.replace(' ', ''), Buffer.from('null').toString('hex'), '00000000010400', '00000000010600']);
    expect(batches[0]).toEqual(['{"id":9007199254740993,"note":{"string":"\\u00E9"}}', 'null', '{"id":2,"note":null}']);
    await registry.stop();
  });
  test('no broker', async () => {
    await expect(open({ brokers: '127.0.0.1:1' })).rejects.toThrow('failed to get latest Kafka clients for initialization: kafka: client has run out of available brokers to talk to: ');
  });
  test('the binding: key and headers out and in', async () => {
    const topic = topicOf('bound');
    const { brokers } = await theBroker();
    const { port } = await openComponent<Binding>('bindings.kafka', { brokers, authType: 'none', topics: topic, publishTopic: topic, consumerGroup: topic, initialOffset: 'oldest', escapeHeaders: 'true' });
    opened.push(port);
    const events: { data: Uint8Array; metadata: Record<string, string> }[] = [];
    await port.read?.(async (event) => void events.push(event) as undefined);
    await port.invoke?.({ operation: 'create', data: Buffer.from('{"a":1}'), metadata: { partitionKey: 'k 1', region: 'eu&us' } }, background);
    await until(() => events.length === 1);
    expect(text(events[0] as { data: Uint8Array })).toBe('{"a":1}');
    expect(events[0]?.metadata).toMatchObject({ __key: 'k+1', region: 'eu%26us', partitionKey: 'k+1', __topic: topic });
  });
});
