// pubsub.jetstream on the server: durable consumers, groups, redelivery, and consumers that the server has lost.
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Message, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { collect, text } from '../harness/received.ts';
import { startNats } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { addStream } from './jetstream.ts';
import { lines, openComponent } from './open.ts';

describeWithServer('nats', 'pubsub.jetstream on the server', () => {
  let server: Awaited<ReturnType<typeof startNats>>;
  let nc: NatsConnection;
  const opened: PubSub[] = [];
  let run = 0;
  /** A stream of its own, which has one subject. */
  const streamOf = async (name: string) => {
    const stream = `${name}-${++run}`;
    await addStream(server.url, stream, [stream, `${stream}.>`]);
    return stream;
  };
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<PubSub>('pubsub.jetstream', { natsURL: server.url, ...metadata });
    opened.push(port);
    return port;
  };
  const publish = (port: PubSub, topic: string, data: string) => port.publish({ topic, data: Buffer.from(data), metadata: {} }, background);
  const jsm = () => jetstreamManager(nc);
  const consumersOf = async (stream: string) => (await (await jsm()).consumers.list(stream).next()).map(({ config }) => config);

  beforeAll(async () => {
    server = await startNats();
    nc = await connect({ servers: server.url.replace('nats://', '') });
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((port) => port.close()));
  });
  afterAll(async () => {
    await nc.close();
    await server.stop();
  });

  test('asks for what the metadata say, and leaves the rest to the server', async () => {
    const stream = await streamOf('config');
    const port = await open({ streamName: stream, durableName: 'd', queueGroupName: 'g', ackWait: '2s', maxDeliver: '4', backOff: '100ms,1s', maxAckPending: '7', memoryStorage: 'true', rateLimit: '8000', deliverPolicy: 'time', startTime: '1700000000' });
    await port.subscribe({ topic: stream, metadata: {} }, async () => undefined);
    const [config] = await consumersOf(stream);
    expect(config).toMatchObject({ durable_name: 'd', deliver_group: 'g', filter_subject: stream, ack_policy: 'explicit', deliver_policy: 'by_start_time', opt_start_time: '2023-11-14T22:13:20Z', max_deliver: 4, backoff: [1e8, 1e9], max_ack_pending: 7, mem_storage: true, rate_limit_bps: 8000 });
  });
  test('an event that is published twice is kept once', async () => {
    const stream = await streamOf('twice');
    const port = await open();
    for (const data of ['{"id":"1","a":1}', '{"id":"1","a":2}', 'no event', 'no event']) await publish(port, stream, data);
    expect((await (await jsm()).streams.info(stream)).state.messages).toBe(3);
  });
  test('a durable consumer remembers what was acknowledged; what was refused comes again', async () => {
    const stream = await streamOf('durable');
    const first = await open({ durableName: 'd' });
    let refused = 0;
    const one = collect<Message>();
    const subscription = await first.subscribe({ topic: stream, metadata: {} }, async (message) => {
      if (text(message) === '2' && refused++ < 2) throw new Error('refused by the test');
      await one.handler(message);
    });
    for (const data of ['1', '2', '3']) await publish(first, stream, data);
    await until(() => one.messages.length === 3);
    expect(one.texts().sort()).toEqual(['1', '2', '3']);
    await subscription.close();
    await publish(first, stream, '4');
    await first.close();
    const two = collect<Message>();
    await (await open({ durableName: 'd' })).subscribe({ topic: stream, metadata: {} }, two.handler);
    await until(() => two.messages.length > 0);
    expect(two.texts()).toEqual(['4']);
    expect(two.messages[0]).toMatchObject({ topic: stream, metadata: { Topic: stream } });
  });
  test('members of a queue group share, what waited in one goes to the other when it ends', async () => {
    const stream = await streamOf('shared');
    const metadata = { durableName: 'd', queueGroupName: 'g', ackWait: '60s' };
    const [one, two] = [await open(metadata), await open(metadata)];
    const seen: string[] = [];
    let release: (() => void) | undefined;
    const stuck = await one.subscribe({ topic: stream, metadata: {} }, async (message) => {
      await new Promise<void>((resolve) => { release = resolve; });
      seen.push(text(message));
    });
    for (let i = 0; i < 20; i++) await publish(one, stream, String(i));
    await until(() => release !== undefined);
    await two.subscribe({ topic: stream, metadata: {} }, async (message) => void seen.push(text(message)));
    const closing = stuck.close();
    release?.();
    await closing;
    await until(() => seen.length === 20);
    expect(new Set(seen).size).toBe(20);
  });
  test('one at a time, or as many as there are', async () => {
    for (const [concurrencyMode, most] of [['', 1], ['parallel', 5]] as const) {
      const stream = await streamOf('concurrency');
      const port = await open(concurrencyMode ? { concurrencyMode } : {});
      const given = collect<Message>({ takesMs: 50 });
      await port.subscribe({ topic: stream, metadata: {} }, given.handler);
      await Promise.all(['1', '2', '3', '4', '5'].map((data) => publish(port, stream, data)));
      await until(() => given.messages.length === 5);
      expect(given.most()).toBe(most);
    }
  });
  test('a handler that takes longer than ackWait is not given the message twice', async () => {
    const stream = await streamOf('slow');
    const port = await open({ ackWait: '300ms', concurrencyMode: 'parallel' });
    let calls = 0, done = 0;
    await port.subscribe({ topic: stream, metadata: {} }, async () => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      done++;
    });
    await publish(port, stream, 'x');
    await until(() => done === 1);
    expect(calls).toBe(1);
  });
  test('a consumer that is gone is made again, from the first message that was not acknowledged', async () => {
    const stream = await streamOf('gone');
    const port = await open({ streamName: stream });
    const { handler, texts } = collect<Message>();
    await port.subscribe({ topic: stream, metadata: {} }, handler);
    await publish(port, stream, '1');
    await until(() => texts().length === 1);
    const { name } = ((await (await jsm()).consumers.list(stream).next())[0] as { name: string });
    await (await jsm()).consumers.delete(stream, name);
    await publish(port, stream, '2');
    await server.kill();
    await server.restart(); // with the connection its consumers are looked for
    await until(() => texts().length === 2, 20_000);
    expect(texts()).toEqual(['1', '2']);
    await publish(port, stream, '3');
    await until(() => texts().length === 3);
  });
  test('the server restarts: messages of before and of then arrive', async () => {
    const stream = await streamOf('restart');
    const port = await open({ ackWait: '1s' });
    const { handler, texts } = collect<Message>();
    await port.subscribe({ topic: stream, metadata: {} }, handler);
    await publish(port, stream, '1');
    await until(() => texts().length === 1);
    await server.kill();
    await server.restart();
    await until(() => publish(port, stream, '{"id":"after"}').then(() => true, () => false), 20_000);
    await until(() => texts().includes('{"id":"after"}'), 20_000);
    expect(lines.some((line) => line.includes('nats: connected again'))).toBe(true);
  });
  test.each([
    [{ natsURL: '' }, 'missing nats URL'],
    [{ jwt: 'x' }, 'missing seed key'],
    [{ seedKey: 'x' }, 'missing jwt'],
    [{ tls_client_cert: 'x' }, 'missing tls client key'],
    [{ tls_client_key: 'x' }, 'missing tls client cert'],
    [{ deliverPolicy: 'some' }, 'deliver policy some is not one of: all, last, new, sequence, time'],
    [{ concurrencyMode: 'many' }, 'invalid concurrencyMode many'],
    [{ natsURL: 'nats://127.0.0.1:1' }, 'nats: no servers available for connection'],
  ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata)).rejects.toThrow(message);
  });
  test('no stream for a subject; a durable consumer for another subject', async () => {
    const port = await open({ durableName: 'd' });
    await expect(publish(port, 'nobody.listens', 'x')).rejects.toMatchObject({ kind: 'unavailable', message: 'nats: no response from stream' });
    await expect(port.subscribe({ topic: 'nobody.listens', metadata: {} }, async () => undefined)).rejects.toThrow('nats: no stream matches subject');
    const stream = await streamOf('taken');
    await port.subscribe({ topic: stream, metadata: {} }, async () => undefined);
    await expect(port.subscribe({ topic: `${stream}.other`, metadata: {} }, async () => undefined)).rejects.toThrow('nats: subject does not match consumer');
    await expect((await open({ durableName: 'd' })).subscribe({ topic: stream, metadata: {} }, async () => undefined)).rejects.toThrow('nats: consumer is already bound to a subscription');
    await expect((await open({ durableName: 'd', maxDeliver: '9' })).subscribe({ topic: stream, metadata: {} }, async () => undefined)).rejects.toThrow(`nats: consumer name already in use: creating consumer "d" on stream "${stream}"`);
  });
});

describeWithServer('nats', 'pubsub.jetstream and users', () => {
  test.each([
    ['a token', ['--auth', 'secret'], { token: 'secret' }, {}],
    ['a token in the address', ['--auth', 'secret'], {}, { user: 'secret' }],
    ['a user and a password', ['--user', 'me', '--pass', 'p@ss'], {}, { user: 'me:p%40ss' }],
  ] as const)('%s', async (_name, flags, metadata, { user }: { user?: string }) => {
    const server = await startNats({ flags: [...flags] });
    const natsURL = user === undefined ? server.url : server.url.replace('nats://', `nats://${user}@`);
    const { port } = await openComponent<PubSub>('pubsub.jetstream', { natsURL, ...metadata });
    await port.close();
    await expect(openComponent<PubSub>('pubsub.jetstream', { natsURL: server.url })).rejects.toThrow('nats: Authorization Violation');
    await server.stop();
  });
});
