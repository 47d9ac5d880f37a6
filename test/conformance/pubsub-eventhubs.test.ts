// pubsub.azure.eventhubs against a contract server of the protocol, with Azurite for the checkpoints: the suite of all brokers, then what only this has.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BulkMessageHandler, Message, MessageHandler, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { azureConnectionString } from '../harness/azure-amqp.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { startEventHubs } from '../harness/event-hubs.ts';
import { collect, text } from '../harness/received.ts';
import { startContractServer } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { openComponent } from './open.ts';
import { describePubSub } from './pubsub.ts';

const { accountName, accountKey } = azuriteAccount;

async function start(partitions: number) {
  const [server, azurite] = await Promise.all([startEventHubs({ partitions }), startAzurite('blob')]);
  const metadata = { connectionString: server.connectionString, storageConnectionString: `AccountName=${accountName};AccountKey=${accountKey};BlobEndpoint=${azurite.endpoint}/${accountName}`, storageContainerName: 'checkpoints', backOffDuration: '10ms' };
  return {
    server, metadata,
    stop: async () => {
      await server.stop();
      await azurite.stop();
    },
  };
}

describePubSub({ type: 'pubsub.azure.eventhubs', start: () => start(2), operations: ['groups'], quirks: { unordered: true } });

describe('pubsub.azure.eventhubs', () => {
  let service: Awaited<ReturnType<typeof start>>;
  const ending: (() => Promise<unknown>)[] = [];
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<PubSub>('pubsub.azure.eventhubs', { ...service.metadata, consumerID: 'app', ...metadata });
    ending.push(() => port.close());
    return port;
  };
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler, metadata: Record<string, string> = {}) => {
    const subscription = await port.subscribe({ topic, metadata }, handler);
    ending.push(() => subscription.close());
    return subscription;
  };
  beforeAll(async () => {
    service = await start(2);
  }, 60_000);
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
  });
  afterAll(() => service?.stop());

  test('one key, one partition, in order; properties where the subscription wants them', async () => {
    const port = await open({ enableInOrderMessageDelivery: 'true' });
    const seen: Message[] = [];
    await subscribe(port, 'keys', async (message) => {
      await sleep(Math.random() * 10);
      seen.push(message);
    }, { requireAllProperties: 'true' });
    for (let i = 0; i < 10; i++) await port.publish({ topic: 'keys', data: Buffer.from(String(i)), metadata: { partitionKey: 'k' }, contentType: 'text/plain' }, background);
    service.server.put('keys', { body: Buffer.from('x'), application_properties: { color: 'red' } }, 'k');
    await until(() => seen.length === 11);
    expect(seen.map(text).join('')).toBe('0123456789x');
    expect(seen.slice(0, 10).map(({ metadata }) => metadata['x-opt-partition-key'])).toEqual(Array(10).fill('k'));
    expect(seen[10]?.metadata.color).toBe('red');
    expect(service.server.events('keys').flat()[0]?.message.content_type).toBe('text/plain');
  });

  test('many in one transfer, to one partition; too many bytes fail as a whole', async () => {
    const port = await open();
    const batches: string[][] = [];
    const handler: BulkMessageHandler = async ({ entries }) => {
      batches.push(entries.map(text));
      // All of them are tried again together: the service takes no refusals.
      return new Map(batches.length === 1 ? [[entries[0]?.entryId as string, new Error('refused by the test')]] : []);
    };
    const subscription = await (port.bulkSubscribe as NonNullable<PubSub['bulkSubscribe']>)({ topic: 'bulk', metadata: {}, maxMessagesCount: 3, maxAwaitDurationMs: 200 }, handler);
    ending.push(() => subscription.close());
    const publish = (data: string[], keys: string[] = [], metadata: Record<string, string> = {}) =>
      (port.bulkPublish as NonNullable<PubSub['bulkPublish']>)({ topic: 'bulk', entries: data.map((one, i) => ({ entryId: one, data: Buffer.from(one), metadata: keys[i] ? { partitionKey: keys[i] as string } : undefined })), metadata }, background);
    expect(await publish(['a', 'b', 'c', 'd'], ['k', 'k'])).toEqual(new Map());
    await until(() => batches.flat().length === 7);
    expect(batches.map((batch) => batch.join(''))).toEqual(expect.arrayContaining(['abc', 'abc', 'd']));
    await expect(publish(['a', 'b'], ['k', 'l'])).rejects.toMatchObject({ kind: 'invalid', message: 'cannot send messages to different partitions' });
    await expect(publish(['a', 'x'.repeat(500)], [], { maxBulkPubBytes: '300' })).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('too large') });
  });

  test('a connection string for one Event Hub is good for that topic only', async () => {
    const port = await open({ connectionString: `${service.metadata.connectionString};EntityPath=own` });
    await port.publish({ topic: 'own', data: Buffer.from('x'), metadata: {} }, background);
    await expect(port.publish({ topic: 'other', data: Buffer.from('x'), metadata: {} }, background)).rejects.toThrow("error trying to establish a connection: the requested topic 'other' does not match the Event Hub name in the connection string");
  });

  test('after the server was killed everything goes on by itself, and what it had is still there', async () => {
    const server = await startContractServer('event-hubs');
    ending.push(() => server.stop('SIGKILL'));
    const connectionString = azureConnectionString(server.port);
    const port = await open({ connectionString });
    const { handler, texts } = collect<Message>();
    const first = await port.subscribe({ topic: 'killed', metadata: {} }, handler);
    const publish = (data: string) => port.publish({ topic: 'killed', data: Buffer.from(data), metadata: {} }, background);
    await publish('before');
    await until(() => texts().length === 1);
    await first.close();
    await publish('while away');
    await server.kill();
    await server.restart();
    await subscribe(port, 'killed', handler);
    await until(() => texts().length === 2);
    await server.kill();
    await server.restart();
    await publish('after');
    await until(() => texts().length === 3);
    expect(texts()).toEqual(['before', 'while away', 'after']);
  }, 60_000);

  test('without a place for checkpoints nothing is read', async () => {
    const port = await open({ storageContainerName: '' });
    await expect(subscribe(port, 'none', async () => undefined)).rejects.toThrow('property storageContainerName is required to subscribe to an Event Hub topic');
  });
});
