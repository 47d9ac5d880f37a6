import { describe, expect, it, vi } from 'vitest';
import { background } from '../../core/context.ts';
import { utf8 } from '../../core/go-json.ts';
import { HttpFailure, type HttpResponse } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { AppChannel, AppRequest } from '../../blocks/invoke/app-channel.ts';
import { createComponentStore } from '../../blocks/components/store.ts';
import type { Message, MessageHandler, PubSub } from '../../blocks/pubsub/port.ts';
import { createPubSubBlock } from '../../blocks/pubsub/pubsub.ts';
import { createResiliency } from '../../blocks/resiliency/resiliency.ts';
import { createSubscriptions, type Subscriptions } from './subscriptions.ts';

type Reply = Partial<HttpResponse> | (() => never);
const json = (value: unknown, status = 200): Reply => ({ status, body: utf8(JSON.stringify(value)) });

/** Subscriptions of an app that answers as told, on one broker `bus` that only remembers who subscribed. */
function sidecar(told: Reply[], options: { answer?: Reply; properties?: Record<string, string>; refuse?: (topic: string) => boolean } = {}) {
  const logged: string[] = [];
  const say = (message: string) => void logged.push(message);
  const log: Logger = { debug: say, info: say, warn: say, error: say, fatal: say, always: say, scope: () => log };
  const handlers = new Map<string, MessageHandler>();
  const closed: string[] = [];
  const port: PubSub = {
    publish: async () => undefined,
    subscribe: async ({ topic }, handler) => {
      if (options.refuse?.(topic)) throw new Error('the broker is not ready');
      handlers.set(topic, handler);
      return { close: async () => void closed.push(topic) };
    },
    close: async () => undefined,
  };
  const components = createComponentStore();
  components.add({ name: 'bus', type: 'pubsub.test', version: 'v1', block: 'pubsub', features: [], properties: options.properties ?? {}, port });
  const requests: AppRequest[] = [];
  const channel: AppChannel = {
    origin: 'http://127.0.0.1:1', healthy: true, close: async () => undefined,
    send: async (request) => {
      requests.push(request);
      const reply = request.path === '/dapr/subscribe' ? (told.length > 1 ? told.shift() : told[0]) : (options.answer ?? {});
      if (typeof reply === 'function') return reply();
      return { status: 200, headers: [], body: null, ...reply };
    },
  };
  const subscriptions = createSubscriptions({
    appId: 'shop', channel, log, resiliency: createResiliency({ log }), pubsub: createPubSubBlock({ components, appId: 'shop', namespace: '', maxParallel: 10 }), componentCount: () => components.pubsub.size,
    resources: [{ name: 'd', namespace: '', scopes: [], source: { file: '', document: 1 }, pubsubName: 'bus', topic: 'declared', rules: [{ match: '', path: '/declared' }], metadata: {}, deadLetterTopic: '' }],
    askApp: true, tracing: 'echo', samplingRate: 1, outbox: { start: async () => undefined, release: async () => undefined, stop: async () => undefined },
  });
  const deliver = (topic: string, text = '{"id":"1"}'): Promise<void> => handlers.get(topic)!({ topic, data: utf8(text), metadata: {} } satisfies Message, background);
  return { subscriptions, handlers, closed, requests, logged, deliver };
}
const topics = (subscriptions: Subscriptions) => subscriptions.view().map((view) => view.topic);

describe('asking the app', () => {
  it('subscribes to what it tells, and to what is declared', async () => {
    const { subscriptions, handlers, requests, deliver } = sidecar([json([{ PUBSUBNAME: 'bus', Topic: 'told', route: '/told' }, { pubsubname: 'bus', topic: 'no route' }, { pubsubname: 'elsewhere', topic: 'x', route: '/x' }])]);
    await subscriptions.start();
    expect([...handlers.keys()].sort()).toEqual(['declared', 'told']);
    expect(topics(subscriptions)).toEqual(['declared', 'told', 'x']);
    expect(requests[0]).toMatchObject({ method: 'GET', path: '/dapr/subscribe', headers: ['Content-Type', 'application/json', 'Dapr-App-Id', 'shop'], body: null });
    await deliver('told');
    expect(requests[1]).toMatchObject({ method: 'POST', path: '/told', headers: ['Content-Type', 'application/cloudevents+json', 'Pubsubname', 'bus'] });
  });
  it.each([
    ['nothing to tell', { status: 404 }],
    ['an empty answer', {}],
    ['another status', { status: 503 }],
    ['a redirect', { status: 302 }],
    ['null', json(null)],
  ] as [string, Reply][])('%s: only what is declared', async (_, reply) => {
    const { subscriptions, handlers } = sidecar([reply]);
    await subscriptions.start();
    expect([...handlers.keys()]).toEqual(['declared']);
  });
  it.each([
    ['no JSON', { body: utf8('[{') }],
    ['other types', json([{ pubsubname: 'bus', topic: 't', route: '/t', metadata: { rawPayload: true } }])],
  ] as [string, Reply][])('%s: nothing starts, until it is asked again after an illness', async (_, reply) => {
    const { subscriptions, handlers, logged } = sidecar([reply, json([])]);
    await subscriptions.start();
    expect([...handlers.keys()]).toEqual([]);
    expect(logged.join()).toContain('no subscription is started');
    await subscriptions.stop();
    await subscriptions.start();
    expect([...handlers.keys()]).toEqual(['declared']);
  });
  it('asks again where the answer was cut off', async () => {
    const cut = () => { throw new HttpFailure('reset', 'cut'); };
    const { subscriptions, handlers, requests } = sidecar([cut, cut, json([])]);
    await subscriptions.start();
    expect([requests.length, handlers.size]).toEqual([3, 1]);
  });
  it('asks again after a while where no answer came, until it stops', async () => {
    vi.useFakeTimers();
    try {
      const cut = () => { throw new HttpFailure('reset', 'cut'); };
      const { subscriptions, handlers, requests } = sidecar([cut]);
      void subscriptions.start();
      await vi.advanceTimersByTimeAsync(4500);
      const before = requests.length;
      expect([before, handlers.size]).toEqual([4, 0]);
      await vi.advanceTimersByTimeAsync(5000);
      expect(requests.length).toBeGreaterThan(before);
      await subscriptions.stop();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(requests.length).toBeLessThan(before * 2 + 1);
    } finally {
      vi.useRealTimers();
    }
  });
  it('asks once: after an illness the known ones start again', async () => {
    const { subscriptions, closed, requests } = sidecar([json([])]);
    await subscriptions.start();
    await subscriptions.stop();
    await subscriptions.start();
    expect([requests.length, closed]).toEqual([1, ['declared']]);
  });
  it('subscribes to nothing when it was stopped while asking', async () => {
    const { subscriptions, handlers } = sidecar([json([])]);
    const starting = subscriptions.start();
    await subscriptions.stop();
    await starting;
    expect(handlers.size).toBe(0);
  });
  it('refuses what its scopes forbid, says so and starts the others', async () => {
    const { subscriptions, handlers, logged } = sidecar([json([
      { pubsubname: 'bus', topic: 'rules', routes: { rules: [{ match: ' event.type == "a" ', path: '/a' }], default: '/b' } },
      { pubsubname: 'bus', topic: 'bulk', route: '/c', bulkSubscribe: { enabled: true } },
      { pubsubname: 'bus', topic: 'forbidden', route: '/d' },
    ])], { properties: { subscriptionScopes: 'shop=rules,bulk,declared' } });
    await subscriptions.start();
    expect([...handlers.keys()].sort()).toEqual(['bulk', 'declared', 'rules']);
    expect(logged.join('\n')).toContain("subscription to topic 'forbidden' on pubsub 'bus' is not allowed");
    expect(topics(subscriptions)).toEqual(['declared', 'rules', 'bulk', 'forbidden']);
  });
  it('one rule that is no expression: nothing starts', async () => {
    const { subscriptions, handlers, logged } = sidecar([json([{ pubsubname: 'bus', topic: 'fine', route: '/a' }, { pubsubname: 'bus', topic: 'rules', routes: { rules: [{ match: '', path: '/' }, { match: 'event.type ==', path: '/a' }] } }])]);
    await subscriptions.start();
    expect([...handlers.keys()]).toEqual([]);
    expect(logged.join('\n')).toContain('ERROR: <input>:1:14: Syntax error');
  });
  it('declared rules are checked, at the start and later', async () => {
    const { subscriptions } = sidecar([json([])]);
    await expect(subscriptions.check()).resolves.toBeUndefined();
    const bad = { name: 'x', namespace: '', scopes: [], source: { file: '', document: 1 }, pubsubName: 'bus', topic: 'x', rules: [{ match: '1 == "1"', path: '/' }], metadata: {}, deadLetterTopic: '' };
    await expect(subscriptions.declare([bad])).rejects.toThrow('ERROR: <input>:1:');
    expect(topics(subscriptions)).toEqual(['declared']);
  });
  it('tries again in the background what its broker refused', async () => {
    let refused = 0;
    const { subscriptions, handlers } = sidecar([json([{ pubsubname: 'bus', topic: 'late', route: '/l' }])], { refuse: (topic) => topic === 'late' && ++refused < 2 });
    await subscriptions.start();
    expect([...handlers.keys()]).toEqual(['declared']);
    for (const end = Date.now() + 5000; !handlers.has('late') && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(handlers.has('late')).toBe(true);
  });
});

describe('the app’s answer', () => {
  const outcome = async (answer: Reply) => {
    const { subscriptions, deliver, logged } = sidecar([json([])], { answer });
    await subscriptions.start();
    const failure = await deliver('declared').then(() => undefined, (error: Error) => error.message);
    return failure ?? (logged.some((line) => /^DROP|non-retriable/.test(line)) ? 'dropped' : 'done');
  };
  it.each([
    [{}, 'done'],
    [{ status: 204 }, 'done'],
    [{ status: 201, body: utf8('made it') }, 'done'],
    [json({ status: 'SUCCESS' }), 'done'],
    [json({ status: '' }), 'done'],
    [json({ ok: true }), 'done'],
    [json({ status: null }), 'done'],
    [json({ status: 500 }), 'done'],
    [json(['DROP']), 'done'],
    [{ body: utf8('{"status":"RETRY"') }, 'done'],
    [json({ status: 'DROP' }), 'dropped'],
    [json({ STATUS: 'DROP' }, 202), 'dropped'],
    [{ body: utf8('{"status":"DROP"} {"status":"SUCCESS"}') }, 'dropped'],
    [{ status: 404 }, 'dropped'],
    [json({ status: 'SUCCESS' }, 404), 'dropped'],
    [json({ status: 'RETRY' }), 'RETRY status returned'],
    [json({ status: 'success' }), 'unknown status returned'],
    [{ status: 400, body: utf8('bad') }, 'body: bad. status code returned: 400'],
    [json({ status: 'SUCCESS' }, 500), 'status code returned: 500'],
    [{ status: 302 }, 'status code returned: 302'],
    [() => { throw new HttpFailure('refused', 'connection refused'); }, 'connection refused'],
  ] as [Reply, string][])('%j: %s', async (answer, expected) => expect(await outcome(answer)).toContain(expected));
});
