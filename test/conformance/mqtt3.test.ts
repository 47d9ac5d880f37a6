// pubsub.mqtt3 and bindings.mqtt3 on the broker: sessions, what is not acknowledged, retained messages, wildcards, lost connections.
import { connectAsync } from 'mqtt';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import type { Message, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { collect, text } from '../harness/received.ts';
import { startMosquitto } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { openComponent } from './open.ts';

const quiet = () => new Promise((resolve) => setTimeout(resolve, 200));

describeWithServer('mosquitto', 'MQTT', () => {
  let server: Awaited<ReturnType<typeof startMosquitto>>;
  const opened: { close(): Promise<void> }[] = [];
  let run = 0;
  const nameOf = (name: string) => `${name}-${++run}`;
  const open = async (metadata: Record<string, string> = {}): Promise<PubSub> => {
    const { port } = await openComponent<PubSub>('pubsub.mqtt3', { url: `tcp://127.0.0.1:${server.port}`, consumerID: nameOf('client'), ...metadata });
    opened.push(port);
    return port;
  };
  const publish = (port: PubSub, topic: string, data: string, metadata: Record<string, string> = {}) => port.publish({ topic, data: Buffer.from(data), metadata }, background);
  beforeAll(async () => {
    server = await startMosquitto({ persist: true });
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  afterAll(() => server.stop());

  test.each(['1', '2'])('QoS %s: what was not acknowledged, and what came meanwhile, is delivered to the next session of the client', async (qos) => {
    const topic = nameOf('session'), consumerID = nameOf('client');
    const sender = await open({ qos });
    const first = await open({ consumerID, qos });
    const seen: string[] = [];
    await first.subscribe({ topic, metadata: {} }, async (message) => {
      seen.push(text(message));
      if (text(message) === 'refused') throw new Error('refused by the test');
    });
    for (const one of ['taken', 'refused', 'taken too']) await publish(sender, topic, one);
    await until(() => seen.length === 3);
    await quiet();
    expect(seen.sort()).toEqual(['refused', 'taken', 'taken too']);
    await first.close();
    await publish(sender, topic, 'meanwhile');
    const { handler, texts } = collect<Message>();
    await (await open({ consumerID, qos })).subscribe({ topic, metadata: {} }, handler);
    await until(() => texts().length === 2);
    await quiet();
    expect(texts().sort()).toEqual(['meanwhile', 'refused']);
  });
  test('a clean session knows nothing of before', async () => {
    const topic = nameOf('clean'), consumerID = nameOf('client');
    const sender = await open();
    const first = await open({ consumerID, cleanSession: 'true' });
    await first.subscribe({ topic, metadata: {} }, async () => undefined);
    await first.close();
    await publish(sender, topic, 'meanwhile');
    const { handler, texts } = collect<Message>();
    await (await open({ consumerID, cleanSession: 'true' })).subscribe({ topic, metadata: {} }, handler);
    await publish(sender, topic, 'now');
    await until(() => texts().includes('now'));
    expect(texts()).toEqual(['now']);
  });
  test('a subscription that ends keeps its place, unless it says otherwise', async () => {
    const port = await open(), sender = await open();
    for (const [unsubscribeOnClose, expected] of [['false', ['between', 'now']], ['true', ['now']]] as const) {
      const topic = nameOf('place');
      const subscription = await port.subscribe({ topic, metadata: { unsubscribeOnClose } }, async () => undefined);
      await subscription.close();
      await publish(sender, topic, 'between');
      await quiet();
      const { handler, texts } = collect<Message>();
      await port.subscribe({ topic, metadata: {} }, handler);
      await publish(sender, topic, 'now');
      await until(() => texts().includes('now'));
      expect(texts()).toEqual(expected);
    }
  });
  test('slow messages do not hold up others', async () => {
    const topic = nameOf('parallel');
    const port = await open();
    let slow: (() => void) | undefined;
    const { handler, texts } = collect<Message>();
    await port.subscribe({ topic, metadata: {} }, async (message) => {
      if (text(message) === 'slow') await new Promise<void>((resolve) => { slow = resolve; });
      await handler(message);
    });
    for (const one of ['slow', 'a', 'b']) await publish(port, topic, one);
    await until(() => texts().length === 2);
    slow?.();
    await until(() => texts().length === 3);
    expect(texts()).toEqual(['a', 'b', 'slow']);
  });
  test('retained: by the component, or the message', async () => {
    const port = await open();
    const topic = nameOf('retained');
    await publish(port, topic, 'kept', { retain: 'true' });
    await publish(port, topic, 'passing');
    const { handler, messages, texts } = collect<Message>();
    await port.subscribe({ topic, metadata: {} }, handler);
    await until(() => messages.length === 1);
    await publish(port, topic, 'live');
    await until(() => messages.length === 2);
    expect(messages.map(({ metadata }, i) => [texts()[i], metadata.retained])).toEqual([['kept', 'true'], ['live', 'false']]);
    await publish(port, topic, '', { retain: 'true' });
  });
  test('wildcards and shared subscriptions deliver under the real topic', async () => {
    const base = nameOf('wild');
    const [one, two, sender] = [await open(), await open(), await open()];
    const [a, b, hash] = [collect<Message>(), collect<Message>(), collect<Message>()];
    await one.subscribe({ topic: `$share/g/${base}/+`, metadata: {} }, a.handler);
    await two.subscribe({ topic: `$share/g/${base}/+`, metadata: {} }, b.handler);
    await sender.subscribe({ topic: `${base}/#`, metadata: {} }, hash.handler);
    for (let i = 0; i < 10; i++) await publish(sender, `${base}/x${i}`, String(i));
    await until(() => hash.messages.length === 10 && a.messages.length + b.messages.length === 10);
    expect(hash.messages.map(({ topic }) => topic).sort()).toEqual(Array.from({ length: 10 }, (_, i) => `${base}/x${i}`));
    await expect(publish(sender, `${base}/#`, 'x')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(publish(sender, base, 'x', { retain: 'perhaps' })).rejects.toMatchObject({ kind: 'invalid', message: 'mqtt invalid retain perhaps, strconv.ParseBool: parsing "perhaps": invalid syntax' });
    await expect(publish(sender, '', 'x')).rejects.toMatchObject({ kind: 'invalid', message: 'topic name is empty' });
  });
  test('the broker restarts: messages that are published meanwhile wait, nothing is lost', async () => {
    const topic = nameOf('restart');
    const [port, sender] = [await open(), await open()];
    const { handler, texts } = collect<Message>();
    await port.subscribe({ topic, metadata: {} }, handler);
    await publish(sender, topic, 'before');
    await until(() => texts().includes('before'));
    await server.kill('SIGTERM');
    const during = publish(sender, topic, 'during');
    await server.restart();
    await during;
    await publish(sender, topic, 'after');
    await until(() => texts().includes('during') && texts().includes('after'));
  });
  test('the binding: what the app refused is tried again, and the broker may come later', async () => {
    const topic = nameOf('bound');
    const { port } = await openComponent<Binding>('bindings.mqtt3', { url: `mqtt://127.0.0.1:${server.port}`, topic: `${topic}/+`, consumerID: nameOf('binding') });
    opened.push(port);
    const events: BindingEvent[] = [];
    const reading = await port.read?.(async (event) => {
      events.push(event);
      throw new Error('refused by the test');
    });
    const other = await connectAsync(`mqtt://127.0.0.1:${server.port}`);
    await other.publishAsync(`${topic}/a`, 'one', { qos: 1 });
    await until(() => events.length === 1);
    expect([text(events[0] as BindingEvent), events[0]?.metadata]).toEqual(['one', { topic: `${topic}/a` }]);
    await reading?.close();
    await port.read?.(async (event) => void events.push(event) as undefined);
    await until(() => events.length === 2); // a new session: it comes again
    await port.invoke?.({ operation: 'create', data: Buffer.from('two'), metadata: { topic: `${topic}/b` } }, background);
    await until(() => events.length === 3);
    expect(events[2]?.metadata).toEqual({ topic: `${topic}/b` });
    await expect(port.invoke?.({ operation: 'create', data: Buffer.from('x'), metadata: {} }, background)).rejects.toThrow('has wildcards');
    await other.endAsync();
  });
  test.each([
    [{ url: '' }, 'missing url'],
    [{ consumerID: '' }, 'missing consumerID'],
    [{ qos: '3' }, 'invalid qos 3'],
    [{ caCert: 'x' }, 'invalid TLS configuration: invalid caCert'],
    [{ url: 'http://x' }, 'failed to establish connection to broker: the url is not that of an MQTT broker'],
  ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata)).rejects.toThrow(message);
  });
  test('no broker', async () => {
    await expect(openComponent<PubSub>('pubsub.mqtt3', { url: 'tcp://127.0.0.1:1', consumerID: 'x' }, { initTimeoutMs: 300 })).rejects.toThrow('failed to establish connection to broker: context');
  });
});
