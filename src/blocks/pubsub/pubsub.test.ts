import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { AdapterError, type DaprError } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { createComponentStore } from '../components/store.ts';
import type { ComponentResource } from '../resources/kinds.ts';
import type { Message, MessageHandler, PubSub, PublishRequest } from './port.ts';
import { type BulkEntry, createPubSubBlock } from './pubsub.ts';

function broker(options: { properties?: Record<string, string>; namespaced?: boolean; features?: string[]; fails?: (request: PublishRequest) => boolean } = {}) {
  const published: PublishRequest[] = [];
  const handlers = new Map<string, MessageHandler>();
  let running = 0, most = 0;
  const port: PubSub = {
    publish: async (request) => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      if (options.fails?.(request)) throw new AdapterError('unavailable', 'the broker is away');
      published.push(request);
    },
    subscribe: async ({ topic }, handler) => {
      handlers.set(topic, handler);
      return { close: async () => undefined };
    },
    close: async () => undefined,
  };
  const components = createComponentStore();
  const resource = options.namespaced ? ({ metadata: [{ name: 'any', value: 'x-{namespace}' }] } as ComponentResource) : undefined;
  components.add({ name: 'bus', type: 'pubsub.test', version: 'v1', block: 'pubsub', features: options.features ?? [], properties: options.properties ?? {}, port, ...(resource ? { resource } : {}) });
  const block = createPubSubBlock({ components, appId: 'shop', namespace: options.namespaced ? 'prod' : '', maxParallel: 1000 });
  return { block, bus: block.component('bus', {}), published, handlers, most: () => most };
}
const publication = (text: string, metadata?: Record<string, string>) => ({ data: utf8(text), contentType: 'text/plain', metadata, trace: { traceparent: '', tracestate: '' } });
const entry = (entryId: string): BulkEntry => ({ entryId, ...publication(entryId) });
const refused = async (work: Promise<unknown>) => (await work.then(() => undefined, (error: unknown) => error)) as DaprError;

describe('publishing', () => {
  it('wraps, or does not', async () => {
    const { bus, published } = broker();
    await bus.publish('t', publication('x', { a: 'b' }), false, background);
    await bus.publish('t', publication('x'), true, background);
    expect(JSON.parse(textOfBytes(published[0]!.data))).toMatchObject({ data: 'x', topic: 't', pubsubname: 'bus', source: 'shop' });
    expect([published[0]!.metadata, textOfBytes(published[1]!.data), published[1]!.metadata]).toEqual([{ a: 'b' }, 'x', undefined]);
  });
  it('names what is not there, with the request’s metadata', () => {
    const { block } = broker();
    const error = (() => { try { block.component('nope', { b: '1', a: '2' }); } catch (e) { return e as DaprError; } })();
    expect(error).toMatchObject({ http: 404, grpc: 'InvalidArgument', message: 'pubsub nope is not found', details: [{ reason: 'DAPR_PUBSUB_NOT_FOUND', metadata: { a: '2', b: '1' } }] });
  });
  it('checks the scope after wrapping', async () => {
    const { bus, published } = broker({ properties: { publishingScopes: 'shop=other' } });
    const error = await refused(bus.publish('t', publication('x'), false, background));
    expect(error).toMatchObject({ http: 403, grpc: 'PermissionDenied', message: 'topic t is not allowed for app id shop' });
    expect(error.details).toEqual([
      { '@type': 'type.googleapis.com/google.rpc.ResourceInfo', resource_type: 'pubsub', resource_name: 'bus', owner: '', description: 'topic t is not allowed for app id shop' },
      { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'DAPR_PUBSUB_FORBIDDEN', domain: 'dapr.io', metadata: { error: 'topic t is not allowed for app id shop', topic: 't' } },
    ]);
    expect((await refused(bus.publish('t', { ...publication('no'), contentType: 'application/cloudevents+json' }, false, background))).http).toBe(500);
    expect((await refused(bus.forward({ topic: 't', data: utf8('x'), metadata: {} }, background))).http).toBe(403);
    expect(published).toEqual([]);
  });
  it('says what the broker said', async () => {
    const { bus } = broker({ fails: () => true });
    expect(await refused(bus.publish('t', publication('x'), false, background))).toMatchObject({ http: 500, grpc: 'Internal', message: 'error when publishing to topic t in pubsub bus: the broker is away' });
  });
  it.each([['', false], ['true', true], ['T', true], ['0', false]])('rawPayload %j is %s', (rawPayload, raw) => expect(broker().bus.isRaw({ rawPayload })).toBe(raw));
  it.each(['yes', 'tRUE', ' true', 'toString'])('rawPayload %j is refused', (rawPayload) => expect(() => broker().bus.isRaw({ rawPayload })).toThrow(`rawPayload value must be a valid boolean: actual is '${rawPayload}'`));
});

describe('bulk publishing', () => {
  it('sends singly, at most a hundred at once', async () => {
    const { bus, published, most } = broker();
    const result = await bus.bulkPublish('t', Array.from({ length: 250 }, (_, i) => entry(`${i}`)), false, background);
    expect([result.failed, result.error, published.length, most()]).toEqual([[], undefined, 250, 100]);
  });
  it('lists what failed and goes on with the rest', async () => {
    const { bus, published } = broker({ fails: ({ data }) => textOfBytes(data) === '2' });
    const { failed, error } = await bus.bulkPublish('t', ['1', '2', '3'].map(entry), true, background);
    expect(failed).toEqual([{ entryId: '2', error: 'the broker is away' }]);
    expect(error?.goText).toBe('api error: code = Internal desc = error when publishing to topic t in pubsub bus: the broker is away');
    expect(published.map(({ data }) => textOfBytes(data))).toEqual(['1', '3']);
  });
  it('publishes nothing when one entry cannot be wrapped', async () => {
    const { bus, published } = broker();
    const error = await refused(bus.bulkPublish('t', [entry('1'), { ...entry('2'), contentType: 'application/cloudevents+json' }], false, background));
    expect([error.http, published]).toEqual([500, []]);
  });
});

it('keeps the topics of namespaces apart on the broker only', async () => {
  const { bus, published, handlers } = broker({ namespaced: true });
  await bus.publish('t', publication('x'), false, background);
  await bus.bulkPublish('t', [entry('1')], true, background);
  await bus.forward({ topic: 'dead', data: utf8('x'), metadata: {} }, background);
  expect(published.map(({ topic }) => topic)).toEqual(['prodt', 'prodt', 'proddead']);
  expect(JSON.parse(textOfBytes(published[0]!.data))).toMatchObject({ topic: 't' });
  const seen: Message[] = [];
  await bus.subscribe({ topic: 't', metadata: {} }, async (message) => void seen.push(message));
  await handlers.get('prodt')!({ topic: 'prodt', data: utf8('{}'), metadata: {} }, background);
  expect(seen[0]!.topic).toBe('t');
});
