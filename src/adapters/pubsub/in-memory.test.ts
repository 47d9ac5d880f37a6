import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import type { ComponentContext } from '../../blocks/components/definition.ts';
import type { Message, PubSub } from '../../blocks/pubsub/port.ts';
import definition from './in-memory.ts';

const errors: string[] = [];
const open = (concurrencyMode = 'single'): Promise<PubSub> => definition.open({ concurrencyMode }, { log: { error: (text: string) => errors.push(text) } } as unknown as ComponentContext);
const publish = (bus: PubSub, topic: string, text = 'x', metadata: Record<string, string> = {}) => bus.publish({ topic, data: new TextEncoder().encode(text), metadata }, background);
const text = ({ data }: Message) => new TextDecoder().decode(data);
const tick = () => new Promise((resolve) => setTimeout(resolve, 1));
/** A handler that ends when told. */
function held() {
  const seen: string[] = [];
  const ends: (() => void)[] = [];
  return { seen, end: () => ends.shift()?.(), handler: (message: Message) => new Promise<void>((resolve) => { seen.push(text(message)); ends.push(resolve); }) };
}

describe('pubsub.in-memory', () => {
  it('a publisher waits for the message before its own, not for its own', async () => {
    const bus = await open();
    const { seen, end, handler } = held();
    await bus.subscribe({ topic: 't', metadata: {} }, handler);
    await publish(bus, 't', '1');
    const done: string[] = [];
    const second = publish(bus, 't', '2').then(() => done.push('2'));
    const third = publish(bus, 't', '3').then(() => done.push('3'));
    await tick();
    expect([seen, done]).toEqual([['1'], []]);
    end();
    await second;
    expect([seen, done]).toEqual([['1', '2'], ['2']]);
    end();
    await third;
    expect(seen).toEqual(['1', '2', '3']);
  });
  it('subscriptions do not wait for each other beyond that', async () => {
    const bus = await open();
    const slow = held(), quick = held();
    await bus.subscribe({ topic: 'slow', metadata: {} }, slow.handler);
    await bus.subscribe({ topic: 'quick', metadata: {} }, quick.handler);
    await publish(bus, 'slow');
    await publish(bus, 'quick');
    expect([slow.seen, quick.seen]).toEqual([['x'], ['x']]);
  });
  it.each([
    ['eu/*', 'eu/a/b', true],
    ['eu/*', 'eu/', false],
    ['eu/*', 'eu/*', true],
    ['*', 'x', true],
    ['a*b', 'axb', false],
    ['a*b', 'a*b', true],
    ['t', 'T', false],
  ])('a subscription of %s hears %s: %s', async (subscribed, topic, hears) => {
    const bus = await open();
    const topics: string[] = [];
    await bus.subscribe({ topic: subscribed, metadata: {} }, async (message) => void topics.push(message.topic));
    await publish(bus, topic);
    expect(topics).toEqual(hears ? [subscribed] : []);
  });
  it('gives each subscription metadata of its own', async () => {
    const bus = await open();
    const seen: Record<string, string>[] = [];
    const handler = async ({ metadata }: Message) => { metadata[`m${seen.length}`] = 'x'; seen.push(metadata); };
    await bus.subscribe({ topic: 't', metadata: {} }, handler);
    await bus.subscribe({ topic: '*', metadata: {} }, handler);
    await publish(bus, 't', 'x', { a: 'b' });
    expect(seen).toEqual([{ a: 'b', m0: 'x' }, { a: 'b', m1: 'x' }]);
  });
  it('logs and forgets what failed', async () => {
    const bus = await open();
    let calls = 0;
    await bus.subscribe({ topic: 't', metadata: {} }, async () => { calls++; throw new Error('refused by the app'); });
    await publish(bus, 't');
    await publish(bus, 't');
    await tick();
    expect([calls, errors.splice(0)]).toEqual([2, ['refused by the app', 'refused by the app']]);
  });
  it('takes a dead letter for the very subscription whose handler sends it', async () => {
    const bus = await open();
    const seen: string[] = [];
    await bus.subscribe({ topic: '*', metadata: {} }, async (message) => {
      seen.push(text(message));
      if (text(message) === 'bad') await bus.publish({ topic: 'dead', data: new TextEncoder().encode('dead'), metadata: {}, fromHandler: true }, background);
    });
    await publish(bus, 't', 'bad');
    await tick();
    expect(seen).toEqual(['bad', 'dead']);
  });
  it('closing a subscription waits for what it has taken and takes no more', async () => {
    const bus = await open();
    const { seen, end, handler } = held();
    const subscription = await bus.subscribe({ topic: 't', metadata: {} }, handler);
    await publish(bus, 't', '1');
    const waiting = publish(bus, 't', '2');
    let closed = false;
    const closing = subscription.close().then(() => { closed = true; });
    await publish(bus, 't', '3');
    end();
    await waiting;
    await tick();
    expect([seen, closed]).toEqual([['1', '2'], false]);
    end();
    await closing;
  });
  it('refuses to work when closed', async () => {
    const bus = await open();
    await bus.close();
    await expect(publish(bus, 't')).rejects.toMatchObject({ kind: 'invalid', message: 'component is closed' });
    await expect(bus.subscribe({ topic: 't', metadata: {} }, async () => undefined)).rejects.toThrow('closed');
  });
  it('delivers up to a hundred at once with concurrencyMode parallel', async () => {
    const bus = await open('parallel');
    const { seen, end, handler } = held();
    await bus.subscribe({ topic: 't', metadata: {} }, handler);
    for (let i = 0; i < 100; i++) await publish(bus, 't', String(i));
    expect(seen).toHaveLength(100);
    let went = false;
    const next = publish(bus, 't', 'next').then(() => { went = true; });
    await tick();
    expect(went).toBe(false);
    end();
    await next;
    expect(seen.at(-1)).toBe('next');
  });
  it('gathers batches for bulk subscriptions: one at the app, the next one behind it, then publishers wait', async () => {
    const bus = await open();
    const batches: string[][] = [];
    const ends: (() => void)[] = [];
    await bus.bulkSubscribe!({ topic: 't', metadata: {}, maxMessagesCount: 2, maxAwaitDurationMs: 60_000 }, (batch) => {
      batches.push(batch.entries.map(({ data }) => new TextDecoder().decode(data)));
      return new Promise((resolve) => ends.push(() => resolve(new Map())));
    });
    for (const name of ['1', '2', '3', '4']) await publish(bus, 't', name);
    let went = false;
    const fifth = publish(bus, 't', '5').then(() => { went = true; });
    await tick();
    expect([batches, went]).toEqual([[['1', '2']], false]);
    ends.shift()?.();
    await fifth;
    expect(batches).toEqual([['1', '2'], ['3', '4']]);
  });
});
