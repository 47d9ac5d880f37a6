// Sessions of pubsub.azure.servicebus.topics against a contract server of the protocol.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { BulkMessageHandler, MessageHandler, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { text } from '../harness/received.ts';
import { startServiceBus } from '../harness/service-bus.ts';
import { until } from '../harness/until.ts';
import { openComponent } from './open.ts';

describe('sessions of pubsub.azure.servicebus.topics', () => {
  let server: Awaited<ReturnType<typeof startServiceBus>>;
  const ending: (() => Promise<unknown>)[] = [];
  const open = async (metadata: Record<string, string> = {}) => {
    const { port } = await openComponent<PubSub>('pubsub.azure.servicebus.topics', { connectionString: server.connectionString, consumerID: 'app', minConnectionRecoveryInSec: '1', ...metadata });
    ending.push(() => port.close());
    return port;
  };
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler, metadata: Record<string, string> = {}) => {
    const subscription = await port.subscribe({ topic, metadata: { requireSessions: 'true', ...metadata } }, handler);
    ending.push(() => subscription.close());
    return subscription;
  };
  const publish = (port: PubSub, topic: string, SessionId: string, data: string) => port.publish({ topic, data: Buffer.from(data), metadata: { SessionId } }, background);

  beforeAll(async () => {
    server = await startServiceBus({ subscriptions: ['app'], lockMs: 1500 });
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
    server.sessionLog.length = 0;
  });
  afterAll(() => server.stop());

  test('the messages of a session come in their order, one at a time, a refused one before the next; sessions side by side', async () => {
    const port = await open();
    for (let i = 0; i < 5; i++) for (const session of ['a', 'b']) await publish(port, 'order', session, `${session}${i}`);
    const seen: string[] = [];
    const running = new Set<string>();
    let together = 0, refused = false;
    await subscribe(port, 'order', async (message) => {
      const session = message.metadata['metadata.SessionId'] as string;
      expect(running.has(session)).toBe(false);
      running.add(session);
      together = Math.max(together, running.size);
      seen.push(text(message));
      await sleep(30);
      running.delete(session);
      if (text(message) !== 'a2' || refused) return;
      refused = true;
      throw new Error('refused by the test');
    });
    await until(() => seen.length === 11);
    const of = (session: string) => seen.filter((one) => one.startsWith(session));
    expect([of('a'), of('b'), together]).toEqual([['a0', 'a1', 'a2', 'a2', 'a3', 'a4'], ['b0', 'b1', 'b2', 'b3', 'b4'], 2]);
    await publish(port, 'order', 'a', 'a5');
    await until(() => seen.length === 12);
    expect(server.sessionLog).toEqual(['+a', '+b']);
  });

  test('no more sessions at once than wanted; one without messages makes room', async () => {
    const port = await open();
    for (const session of ['x', 'y', 'z']) await publish(port, 'room', session, session);
    const seen: string[] = [];
    await subscribe(port, 'room', async (message) => void seen.push(text(message)), { maxConcurrentSessions: '1', sessionIdleTimeoutInSec: '1' });
    await until(() => seen.length === 3, 50_000);
    expect([seen, server.sessionLog.slice(0, 5)]).toEqual([['x', 'y', 'z'], ['+x', '-x', '+y', '-y', '+z']]);
  }, 60_000);

  test('the lock of a session is renewed while a handler runs; at the end the session is free and nothing is lost', async () => {
    const port = await open({ lockRenewalInSec: '1' });
    const seen: string[] = [];
    await publish(port, 'slow', 's', 'first');
    await publish(port, 'slow', 's', 'second');
    const subscription = await subscribe(port, 'slow', async (message) => {
      seen.push(text(message));
      await sleep(text(message) === 'first' ? 2400 : 0);
    });
    await until(() => seen.includes('first'));
    const closed = sleep(1900).then(() => subscription.close());
    await closed;
    expect([seen, server.sessionRenewals() >= 1, server.inHand()]).toEqual([['first'], true, 0]);
    await until(() => server.sessionLog.includes('-s'));
    await subscribe(port, 'slow', async (message) => void seen.push(text(message)));
    await until(() => seen.length === 2);
    expect(seen).toEqual(['first', 'second']);
  }, 60_000);

  test('bulk subscriptions get what one session has, and only the refused entries come again', async () => {
    const port = await open();
    for (let i = 0; i < 4; i++) await publish(port, 'bulk', 's', String(i));
    const batches: string[][] = [];
    const handler: BulkMessageHandler = async ({ entries }) => {
      batches.push(entries.map(text));
      expect(entries.every(({ metadata }) => metadata?.['metadata.SessionId'] === 's')).toBe(true);
      return new Map(batches.length > 1 ? [] : entries.filter((entry) => text(entry) === '1').map(({ entryId }) => [entryId, new Error('refused by the test')]));
    };
    const subscription = await (port.bulkSubscribe as NonNullable<PubSub['bulkSubscribe']>)({ topic: 'bulk', metadata: { requireSessions: 'yes' }, maxMessagesCount: 3, maxAwaitDurationMs: 0 }, handler);
    ending.push(() => subscription.close());
    await until(() => batches.flat().length === 5);
    expect(batches).toEqual([['0', '1', '2'], ['1', '3']]);
    expect(server.inHand()).toBe(0);
  });

  test('a lost connection is made again', async () => {
    const port = await open({ timeoutInSec: '1' });
    const seen: string[] = [];
    await subscribe(port, 'cut', async (message) => void seen.push(text(message)));
    await publish(port, 'cut', 's', 'one');
    await until(() => seen.includes('one'));
    server.cut();
    await sleep(100);
    await publish(port, 'cut', 's', 'two');
    await until(() => seen.includes('two'), 50_000);
  }, 60_000);

  test('what sessions cannot be is refused', async () => {
    const port = await open();
    await expect(subscribe(port, 'none', async () => undefined, { maxConcurrentSessions: '0' })).rejects.toThrow('maxConcurrentSessions must be 1 or greater');
  });
});
