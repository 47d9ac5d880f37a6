// bindings.azure.eventhubs against a contract server of the protocol, with Azurite for the checkpoints.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { blobContainer } from '../../src/adapters/azure/blob-container.ts';
import { blobName } from '../../src/adapters/azure/blob-item.ts';
import { connectedAccount } from '../../src/adapters/azure/blob-settings.ts';
import { elementsOf, fieldOf } from '../../src/adapters/azure/storage-xml.ts';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { startEventHubs } from '../harness/event-hubs.ts';
import { text } from '../harness/received.ts';
import { until } from '../harness/until.ts';
import { lines, openComponent, testHost } from './open.ts';

const { accountName, accountKey } = azuriteAccount;

describe('bindings.azure.eventhubs', () => {
  let server: Awaited<ReturnType<typeof startEventHubs>>;
  let azurite: Awaited<ReturnType<typeof startAzurite>>;
  let storageConnectionString: string;
  const ending: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    [server, azurite] = await Promise.all([startEventHubs({ partitions: 2 }), startAzurite('blob')]);
    storageConnectionString = `AccountName=${accountName};AccountKey=${accountKey};BlobEndpoint=${azurite.endpoint}/${accountName}`;
  }, 60_000);
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
    server.refusals.length = 0;
  });
  afterAll(async () => {
    await server?.stop();
    await azurite?.stop();
  });
  const open = async (metadata: Record<string, string>) => {
    const { port } = await openComponent<Binding>('bindings.azure.eventhubs', { connectionString: server.connectionString, consumerGroup: 'g', storageConnectionString, storageContainerName: 'checkpoints', backOffDuration: '10ms', ...metadata });
    const closing = { done: false };
    const close = async () => {
      if (!closing.done) await port.close();
      closing.done = true;
    };
    ending.push(close);
    const send = (data: string, wanted: Record<string, string> = {}) => port.invoke?.({ operation: 'create', data: Buffer.from(data), metadata: wanted }, background);
    return { port, send, close };
  };
  const read = async (port: Binding, handle: (event: BindingEvent) => Promise<unknown>) => port.read?.(async (event) => void (await handle(event)) as undefined);
  /** Metadata of the blobs below that prefix, names without it. */
  const blobs = async (prefix: string) => {
    const container = blobContainer(testHost(), await connectedAccount(storageConnectionString), 'checkpoints', 0);
    const page = await container.list({ prefix, marker: '', maxResults: undefined, include: ['metadata'] }, undefined);
    return Object.fromEntries(page.blobs.map((xml): [string, Record<string, string | undefined>] => {
      const metadata = elementsOf(xml, 'Metadata')[0] ?? '';
      return [blobName(xml).slice(prefix.length), Object.fromEntries(['ownerid', 'offset', 'sequencenumber'].flatMap((name) => (fieldOf(metadata, name) === undefined ? [] : [[name, fieldOf(metadata, name)]])))];
    }));
  };
  const namespace = () => `127.0.0.1:${server.port}`;

  test('events both ways: bytes, key, content type, system properties, and those of the sender where they are wanted', async () => {
    const { port, send } = await open({ eventHub: 'both', getAllMessageProperties: 'true' });
    expect(port.operations).toEqual(['create']);
    const events: BindingEvent[] = [];
    await read(port, async (event) => events.push(event));
    expect(await send('{"a":1}', { partitionKey: 'k1', contentType: 'application/json' })).toBeNull();
    server.put('both', { message_id: 'm2', body: Buffer.from([0, 255]), application_properties: { color: 'red', count: 3, at: new Date(0), nested: { a: 1 } }, message_annotations: { 'iothub-connection-device-id': 'd1', 'iothub-enqueuedtime': new Date(1000), other: 'x' } }, 'k2');
    await until(() => events.length === 2);
    const sent = server.events('both').flat().find(({ message }) => message.message_id !== 'm2')?.message;
    expect(sent).toMatchObject({ content_type: 'application/json', message_annotations: { 'x-opt-partition-key': 'k1' } });
    const [first, second] = events.sort((a, b) => b.data.length - a.data.length) as [BindingEvent, BindingEvent];
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect([text(first), first.metadata]).toEqual(['{"a":1}', { 'x-opt-sequence-number': '0', 'x-opt-offset': '0', 'x-opt-enqueued-time': time, 'x-opt-partition-key': 'k1', 'message-id': sent?.message_id }]);
    expect([[...second.data], second.metadata]).toEqual([[0, 255], { 'x-opt-sequence-number': '0', 'x-opt-offset': '0', 'x-opt-enqueued-time': time, 'message-id': 'm2', 'iothub-connection-device-id': 'd1', 'iothub-enqueuedtime': '1970-01-01T00:00:01Z', color: 'red', count: '3', at: '1970-01-01T00:00:00Z' }]);
  });

  test('checkpoints and owners stand in the container as other clients lay them out; reading goes on from there', async () => {
    const first = await open({ eventHub: 'Kept', consumerGroup: 'Group' });
    const seen: string[] = [];
    await read(first.port, async (event) => seen.push(text(event)));
    for (let i = 0; i < 6; i++) await first.send(String(i), { partitionKey: i % 2 === 0 ? 'a' : 'b' });
    await until(() => seen.length === 6);
    await until(async () => (await blobs(`${namespace()}/Kept/Group/checkpoint/`))['0']?.sequencenumber === '2');
    const owners = await blobs(`${namespace()}/Kept/Group/ownership/`);
    expect([Object.keys(owners), owners['0']?.ownerid === owners['1']?.ownerid, owners['0']?.ownerid !== '']).toEqual([['0', '1'], true, true]);
    await first.close();
    expect(await blobs(`${namespace()}/Kept/Group/checkpoint/`)).toEqual({ 0: { offset: '128', sequencenumber: '2' }, 1: { offset: '128', sequencenumber: '2' } });
    expect(Object.values(await blobs(`${namespace()}/Kept/Group/ownership/`)).map(({ ownerid }) => ownerid ?? '')).toEqual(['', '']);
    server.put('Kept', { body: Buffer.from('while away') }, 'a');
    const second = await open({ eventHub: 'Kept', consumerGroup: 'Group' });
    await read(second.port, async (event) => seen.push(text(event)));
    await until(() => seen.length === 7);
    await second.send('after', { partitionKey: 'b' });
    await until(() => seen.length === 8);
    expect(seen.slice(6)).toEqual(['while away', 'after']);
    expect(server.filters.slice(-2)).toEqual(["amqp.annotation.x-opt-offset > '128'", "amqp.annotation.x-opt-offset > '128'"]);
  });

  test('where reading began is written down at once: what comes before the first event was handled is not lost', async () => {
    server.put('begun', { body: Buffer.from('before anybody') }, 'a');
    const first = await open({ eventHub: 'begun' });
    await read(first.port, async () => undefined);
    await first.close();
    expect(await blobs(`${namespace()}/begun/g/checkpoint/`)).toEqual({ 0: { offset: '-1', sequencenumber: '-1' }, 1: { offset: '0', sequencenumber: '0' } });
    server.put('begun', { body: Buffer.from('between') }, 'a');
    const second = await open({ eventHub: 'begun' });
    const seen: string[] = [];
    await read(second.port, async (event) => seen.push(text(event)));
    await until(() => seen.length > 0);
    expect(seen).toEqual(['between']);
  });

  test('an event that the app refuses is tried again three times, then passed over; one in hand at the end comes again', async () => {
    const { port, send, close } = await open({ eventHub: 'refused', enableInOrderMessageDelivery: 'true' });
    const seen: string[] = [];
    let release = () => {};
    await read(port, async (event) => {
      seen.push(text(event));
      if (text(event) === 'bad') throw new Error('refused by the test');
      if (text(event) === 'slow') await new Promise<void>((resolve) => (release = resolve));
    });
    for (const data of ['good', 'bad', 'next', 'slow', 'later']) await send(data, { partitionKey: 'a' });
    await until(() => seen.includes('slow'));
    expect(seen).toEqual(['good', 'bad', 'bad', 'bad', 'bad', 'next', 'slow']);
    expect(lines.some((line) => line.includes('Too many failed attempts at processing Eventhubs events for topic refused. Error: refused by the test'))).toBe(true);
    const ended = close();
    await sleep(50);
    release();
    await ended;
    expect((await blobs(`${namespace()}/refused/g/checkpoint/`))['1']).toEqual({ offset: '192', sequencenumber: '3' });
    const again = await open({ eventHub: 'refused' });
    await read(again.port, async (event) => seen.push(text(event)));
    await until(() => seen.at(-1) === 'later');
    expect(seen).toHaveLength(8);
  });

  test('events of a partition go to the app at once unless order is wanted', async () => {
    const { port, send } = await open({ eventHub: 'parallel' });
    let running = 0, highest = 0, done = 0;
    await read(port, async () => {
      highest = Math.max(highest, ++running);
      await sleep(50);
      running--;
      done++;
    });
    for (let i = 0; i < 10; i++) await send(String(i), { partitionKey: 'a' });
    await until(() => done === 10);
    expect(highest).toBeGreaterThan(3);
  });

  test('two sidecars share the partitions', async () => {
    const [one, two] = [await open({ eventHub: 'shared' }), await open({ eventHub: 'shared' })];
    const seen: string[] = [];
    await read(one.port, async (event) => seen.push(`one ${text(event)}`));
    await until(() => server.reading('shared').length === 2);
    await read(two.port, async (event) => seen.push(`two ${text(event)}`));
    await until(async () => new Set(Object.values(await blobs(`${namespace()}/shared/g/ownership/`)).map(({ ownerid }) => ownerid)).size === 2, 40_000);
    await until(() => server.reading('shared').length === 2, 40_000);
    await one.send('a', { partitionKey: 'a' });
    await one.send('b', { partitionKey: 'b' });
    await until(() => seen.length >= 2, 40_000);
    expect(new Set(seen.map((line) => line.split(' ')[0])).size).toBe(2);
  }, 120_000);

  test('a lost connection is made again, for sending and reading', async () => {
    const { port, send } = await open({ eventHub: 'cut' });
    const seen: string[] = [];
    await read(port, async (event) => seen.push(text(event)));
    await send('one');
    await until(() => seen.includes('one'));
    server.cut();
    await sleep(100); // what is sent into a connection that is breaking waits for sendTimeoutMs
    await send('two');
    await until(() => seen.includes('two'), 50_000);
  }, 60_000);

  test('a connection string for one Event Hub needs no name; what is too large or refused is told', async () => {
    const { send } = await open({ connectionString: `${server.connectionString};EntityPath=own` });
    await send('x');
    expect(server.events('own').flat()).toHaveLength(1);
    await expect(send('x'.repeat(1_100_000))).rejects.toThrow('error adding messages to batch: the EventData could not be added because it is too large for the batch');
    server.refusals.push('amqp:link:message-size-exceeded');
    await expect(send('x')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/^error publishing batch: .*asked for by the test/) });
  });

  test.each([
    [{ connectionString: '' }, 'one of connectionString or eventHubNamespace is required'],
    [{ eventHubNamespace: 'ns' }, 'only one of connectionString or eventHubNamespace should be passed'],
    [{ connectionString: '', eventHubNamespace: 'ns' }, "property 'eventHub' is required when connecting with Azure AD"],
    [{}, "the provided connection string does not contain a value for 'EntityPath' and no 'eventHub' property was passed"],
    [{ connectionString: '', eventHubNamespace: 'ns', eventHub: 'h', azureAuthMethods: 'none' }, "failed to get credentials from Azure AD: all Azure auth methods have been disabled with auth method 'None'"],
    [{ connectionString: '', eventHubNamespace: 'ns', eventHub: 'h', enableEntityManagement: 'true' }, 'property resourceGroupName is required for entity management'],
    [{ eventHub: 'h', backOffPolicy: 'never' }, 'unexpected back off policy type: never'],
  ] as [Record<string, string>, string][])('metadata %j is refused', async (metadata, words) => {
    await expect(open(metadata)).rejects.toThrow(words);
  });
  test.each([
    [{ consumerGroup: '' }, 'property consumerID is required to subscribe to an Event Hub topic'],
    [{ storageConnectionString: '' }, 'property storageAccountName is required to subscribe to an Event Hub topic'],
    [{ storageContainerName: '' }, 'property storageContainerName is required to subscribe to an Event Hub topic'],
  ] as [Record<string, string>, string][])('reading with %j is refused', async (metadata, words) => {
    const { port } = await open({ eventHub: 'h', ...metadata });
    await expect(read(port, async () => undefined)).rejects.toThrow(words);
  });
});
