// pubsub.azure.servicebus.* against a contract server of the protocol: the suite of all brokers, then what only these have.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createServiceBusEntities, sharedAccess } from '../../src/adapters/azure/service-bus-entities.ts';
import { queuesMetadata } from '../../src/adapters/azure/service-bus-settings.ts';
import type { Message, MessageHandler, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { text } from '../harness/received.ts';
import { startServiceBus, startServiceBusAdmin } from '../harness/service-bus.ts';
import { until } from '../harness/until.ts';
import { openComponent, testHost } from './open.ts';
import { describePubSub } from './pubsub.ts';

for (const [kind, subscriptions] of [['topics', ['conformance', 'another']], ['queues', []]] as const)
  describePubSub({
    type: `pubsub.azure.servicebus.${kind}`,
    start: async () => {
      const server = await startServiceBus({ subscriptions: [...subscriptions] });
      return { metadata: { connectionString: server.connectionString }, stop: server.stop };
    },
    operations: kind === 'topics' ? ['groups', 'history'] : ['history'],
    quirks: { unordered: true, ...(kind === 'queues' ? { oneGroup: true } : {}) },
  });

describe('pubsub.azure.servicebus', () => {
  let server: Awaited<ReturnType<typeof startServiceBus>>;
  const ending: (() => Promise<unknown>)[] = [];
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<PubSub>('pubsub.azure.servicebus.queues', { connectionString: server.connectionString, ...metadata });
    ending.push(() => port.close());
    return port;
  };
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler) => {
    const subscription = await port.subscribe({ topic, metadata: {} }, handler);
    ending.push(() => subscription.close());
  };
  const publish = (port: PubSub, topic: string, data: string, metadata?: Record<string, string>) => port.publish({ topic, data: Buffer.from(data), metadata }, background);

  beforeAll(async () => {
    server = await startServiceBus({ lockMs: 3000 });
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
    server.refusals.length = 0;
  });
  afterAll(() => server.stop());

  test('metadata becomes properties of the message, and comes back as metadata', async () => {
    const port = await open();
    const seen: Message[] = [];
    await subscribe(port, 'properties', async (message) => void seen.push(message));
    const when = 'Wed, 21 Oct 2015 07:28:00 GMT';
    await publish(port, 'properties', 'x', { id: 'alias', MessageId: 'm1', correlationID: 'c1', SessionId: 's1', PartitionKey: 's1', Label: 'l1', ReplyTo: 'r1', To: 't1', ContentType: 'text/x', ScheduledEnqueueTimeUtc: when, ttlInSeconds: '90', empty: '', other: 'o1' });
    await until(() => seen.length === 1);
    const { 'metadata.LockToken': lockToken, 'metadata.EnqueuedTimeUtc': enqueued, 'metadata.LockedUntilUtc': until_, 'metadata.SequenceNumber': sequence, ...rest } = (seen[0] as Message).metadata;
    expect(rest).toEqual({ 'metadata.MessageId': 'm1', 'metadata.CorrelationId': 'c1', 'metadata.SessionId': 's1', 'metadata.PartitionKey': 's1', 'metadata.Label': 'l1', 'metadata.ReplyTo': 'r1', 'metadata.To': 't1', 'metadata.ContentType': 'text/x', 'metadata.ScheduledEnqueueTimeUtc': when, 'metadata.DeliveryCount': '1', 'metadata.other': 'o1' });
    expect(Buffer.from(lockToken as string, 'base64')).toHaveLength(16);
    expect([enqueued, until_].every((time) => /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/.test(time as string)) && Number(sequence) > 0).toBe(true);
    expect(server.sent.find(({ entity }) => entity === 'properties')?.message.ttl).toBe(90_000);
    await expect(publish(port, 'properties', 'x', { SessionId: 'a', PartitionKey: 'b' })).rejects.toThrow('session id a and partition key b should be equal when both present');
    await expect(publish(port, 'properties', 'x', { ScheduledEnqueueTimeUtc: 'soon' })).rejects.toThrow('invalid time format for ScheduledEnqueueTimeUtc; expected HTTP time format or RFC3339');
  });

  test('a refused message comes again until the service puts it aside; DeliveryCount tells how often it came', async () => {
    const port = await open({ maxRetriableErrorsPerSec: '0' });
    const counts: string[] = [];
    await subscribe(port, 'refused', async ({ metadata }) => {
      counts.push(metadata['metadata.DeliveryCount'] as string);
      throw new Error('refused by the test');
    });
    await publish(port, 'refused', 'bad');
    await until(() => server.dead.length === 1);
    expect([counts, server.dead]).toEqual([Array.from({ length: 10 }, (_, i) => String(i + 1)), ['bad']]);
  });

  test('of neighbours that are settled at the same moment each gets its own outcome', async () => {
    const port = await open();
    const seen: string[] = [];
    let both = () => {};
    const arrived = new Promise<void>((resolve) => (both = resolve));
    for (const data of ['taken', 'refused']) await publish(port, 'neighbours', data);
    await subscribe(port, 'neighbours', async (message) => {
      seen.push(text(message));
      if (seen.length === 2) both();
      await arrived;
      if (seen.length === 2 && text(message) === 'refused') throw new Error('refused by the test');
    });
    await until(() => seen.length === 3);
    expect(seen).toEqual(['taken', 'refused', 'refused']);
  });

  test('maxConcurrentHandlers bounds the handlers, maxActiveMessages what is locked, and locks are renewed', async () => {
    const port = await open({ maxActiveMessages: '4', maxConcurrentHandlers: '2', lockRenewalInSec: '1' });
    let running = 0, highest = 0;
    const seen: string[] = [];
    await subscribe(port, 'limited', async (message) => {
      highest = Math.max(highest, ++running);
      await sleep(Number(text(message)) < 2 ? 4000 : 1);
      running--;
      seen.push(text(message));
    });
    for (let i = 0; i < 8; i++) await publish(port, 'limited', String(i));
    await until(() => server.inHand() === 4);
    await sleep(100);
    expect([server.inHand(), running]).toEqual([4, 2]);
    await until(() => seen.length === 8, 15_000);
    await sleep(100);
    expect([seen.sort(), highest, server.inHand(), server.renewals() >= 4]).toEqual([[...'01234567'], 2, 0, true]);
  }, 20_000);

  test('temporary refusals are tried again, final ones are not', async () => {
    const port = await open({ publishInitialRetryIntervalInMs: '10' });
    server.refusals.push('com.microsoft:server-busy', 'com.microsoft:server-busy');
    await publish(port, 'busy', 'x');
    expect(server.sent.filter(({ entity }) => entity === 'busy')).toHaveLength(1);
    server.refusals.push('amqp:link:message-size-exceeded');
    await expect(publish(port, 'busy', 'x')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('asked for by the test') });
    expect(server.refusals).toEqual([]);
  });

  test('many in one transfer; too many bytes fail as a whole', async () => {
    const port = await open();
    const seen: Message[] = [];
    await subscribe(port, 'bulk', async (message) => void seen.push(message));
    const entries = ['a', 'b', 'c'].map((one) => ({ entryId: one, data: Buffer.from(one), metadata: { key: one }, contentType: 'text/plain' }));
    expect(await port.bulkPublish?.({ topic: 'bulk', entries, metadata: {} }, background)).toEqual(new Map());
    await until(() => seen.length === 3);
    expect(seen.map((message) => [text(message), message.metadata['metadata.key'], message.metadata['metadata.ContentType']]).sort()).toEqual([['a', 'a', 'text/plain'], ['b', 'b', 'text/plain'], ['c', 'c', 'text/plain']]);
    await expect(port.bulkPublish?.({ topic: 'bulk', entries, metadata: { maxBulkPubBytes: '200' } }, background)).rejects.toThrow('too large');
  });

  test('what is being sent when the connection breaks is sent again at once', async () => {
    const port = await open();
    await publish(port, 'broken', 'first');
    server.container.once('message', () => server.cut()); // taken, but the sender does not hear of it
    const began = Date.now();
    await publish(port, 'broken', 'second');
    expect(Date.now() - began).toBeLessThan(8000);
    expect(server.sent.filter(({ entity }) => entity === 'broken')).toHaveLength(3);
  });

  test('a lost connection is made again, for publishing and reading', async () => {
    const port = await open({ timeoutInSec: '2', minConnectionRecoveryInSec: '1', publishInitialRetryIntervalInMs: '50' });
    const seen: string[] = [];
    await subscribe(port, 'cut', async (message) => void seen.push(text(message)));
    await publish(port, 'cut', 'one');
    await until(() => seen.includes('one'));
    server.cut();
    await publish(port, 'cut', 'two');
    await until(() => seen.includes('two'), 15_000);
  }, 25_000);

  test('makes what is missing through the management API', async () => {
    const admin = await startServiceBusAdmin();
    ending.push(() => admin.stop());
    const host = testHost();
    const rerouted = { ...host, http: { send: (request: Parameters<typeof host.http.send>[0]) => host.http.send({ ...request, origin: request.origin.replace('https://ns.servicebus.windows.net', admin.url) }) } };
    const settings = queuesMetadata.parse({ maxDeliveryCount: '3', lockDurationInSec: '30', defaultMessageTimeToLiveInSec: '60', autoDeleteOnIdleInSec: '300' });
    const entities = createServiceBusEntities(rerouted, 'ns.servicebus.windows.net', sharedAccess('k', 's'), settings);
    await entities.queue('orders');
    await entities.queue('orders');
    await entities.subscription('app', 'news', false);
    const described = '<LockDuration>PT30S</LockDuration><DefaultMessageTimeToLive>PT60S</DefaultMessageTimeToLive><MaxDeliveryCount>3</MaxDeliveryCount><AutoDeleteOnIdle>PT300S</AutoDeleteOnIdle>';
    expect(admin.there.get('/orders')).toContain(`<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">${described}</QueueDescription>`);
    expect(admin.there.get('/news')).toContain('<TopicDescription');
    expect(admin.there.get('/news/Subscriptions/app')).toContain(described);
    expect(admin.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /orders', 'PUT /orders', 'GET /orders', 'GET /news', 'PUT /news', 'GET /news/Subscriptions/app', 'PUT /news/Subscriptions/app']);
    expect(admin.requests[0]?.authorization).toMatch(/^SharedAccessSignature sr=https%3A%2F%2Fns\.servicebus\.windows\.net%2Forders&sig=[^&]+&se=\d+&skn=k$/);
    await expect(entities.queue('forbidden')).rejects.toThrow('could not get queue forbidden: 401: Manage claims required.');
    await expect(entities.subscription('app', 'news', true)).rejects.toThrow("subscription app already exists but session requirement doesn't match");
  });

  test.each([
    [{ connectionString: '' }, 'either one of connection string or namespace name are required'],
    [{ namespaceName: 'ns.servicebus.windows.net' }, 'connectionString and namespaceName cannot both be specified'],
    [{ maxActiveMessages: '0' }, 'must be 1 or greater'],
    [{ maxRetriableErrorsPerSec: '-1' }, 'must not be negative'],
    [{ defaultMessageTimeToLiveInSec: '0' }, 'defaultMessageTimeToLiveInSec must be greater than 0'],
    [{ autoDeleteOnIdleInSec: '299' }, 'autoDeleteOnIdleInSec must be greater than or equal to 300'],
  ] as [Record<string, string>, string][])('metadata %j is refused', async (metadata, words) => {
    await expect(open(metadata)).rejects.toThrow(words);
  });
});
