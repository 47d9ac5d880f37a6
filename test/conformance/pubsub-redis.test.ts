// pubsub.redis: the entries in the stream, those that daprd wrote and those we write, and what is left pending, lost or slow.
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Message, MessageHandler, PubSub, Subscription } from '../../src/blocks/pubsub/port.ts';
import { createComponentStore } from '../../src/blocks/components/store.ts';
import { createPubSubBlock } from '../../src/blocks/pubsub/pubsub.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { text } from '../harness/received.ts';
import { startRedis } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { lines, openComponent } from './open.ts';

/** A publish request as it was sent to a daprd 1.18.2 named `shop`, and the entry it wrote. */
interface Stored {
  topic: string;
  contentType: string;
  /** Base64. */
  body: string;
  metadata: Record<string, string>;
  raw: boolean;
  entry: { data: string; metadata: string };
}
const stored = JSON.parse(readFileSync(new URL('../fixtures/pubsub-redis/daprd-entries.json', import.meta.url), 'utf8')) as Stored[];

/** What differs from one publish to the next. */
const settled = (event: string) => event.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID').replace(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"/g, '"TIME"');

describeWithServer('redis', 'pubsub.redis on the server', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  const opened: PubSub[] = [];
  const subscriptions: Subscription[] = [];
  let run = 0;
  const topicOf = (name: string) => `${name}-${++run}`;
  const open = async (metadata: Record<string, string> = {}) => {
    const component = await openComponent<PubSub>('pubsub.redis', { redisHost: `127.0.0.1:${redis.port}`, ...metadata });
    opened.push(component.port);
    return component;
  };
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler) => {
    const subscription = await port.subscribe({ topic, metadata: {} }, handler);
    subscriptions.push(subscription);
    return subscription;
  };
  const publish = (port: PubSub, topic: string, data: string) => port.publish({ topic, data: Buffer.from(data), metadata: {} }, background);
  const pending = async (topic: string, group = 'conformance') => ((await redis.command('XPENDING', topic, group)) as [number])[0];

  beforeAll(async () => {
    redis = await startRedis({ persist: true });
  });
  afterEach(async () => {
    await Promise.all(subscriptions.splice(0).map((s) => s.close()));
    await Promise.all(opened.splice(0).map((port) => port.close()));
  });
  afterAll(() => redis.stop());

  test('writes what daprd writes', async () => {
    const components = createComponentStore();
    const { name: _, ...component } = await open();
    components.add({ ...component, name: 'bus' });
    const broker = createPubSubBlock({ components, appId: 'shop', namespace: '', maxParallel: 100 }).component('bus', {});
    for (const { topic, contentType, body, metadata, raw, entry } of stored) {
      await broker.publish(topic, { data: Buffer.from(body, 'base64'), contentType, metadata, trace: { traceparent: '', tracestate: '' } }, raw, background);
      const [[, fields]] = (await redis.command('XREVRANGE', topic, '+', '-', 'COUNT', '1')) as [[string, string[]]];
      expect(fields.filter((_, i) => i % 2 === 0)).toEqual(['data', 'metadata']);
      expect({ data: settled(fields[1]!), metadata: fields[3] }).toEqual({ data: settled(entry.data), metadata: entry.metadata });
    }
  });
  test('reads what daprd wrote', async () => {
    const { port } = await open();
    const topic = topicOf('daprd');
    const messages: Message[] = [];
    // The order of the two fields is not fixed.
    for (const [i, { entry }] of stored.entries()) await redis.command('XADD', topic, '*', ...(i % 2 ? ['metadata', entry.metadata, 'data', entry.data] : ['data', entry.data, 'metadata', entry.metadata]));
    await subscribe(port, topic, async (message) => void messages.push(message));
    await until(() => messages.length === stored.length);
    for (const { entry } of stored) expect(messages.find((message) => text(message) === entry.data)?.metadata).toEqual(JSON.parse(entry.metadata));
  });
  test('names group and consumer by consumerID, blanks trimmed', async () => {
    const { port } = await open({ consumerID: ' billing ' });
    const topic = topicOf('named');
    let seen = 0;
    await subscribe(port, topic, async () => void seen++);
    await publish(port, topic, 'x');
    await until(() => seen === 1);
    expect(await redis.command('XINFO', 'CONSUMERS', topic, 'billing')).toMatchObject([expect.arrayContaining(['name', 'billing'])]);
  });
  test('acknowledges failures too', async () => {
    const { port } = await open();
    const topic = topicOf('failing');
    let calls = 0;
    await subscribe(port, topic, async () => {
      calls++;
      throw new Error('no');
    });
    await publish(port, topic, 'x');
    await until(async () => calls === 1 && (await pending(topic)) === 0);
  });
  test('cuts streams by length or age', async () => {
    await redis.command('CONFIG', 'SET', 'stream-node-max-entries', '1');
    const { port: short } = await open({ maxLenApprox: '3' });
    const { port: young } = await open({ streamTTL: '1h' });
    const [few, aged] = [topicOf('few'), topicOf('aged')];
    for (let i = 0; i < 5; i++) await publish(short, few, `${i}`);
    expect(await redis.command('XLEN', few)).toBe(3);
    await redis.command('XADD', aged, '1-1', 'data', 'ancient');
    await publish(young, aged, 'x');
    expect(await redis.command('XLEN', aged)).toBe(1);
  });
  test('takes over what another consumer left, but not what it still works on', async () => {
    const topic = topicOf('left');
    await redis.command('XGROUP', 'CREATE', topic, 'conformance', '0', 'MKSTREAM');
    for (const data of ['a', 'b', 'gone']) await redis.command('XADD', topic, '*', 'data', data);
    await redis.command('XREADGROUP', 'GROUP', 'conformance', 'crashed', 'STREAMS', topic, '>');
    const [, , gone] = (await redis.command('XRANGE', topic, '-', '+')) as [string][];
    await redis.command('XDEL', topic, gone![0]);
    const { port } = await open({ processingTimeout: '400', redeliverInterval: '100' });
    const seen: string[] = [];
    const began = Date.now();
    await subscribe(port, topic, async (message) => void seen.push(text(message)));
    await until(async () => seen.length === 2 && (await pending(topic)) === 0);
    expect(seen).toEqual(['a', 'b']);
    expect(Date.now() - began).toBeGreaterThan(300);
  });
  test('pages through more overdue messages than fit into one look', async () => {
    const topic = topicOf('pages');
    await redis.command('XGROUP', 'CREATE', topic, 'conformance', '0', 'MKSTREAM');
    for (let i = 0; i < 25; i++) await redis.command('XADD', topic, '*', 'data', `${i}`);
    await redis.command('XREADGROUP', 'GROUP', 'conformance', 'crashed', 'STREAMS', topic, '>');
    const { port } = await open({ processingTimeout: '1', redeliverInterval: '60000', queueDepth: '10' });
    const seen = new Set<string>();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await subscribe(port, topic, async (message) => void seen.add(text(message)));
    await until(async () => seen.size === 25 && (await pending(topic)) === 0);
  });
  test('delivers once more what takes longer than processingTimeout, and acknowledges it in the end', async () => {
    const { port } = await open({ processingTimeout: '200', redeliverInterval: '100' });
    const topic = topicOf('slow');
    let calls = 0;
    await subscribe(port, topic, async () => {
      if (++calls === 1) await new Promise((resolve) => setTimeout(resolve, 600));
    });
    await publish(port, topic, 'x');
    await until(() => calls >= 2);
    await until(async () => (await pending(topic)) === 0);
  });
  test('delivers no more at once than its workers', async () => {
    const { port } = await open({ concurrency: '2' });
    const topic = topicOf('workers');
    let now = 0, most = 0, done = 0;
    await subscribe(port, topic, async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 30));
      now--;
      done++;
    });
    for (let i = 0; i < 8; i++) await publish(port, topic, `${i}`);
    await until(() => done === 8);
    expect(most).toBe(2);
  });
  test('what was taken but not begun is left to the next subscription', async () => {
    const { port } = await open({ concurrency: '1' });
    const topic = topicOf('leaving');
    const first: string[] = [], second: string[] = [];
    let release = () => {};
    const subscription = await subscribe(port, topic, (message) => new Promise<void>((resolve) => {
      first.push(text(message));
      release = resolve;
    }));
    for (const data of ['a', 'b', 'c']) await publish(port, topic, data);
    await until(async () => first.length === 1 && (await pending(topic)) === 3);
    const closing = subscription.close();
    release();
    await closing;
    expect([first, await pending(topic)]).toEqual([['a'], 2]);
    await subscribe(port, topic, async (message) => void second.push(text(message)));
    await until(async () => (await pending(topic)) === 0);
    expect(second).toEqual(['b', 'c']);
  });
  test('makes a lost group anew, from the beginning', async () => {
    const { port } = await open();
    const topic = topicOf('lost');
    const seen: string[] = [];
    await subscribe(port, topic, async (message) => void seen.push(text(message)));
    await publish(port, topic, 'x');
    await until(() => seen.length === 1);
    await redis.command('XGROUP', 'DESTROY', topic, 'conformance');
    await until(() => seen.length === 2);
    expect(lines.some((line) => line.includes('NOGROUP'))).toBe(true);
    await publish(port, topic, 'y');
    await until(() => seen.includes('y'));
  });
  test('goes on when Redis comes back', async () => {
    const { port } = await open();
    const topic = topicOf('back');
    const seen: string[] = [];
    await subscribe(port, topic, async (message) => void seen.push(text(message)));
    await publish(port, topic, 'before');
    await until(() => seen.length === 1);
    await redis.kill();
    await expect(publish(port, topic, 'meanwhile')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringMatching(/^redis streams: error from publish: /) });
    await redis.restart();
    await until(() => publish(port, topic, 'after').then(() => true, () => false));
    await until(() => seen.includes('after'));
  });
  test('ends at once though Redis is gone', async () => {
    const { port } = await open();
    const subscription = await port.subscribe({ topic: topicOf('ending'), metadata: {} }, async () => undefined);
    await redis.kill();
    const began = Date.now();
    await subscription.close();
    await port.close();
    opened.length = 0;
    expect(Date.now() - began).toBeLessThan(3000);
    await redis.restart();
  });
  test('says what a key of another kind means', async () => {
    const { port } = await open();
    const topic = topicOf('taken');
    await redis.command('SET', topic, 'by a string');
    await expect(publish(port, topic, 'x')).rejects.toThrow('redis streams: error from publish: WRONGTYPE Operation against a key holding the wrong kind of value');
    await expect(port.subscribe({ topic, metadata: {} }, async () => undefined)).rejects.toThrow('WRONGTYPE');
  });
});
