// bindings.azure.servicebus.queues against a contract server of the protocol.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import { collect } from '../harness/received.ts';
import { startServiceBus } from '../harness/service-bus.ts';
import { until } from '../harness/until.ts';
import { openComponent } from './open.ts';

describe('bindings.azure.servicebus.queues', () => {
  let server: Awaited<ReturnType<typeof startServiceBus>>;
  beforeAll(async () => {
    server = await startServiceBus();
  });
  afterAll(() => server.stop());
  const open = async (metadata: Record<string, string>) => (await openComponent<Binding>('bindings.azure.servicebus.queues', { connectionString: server.connectionString, ...metadata })).port;

  test('metadata both ways, one event at a time, refused events come again', async () => {
    const port = await open({ queueName: 'orders' });
    expect(port.operations).toEqual(['create']);
    const send = (data: string, metadata: Record<string, string> = {}) => port.invoke?.({ operation: 'create', data: Buffer.from(data), metadata }, background);
    expect(await send('first', { id: 'm1', correlationID: 'c1', Label: 'l1', 'my key': 'a b/ż', ttlInSeconds: '60' })).toBeNull();
    const { handler, messages: events, texts, most } = collect<BindingEvent>({ takesMs: 5, refuses: (_, nth) => nth === 1 });
    const reading = await port.read?.(handler);
    await until(() => events.length === 2);
    await send('second');
    await send('third');
    await until(() => events.length === 4);
    expect(texts()).toEqual(['first', 'first', 'second', 'third']);
    expect(most()).toBe(1);
    expect(events[1]?.metadata).toEqual({ id: 'm1', correlationID: 'c1', label: 'l1', 'my+key': 'a+b%2F%C5%BC' });
    expect(server.sent[0]).toMatchObject({ entity: 'orders', message: { ttl: 60_000 } });
    await expect(send('x', { SessionId: 'a', PartitionKey: 'b' })).rejects.toThrow('failed to create message: session id a and partition key b should be equal when both present');
    await reading?.close();
    expect(server.inHand()).toBe(0);
    await port.close();
  });

  test.each([
    [{}, 'missing queueName'],
    [{ queueName: 'q', connectionString: '' }, 'either one of connection string or namespace name are required'],
  ] as [Record<string, string>, string][])('metadata %j is refused', async (metadata, words) => {
    await expect(open(metadata)).rejects.toThrow(words);
  });
});
