// What every message broker must do, as facts: one suite for all of them (after the conformance suite of components-contrib).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Loaded } from '../../src/blocks/components/store.ts';
import type { Message, MessageHandler, PubSub, Subscription } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { collect, text } from '../harness/received.ts';
import type { ServerName } from '../harness/servers.ts';
import { until } from '../harness/until.ts';
import { openComponent } from './open.ts';

/** What a broker declares; what it does not is asserted absent. */
export type PubSubOperation = 'groups' | 'history' | 'metadata' | 'wildcards';

export interface PubSubRow {
  type: string;
  version?: string;
  /** Installed programs the row starts. */
  servers?: ServerName[];
  /** Starts what the broker needs: component metadata, and what ends it again. */
  start(): Promise<{ metadata: Record<string, string>; stop(): Promise<void> }>;
  /** groups: members of one consumerID share the messages. history: a new group gets what was published before it. metadata: that of a publish arrives. */
  operations: readonly PubSubOperation[];
  quirks: {
    /** Messages of one topic may overtake each other. */
    unordered?: boolean;
    /** All readers of a topic share its messages, whatever their group is. */
    oneGroup?: boolean;
    /** A component reaches only its own subscriptions. */
    isolated?: boolean;
    /** Messages are texts, and never empty ones. */
    textOnly?: boolean;
    /** How many messages are published at once, default 200: an emulator may need its time. */
    many?: number;
    /** Any one level of a topic; default `*`. */
    wildcard?: string;
  };
}

const utf8 = (text: string) => new TextEncoder().encode(text);
/** Long enough for a message to arrive that should not. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 200));

export function describePubSub(row: PubSubRow): void {
  const title = `${row.type}${row.version ? ` ${row.version}` : ''}`;
  const has = (operation: PubSubOperation) => row.operations.includes(operation);

  const body = () => {
    let server: Awaited<ReturnType<PubSubRow['start']>>;
    let loaded: Loaded<PubSub>;
    const opened: PubSub[] = [];
    const subscriptions: Subscription[] = [];
    let run = 0;
    /** A topic no other test uses. */
    const topicOf = (name: string) => `${name}-${++run}-${Date.now().toString(36)}`;
    const open = async (consumerID: string) => {
      const component = await openComponent<PubSub>(row.type, { ...server.metadata, consumerID }, row.version ? { version: row.version } : {});
      opened.push(component.port);
      return component;
    };
    const publish = (topic: string, what: string | Uint8Array, metadata: Record<string, string> | undefined = {}, port = loaded.port) =>
      port.publish({ topic, data: typeof what === 'string' ? utf8(what) : what, metadata }, background);
    const subscribe = async (topic: string, handler: MessageHandler, port = loaded.port) => {
      const subscription = await port.subscribe({ topic, metadata: {} }, handler);
      subscriptions.push(subscription);
      return subscription;
    };
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => `message-${i}`);

    beforeAll(async () => {
      server = await row.start();
      loaded = await open('conformance');
    });
    afterAll(async () => {
      await Promise.all(subscriptions.map((s) => s.close()));
      await Promise.all(opened.map((port) => port.close()));
      await server.stop();
    });

    test('answers a ping where it has one', async () => {
      await loaded.port.ping?.(background);
    });
    test('delivers every message of a topic, with its bytes and metadata', async () => {
      const topic = topicOf('all');
      const { messages, handler } = collect<Message>();
      await subscribe(topic, handler);
      const bytes = row.quirks.textOnly ? utf8('ż <&>\n\t"') : new Uint8Array([0, 1, 13, 10, 127, 128, 255]);
      await publish(topic, bytes, { region: 'eu', 'Mixed-Case': 'ż <&>' });
      await publish(topic, row.quirks.textOnly ? '.' : '', {});
      await publish(topic, 'without any metadata', undefined);
      await until(() => messages.length === 3);
      expect(messages.every((m) => m.topic === topic)).toBe(true);
      const first = messages.find((m) => m.data.length === bytes.length);
      expect(Buffer.from(first!.data)).toEqual(Buffer.from(bytes));
      if (has('metadata')) expect(first!.metadata).toMatchObject({ region: 'eu', 'Mixed-Case': 'ż <&>' });
      else expect(first!.metadata).not.toHaveProperty('region');
    });
    test('goes on after failures: those messages may be lost or come again, the others all arrive', async () => {
      const topic = topicOf('failing');
      const all = numbers(10);
      const failing = new Set(['message-0', 'message-1', 'message-4', 'message-9']);
      const { texts, handler } = collect<Message>({ refuses: (message) => failing.has(text(message)) });
      await subscribe(topic, handler);
      for (const one of all) await publish(topic, one);
      await until(() => all.every((one) => failing.has(one) || texts().includes(one)));
      const arrived = texts().filter((one) => !failing.has(one));
      if (!row.quirks.unordered) expect(arrived).toEqual([...arrived].sort());
      expect(new Set(arrived).size).toBe(6);
    });
    test('takes many at once', async () => {
      const topic = topicOf('burst');
      const { texts, handler } = collect<Message>();
      await subscribe(topic, handler);
      const all = numbers(row.quirks.many ?? 200);
      await Promise.all(all.map((one) => publish(topic, one)));
      await until(() => texts().length >= all.length);
      expect(texts().sort()).toEqual([...all].sort());
    });
    test('keeps topics apart, and ends one subscription without the others', async () => {
      const [one, two] = [topicOf('one'), topicOf('two')];
      const first = collect<Message>(), second = collect<Message>();
      const firstSubscription = await subscribe(one, first.handler);
      const secondSubscription = await subscribe(two, second.handler);
      await publish(one, 'a');
      await publish(two, 'b');
      await until(() => first.messages.length === 1 && second.messages.length === 1);
      await firstSubscription.close();
      await publish(one, 'c');
      await publish(two, 'd');
      await until(() => second.messages.length === 2);
      await secondSubscription.close();
      await publish(two, 'e');
      await quiet();
      expect([first.texts(), second.texts()]).toEqual([['a'], ['b', 'd']]);
    });
    test('closing waits for the handler that runs', async () => {
      const topic = topicOf('slow');
      let began = false, ended = false;
      const subscription = await subscribe(topic, async () => {
        began = true;
        await quiet();
        ended = true;
      });
      await publish(topic, 'x');
      await until(() => began);
      await subscription.close();
      expect(ended).toBe(true);
    });
    test(`${has('groups') ? 'shares' : 'does not share'} messages between members of one group, and gives them to every group`, async () => {
      const topic = topicOf('groups');
      const other = await open('another');
      const [a, b, c] = [collect<Message>(), collect<Message>(), collect<Message>()];
      await subscribe(topic, a.handler);
      if (row.quirks.oneGroup) {
        await subscribe(topic, b.handler, other.port);
        const all = numbers(20);
        for (const one of all) await publish(topic, one);
        await until(() => a.messages.length + b.messages.length >= 20);
        await quiet();
        expect([...a.texts(), ...b.texts()].sort()).toEqual([...all].sort());
        return;
      }
      if (!has('groups')) {
        await subscribe(topic, b.handler, row.quirks.isolated ? loaded.port : other.port);
        await publish(topic, 'x');
        await until(() => a.messages.length === 1 && b.messages.length === 1);
        return;
      }
      const member = await open('conformance');
      const shared = await subscribe(topic, b.handler, member.port);
      await subscribe(topic, c.handler, other.port);
      const all = numbers(20);
      for (const one of all) await publish(topic, one);
      await until(() => a.messages.length + b.messages.length >= 20 && c.messages.length >= 20);
      await quiet();
      expect([...a.texts(), ...b.texts()].sort()).toEqual([...all].sort());
      expect(c.texts().sort()).toEqual([...all].sort());
      await shared.close(); // a member that lacks the topics to come must not take their messages
    });
    test(`${has('history') ? 'keeps' : 'does not keep'} messages for a subscription that comes later`, async () => {
      const topic = topicOf('history');
      await publish(topic, 'before');
      const { texts, handler } = collect<Message>();
      await subscribe(topic, handler);
      await publish(topic, 'after');
      await until(() => texts().includes('after'));
      expect(texts().includes('before')).toBe(has('history'));
    });
    test(`${has('wildcards') ? 'knows' : 'does not know'} wildcards`, async () => {
      expect(loaded.features.includes('SUBSCRIBE_WILDCARDS')).toBe(has('wildcards'));
      const topic = topicOf('wild');
      const { texts, handler } = collect<Message>();
      const using = subscribe(`${topic}/${row.quirks.wildcard ?? '*'}`, handler).then(() => publish(`${topic}/a`, 'x'));
      await (has('wildcards') ? using : using.catch(() => undefined)); // no name of a topic for some
      await quiet();
      expect(texts()).toEqual(has('wildcards') ? ['x'] : []);
    });
    test('refuses to publish and to subscribe once closed', async () => {
      const { port } = await open('closing');
      await port.close();
      await expect(publish('t', 'x', {}, port)).rejects.toThrow();
      await expect(port.subscribe({ topic: 't', metadata: {} }, async () => undefined)).rejects.toThrow();
    });
  };

  if (row.servers) describeWithServer(row.servers, title, body);
  else describe(title, body);
}
