// pubsub.gcp.pubsub against a contract server of the REST API: the suite of all brokers, then what only this one has.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import definition from '../../src/adapters/pubsub/gcp.pubsub.ts';
import type { MessageHandler, PubSub } from '../../src/blocks/pubsub/port.ts';
import { background } from '../../src/core/context.ts';
import type { Host } from '../../src/core/host.ts';
import { startGooglePubSub } from '../harness/google-pubsub.ts';
import { text } from '../harness/received.ts';
import { until } from '../harness/until.ts';
import { openComponent, testHost, testLog } from './open.ts';
import { describePubSub } from './pubsub.ts';

describePubSub({
  type: 'pubsub.gcp.pubsub',
  start: async () => {
    const server = await startGooglePubSub();
    return { metadata: { projectId: 'p1', endpoint: server.url }, stop: server.stop };
  },
  operations: ['groups'],
  // Google refuses empty messages.
  quirks: { textOnly: true, unordered: true },
});

describe('pubsub.gcp.pubsub', () => {
  let server: Awaited<ReturnType<typeof startGooglePubSub>>;
  const ending: (() => Promise<unknown>)[] = [];
  const opened = (port: PubSub) => {
    ending.push(() => port.close());
    return port;
  };
  const open = async (metadata: Record<string, string> = {}) => opened((await openComponent<PubSub>('pubsub.gcp.pubsub', { projectId: 'p1', endpoint: server.url.replace('http://', ''), ...metadata })).port);
  const subscribe = async (port: PubSub, topic: string, handler: MessageHandler) => {
    const subscription = await port.subscribe({ topic, metadata: {} }, handler);
    ending.push(() => subscription.close());
    return subscription;
  };
  const publish = (port: PubSub, topic: string, data: string | Uint8Array, metadata?: Record<string, string>) => port.publish({ topic, data: typeof data === 'string' ? Buffer.from(data) : data, metadata }, background);

  beforeAll(async () => {
    server = await startGooglePubSub();
  });
  afterEach(async () => {
    for (const end of ending.splice(0).reverse()) await end();
    server.failures.length = 0;
  });
  afterAll(() => server.stop());

  test('makes topic, subscription and dead letter topic as daprd does, also after the topic was used', async () => {
    const port = await open({ consumerID: 'shop', ackDeadline: '45s', enableMessageOrdering: 'true', deadLetterTopic: 'dead', maxDeliveryAttempts: '7' });
    await publish(port, 'orders', 'x');
    await subscribe(port, 'orders', async () => undefined);
    await subscribe(port, 'bills', async () => undefined);
    const policy = { deadLetterTopic: 'projects/p1/topics/dead', maxDeliveryAttempts: 7 };
    for (const topic of ['orders', 'bills']) expect(server.subscriptions.get(`projects/p1/subscriptions/shop-${topic}`)?.config).toEqual({ topic: `projects/p1/topics/${topic}`, ackDeadlineSeconds: 45, enableMessageOrdering: true, deadLetterPolicy: policy });
    expect(server.topics.has('projects/p1/topics/dead')).toBe(true);
  });

  test('the message is the bytes and nothing else; metadata is not sent', async () => {
    const port = await open();
    const bytes = new Uint8Array([0, 1, 13, 10, 127, 128, 255]);
    const seen: { data: Uint8Array; metadata: Record<string, string> }[] = [];
    await subscribe(port, 'bytes', async ({ data, metadata }) => void seen.push({ data, metadata }));
    await publish(port, 'bytes', bytes, { orderingKey: 'unused', region: 'eu' });
    await until(() => seen.length === 1);
    expect(seen).toEqual([{ data: bytes, metadata: {} }]);
    expect(server.requests.find(({ path }) => path.endsWith('topics/bytes:publish'))?.body).toEqual({ messages: [{ data: Buffer.from(bytes).toString('base64') }] });
  });

  test('with ordering, messages of a key come one after the other and a refused one comes again before its followers', async () => {
    const port = await open({ enableMessageOrdering: 'true', orderingKey: 'usual' });
    const seen: string[] = [];
    let refused = 0, running = 0, highest = 0;
    await subscribe(port, 'ordered', async (message) => {
      highest = Math.max(highest, ++running);
      await sleep(2);
      running--;
      if (text(message) === '5' && refused++ < 2) throw new Error('refused by the test');
      seen.push(text(message));
    });
    const all = Array.from({ length: 20 }, (_, i) => String(i));
    await Promise.all(all.map((one) => publish(port, 'ordered', one)));
    await until(() => seen.length >= 20);
    expect([seen, refused, highest]).toEqual([all, 3, 1]);
    await publish(port, 'ordered', 'x', { orderingKey: 'other' });
    expect(server.requests.filter(({ path }) => path.endsWith('ordered:publish')).flatMap(({ body }) => (body.messages as { orderingKey: string }[]).map(({ orderingKey }) => orderingKey))).toEqual([...all.map(() => 'usual'), 'other']);
  });

  test('refused for good: the dead letter topic of the service', async () => {
    const port = await open({ deadLetterTopic: 'lost', maxDeliveryAttempts: '5' });
    const dead: string[] = [];
    let tries = 0;
    await subscribe(port, 'lost', async (message) => void dead.push(text(message)));
    await subscribe(port, 'refused', async () => {
      tries++;
      throw new Error('refused by the test');
    });
    await publish(port, 'refused', 'x');
    await until(() => dead.length === 1);
    expect([tries, dead]).toEqual([5, ['x']]);
  });

  test('maxOutstandingMessages bounds what is in hand; a message is acknowledged after the app took it', async () => {
    const port = await open({ maxOutstandingMessages: '3' });
    let running = 0, highest = 0, done = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await subscribe(port, 'limited', async () => {
      highest = Math.max(highest, ++running);
      await held;
      running--;
      done++;
    });
    for (let i = 0; i < 10; i++) await publish(port, 'limited', String(i));
    await until(() => running === 3);
    await sleep(50);
    expect(server.requests.some(({ path }) => path.endsWith('-limited:acknowledge'))).toBe(false);
    release();
    await until(() => done === 10);
    expect(highest).toBe(3);
    await until(() => server.subscriptions.get('projects/p1/subscriptions/conformance-limited')?.leased.size === 0);
  });

  test('the lease of a slow message is prolonged: it comes once', async () => {
    const port = await open({ ackDeadline: '10s' });
    let times = 0;
    await subscribe(port, 'slow', async () => {
      times++;
      await sleep(11_500);
    });
    await publish(port, 'slow', 'x');
    await until(() => server.subscriptions.get('projects/p1/subscriptions/conformance-slow')?.leased.size === 1);
    await until(() => server.subscriptions.get('projects/p1/subscriptions/conformance-slow')?.leased.size === 0, 15_000);
    expect(times).toBe(1);
  }, 20_000);

  test('temporary trouble is tried again, a refusal is not; reading goes on after it', async () => {
    const port = await open({ connectionRecoveryInSec: '0' });
    const seen: string[] = [];
    await subscribe(port, 'trouble', async (message) => void seen.push(text(message)));
    server.failures.push([/trouble:publish/, 503, 'UNAVAILABLE'], [/trouble:pull/, 403, 'PERMISSION_DENIED']);
    await publish(port, 'trouble', 'one');
    await publish(port, 'trouble', 'two');
    await until(() => seen.length === 2 && server.failures.length === 0);
    server.failures.push([/trouble:publish/, 403, 'PERMISSION_DENIED']);
    await expect(publish(port, 'trouble', 'x')).rejects.toMatchObject({ kind: 'invalid', message: 'rpc error: code = PermissionDenied desc = asked for by the test' });
    await publish(port, 'trouble', 'three');
    await until(() => seen.includes('three'));
  });

  test('disableEntityManagement makes nothing', async () => {
    const port = await open({ disableEntityManagement: 'true', maxReconnectionAttempts: '1', connectionRecoveryInSec: '0' });
    await expect(publish(port, 'absent', 'x')).rejects.toThrow('rpc error: code = NotFound desc = Resource not found (resource=absent).');
    await subscribe(port, 'absent', async () => undefined);
    await until(() => server.requests.filter(({ path }) => path.endsWith('conformance-absent:pull')).length === 2);
    expect(server.topics.has('projects/p1/topics/absent')).toBe(false);
    await expect(publish(await open(), '1', 'x')).rejects.toThrow('gcp pubsub error: could not get valid topic 1: rpc error: code = InvalidArgument');
  });

  test('signs in with the key of a service account', async () => {
    const guarded = await startGooglePubSub({ auth: true });
    ending.push(() => guarded.stop());
    const host = testHost();
    // Google's address is fixed: only here its requests go to the contract server.
    const rerouted: Host = { ...host, http: { send: (request) => host.http.send({ ...request, origin: request.origin === 'https://pubsub.googleapis.com' ? guarded.url : request.origin }) } };
    const openWith = async (given: Record<string, string>) => {
      const properties = { projectId: 'p1', ...guarded.account, ...given };
      return opened(await definition.open(definition.metadata.parse(properties), { host: rerouted, log: testLog, name: 'store', appId: 'conformance', namespace: '', properties, signal: AbortSignal.timeout(5000) }));
    };
    const port = await openWith({});
    await publish(port, 'guarded', 'x');
    expect(guarded.topics.has('projects/p1/topics/guarded')).toBe(true);
    await expect(publish(await openWith({ clientEmail: 'somebody@example.com' }), 'guarded', 'x')).rejects.toMatchObject({ kind: 'invalid', message: 'gcp pubsub error: could not get valid topic guarded: oauth2: cannot fetch token: invalid_grant: Invalid JWT Signature.' });
  });

  test.each([
    [{ projectId: '' }, 'gcp pubsub error: missing attribute projectId'],
    [{ ackDeadline: '-10s' }, 'gcp pubsub error: invalid AckDeadline -10s. Value must be a positive Go duration string or integer'],
    [{ ackDeadline: '0' }, 'gcp pubsub error: invalid AckDeadline 0.'],
  ] as [Record<string, string>, string][])('metadata %j is refused', async (metadata, words) => {
    await expect(open(metadata)).rejects.toThrow(words);
  });
});
