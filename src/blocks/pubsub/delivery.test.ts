import { describe, expect, it } from 'vitest';
import { background } from '../../core/context.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Logger } from '../../core/log.ts';
import { AppAway, createDelivery, type DeliveredEvent } from './delivery.ts';
import type { Message, PublishRequest } from './port.ts';
import type { NamedPubSub } from './pubsub.ts';
import type { SubscriptionSpec } from './subscription-list.ts';

/** One subscription with an app that answers as told and a broker that remembers dead letters. */
function subscription(spec: Partial<SubscriptionSpec> = {}, answer: () => Promise<'done' | 'dropped'> = async () => 'done', refusesDeadLetters = false, closing = false) {
  const seen: DeliveredEvent[] = [];
  const dead: PublishRequest[] = [];
  const logged: string[] = [];
  const say = (message: string) => void logged.push(message);
  const log: Logger = { debug: say, info: say, warn: say, error: say, fatal: say, always: say, scope: () => log };
  const broker = {
    name: 'bus',
    forward: async (request: PublishRequest) => {
      if (refusesDeadLetters) throw new Error('no');
      dead.push({ ...request, metadata: { ...request.metadata } });
    },
  } as unknown as NamedPubSub;
  const handler = createDelivery({
    spec: { pubsubName: 'bus', topic: 't', metadata: {}, rules: [{ match: '', path: '/t' }], deadLetterTopic: '', bulkSubscribe: undefined, type: 'PROGRAMMATIC', ...spec },
    broker, log, stop: closing ? AbortSignal.abort() : new AbortController().signal, routes: { readEvents: true, pathOf: () => (spec.rules?.length === 0 ? undefined : '/t') },
    postman: async (event) => {
      seen.push(event);
      return answer();
    },
  });
  const receive = (data: string | Uint8Array, more: Partial<Message> = {}): Promise<void> => handler({ topic: 't', data: typeof data === 'string' ? utf8(data) : data, metadata: {}, ...more }, background);
  return { receive, seen, dead, logged };
}
type Answer = () => Promise<'done' | 'dropped'>;
const fails: Answer = () => Promise.reject(new Error('500'));
const drops: Answer = () => Promise.resolve('dropped');
const withDeadLetters = { deadLetterTopic: 'dead' };

const bodyText = ({ body }: DeliveredEvent): string => (typeof body === 'string' ? body : textOfBytes(body));

describe('what the app gets', () => {
  it('is the broker’s bytes, unchanged, and the metadata with the component’s name', async () => {
    const { receive, seen } = subscription();
    await receive('{ "id":"1",  "big":12345678901234567890 }', { metadata: { a: 'b', pubsubName: 'forged' } });
    expect(bodyText(seen[0]!)).toBe('{ "id":"1",  "big":12345678901234567890 }');
    expect(seen[0]).toMatchObject({ path: '/t', topic: 't', pubsubName: 'bus', metadata: { a: 'b', pubsubName: 'bus' }, attributes: { id: '1' } });
  });
  it('is an envelope with a raw subscription, with the trace of the metadata', async () => {
    const { receive, seen } = subscription({ metadata: { rawPayload: 'true' } });
    await receive(new Uint8Array([0, 1, 255]), { metadata: { traceid: 'a', traceparent: 'b', tracestate: 'c' } });
    expect(JSON.parse(bodyText(seen[0]!))).toEqual({
      data_base64: 'AAH/', datacontenttype: 'application/octet-stream', id: expect.any(String), pubsubname: 'bus', source: 'Dapr', specversion: '1.0', topic: 't', type: 'com.dapr.event.sent',
      traceid: 'b', traceparent: 'b', tracestate: 'c',
    });
  });
  it('is the bytes of an event in binary mode, its attributes from the metadata', async () => {
    const { receive, seen } = subscription();
    await receive('bytes', { metadata: { 'content-type': 'application/octet-stream', ce_ID: '7', CE_type: 'x' } });
    await receive('bytes', { contentType: 'application/octet-stream; x' });
    expect(bodyText(seen[0]!)).toBe('bytes');
    expect(seen[0]!.attributes).toMatchObject({ id: '7', type: 'x', datacontenttype: 'application/octet-stream' });
    expect(seen[1]!.metadata).toEqual({ 'content-type': 'application/octet-stream; x', pubsubName: 'bus' });
  });
  it('is also a null, which counts as an event', async () => {
    const { receive, seen } = subscription();
    await receive('null');
    expect(seen).toHaveLength(1);
  });
  it('has the trace of the metadata where the event names none', async () => {
    const { receive, seen } = subscription();
    await receive('{"traceparent":""}', { metadata: { traceid: 'a', traceparent: 'b' } });
    await receive('{}', { metadata: { traceid: 'a', traceparent: 'b' } });
    expect(seen.map(({ attributes }) => [attributes.traceid, attributes.traceparent])).toEqual([['a', ''], ['b', 'b']]);
  });
});

describe('what becomes of a message', () => {
  const expired = '{"id":"1","expiration":"2020-01-01T00:00:00Z"}';
  const cases: [string, string, Partial<SubscriptionSpec>, Answer | undefined, { settled: boolean; delivered: number; dead: number }][] = [
    ['the app is done', '{}', {}, undefined, { settled: true, delivered: 1, dead: 0 }],
    ['the app drops it', '{}', {}, drops, { settled: true, delivered: 1, dead: 0 }],
    ['the app drops it, dead letters', '{}', withDeadLetters, drops, { settled: true, delivered: 1, dead: 1 }],
    ['the app fails', '{}', {}, fails, { settled: false, delivered: 1, dead: 0 }],
    ['the app fails, dead letters', '{}', withDeadLetters, fails, { settled: true, delivered: 1, dead: 1 }],
    ['no JSON', 'words', {}, undefined, { settled: false, delivered: 0, dead: 0 }],
    ['no JSON, dead letters', 'words', withDeadLetters, undefined, { settled: true, delivered: 0, dead: 1 }],
    ['no object', '[1]', {}, undefined, { settled: false, delivered: 0, dead: 0 }],
    ['expired', expired, {}, undefined, { settled: true, delivered: 0, dead: 0 }],
    ['expired, dead letters', expired, withDeadLetters, undefined, { settled: true, delivered: 0, dead: 1 }],
    ['no route', '{}', { rules: [] }, undefined, { settled: true, delivered: 0, dead: 0 }],
    ['no route, dead letters', '{}', { rules: [], ...withDeadLetters }, undefined, { settled: true, delivered: 0, dead: 1 }],
    ['a wrong rawPayload', '{}', { metadata: { rawPayload: 'x' } }, undefined, { settled: false, delivered: 0, dead: 0 }],
    ['a wrong rawPayload, dead letters', '{}', { metadata: { rawPayload: 'x' }, ...withDeadLetters }, undefined, { settled: true, delivered: 0, dead: 1 }],
  ];
  it.each(cases)('%s', async (_, text, spec, answer, expected) => {
    const { receive, seen, dead } = subscription(spec, answer);
    const settled = await receive(text).then(() => true, () => false);
    expect({ settled, delivered: seen.length, dead: dead.length }).toEqual(expected);
  });
  it('a dead letter is the broker’s bytes with all metadata, published from within a handler', async () => {
    const { receive, dead } = subscription({ ...withDeadLetters, metadata: { rawPayload: '1' } }, fails);
    await receive('raw', { metadata: { a: 'b' }, contentType: 'text/x' });
    expect(dead).toEqual([{ topic: 'dead', data: utf8('raw'), metadata: { a: 'b', pubsubName: 'bus', 'content-type': 'text/x' }, contentType: 'text/x', fromHandler: true }]);
  });
  it('what the dead letters refuse goes back to the broker, except copies', async () => {
    await expect(subscription(withDeadLetters, fails, true).receive('{}')).rejects.toThrow('500');
    await expect(subscription(withDeadLetters, drops, true).receive('{}')).rejects.toThrow('dropped');
    await expect(subscription(withDeadLetters, undefined, true).receive(expired)).resolves.toBeUndefined();
  });
  it('a failure while the subscription ends is no dead letter', async () => {
    const { receive, dead } = subscription(withDeadLetters, fails, false, true);
    await expect(receive('{}')).rejects.toThrow('500');
    expect(dead).toEqual([]);
  });
  it('a message that came while the app is away is no dead letter', async () => {
    const { receive, dead } = subscription(withDeadLetters, () => Promise.reject(new AppAway('app is not in a healthy state')));
    await expect(receive('{}')).rejects.toThrow('not in a healthy state');
    expect(dead).toEqual([]);
  });
});
