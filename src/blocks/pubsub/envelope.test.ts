import { describe, expect, it } from 'vitest';
import { utf8 } from '../../core/go-json.ts';
import { type EnvelopeInput, EnvelopeError, envelopeOf, localTime, rawEvent } from './envelope.ts';

const input = (more: Partial<EnvelopeInput> & { text?: string }): EnvelopeInput => ({
  data: utf8(more.text ?? ''), contentType: '', topic: 'orders', pubsubName: 'bus', appId: 'shop', traceparent: '', tracestate: '', metadata: undefined, nativeTtl: false, ...more,
});
const event = (more: Parameters<typeof input>[0]) => JSON.parse(envelopeOf(input(more)).text) as Record<string, unknown>;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('the generated envelope', () => {
  it('has every attribute, keys in byte order', () => {
    const text = envelopeOf(input({ text: '{"b":1,"a":"<"}', contentType: 'application/json', traceparent: '00-x', tracestate: 'a=1', metadata: { ttlInSeconds: '60', 'cloudevent.subject': 's' } })).text;
    expect(text).toMatch(/^\{"data":\{"a":"\\u003c","b":1\},"datacontenttype":"application\/json","expiration":"[^"]*Z","id":"[^"]*","pubsubname":"bus","source":"shop","specversion":"1.0","subject":"s","time":"[^"]*","topic":"orders","traceid":"00-x","traceparent":"00-x","tracestate":"a=1","type":"com.dapr.event.sent"\}$/);
    const keys = Object.keys(JSON.parse(text) as object);
    expect(keys).toEqual([...keys].sort());
    expect((JSON.parse(text) as { id: string }).id).toMatch(uuid);
  });
  it.each([
    ['application/json', '{"a":1} rest', { data: { a: 1 } }],
    ['Application/JSON; charset=utf-8', '"x"', { data: 'x' }],
    ['application/json ; x', '1', { data: '1' }],
    ['application/vnd.x+json', '1', { data: '1' }],
    ['application/json', 'no', { data: 'no' }],
    ['application/json', '', { data: '' }],
    ['application/octet-stream', 'ab', { data_base64: 'YWI=' }],
    ['application/cloudevents+protobuf', 'ab', { data_base64: 'YWI=' }],
    ['application/x-protobuf', 'not protobuf', { data: 'not protobuf' }],
    ['application/x-protobuf', '\x0a\x01i\x12\x01s\x1a\x031.0\x22\x01t', { data_base64: 'CgFpEgFzGgMxLjAiAXQ=' }],
    ['application/x-protobuf', '\x0a\x05i', { data: '\x0a\x05i' }],
    ['', 'plain', { data: 'plain', datacontenttype: 'text/plain' }],
    ['text/xml', '<a/>', { data: '<a/>', datacontenttype: 'text/xml' }],
  ])('places a body of type %j', (contentType, text, fields) => expect(event({ contentType, text })).toMatchObject(fields));
  it('keeps bytes that are no text as base64 instead of spoiling them', () => {
    const bytes = new Uint8Array([0x89, 0x50, 0xff]);
    for (const contentType of ['image/png', 'text/plain', 'application/json']) expect(event({ contentType, data: bytes })).toMatchObject({ data_base64: 'iVD/', datacontenttype: contentType });
  });

  it('takes overrides in any case; an empty one gives the default back', () => {
    expect(event({ metadata: { 'CloudEvent.ID': 'i', 'cloudevent.TYPE': 't', 'cloudevent.source': '/s', 'cloudevent.topic': 'no', 'cloudevent.made': 'up', id: 'no' } })).toMatchObject({ id: 'i', type: 't', source: '/s', topic: 'orders' });
    const empty = event({ metadata: { 'cloudevent.id': '', 'cloudevent.type': '', 'cloudevent.source': '', 'cloudevent.subject': '' } });
    expect(empty).toMatchObject({ type: 'com.dapr.event.sent', source: 'Dapr' });
    expect(empty.id).toMatch(uuid);
    expect(empty).not.toHaveProperty('subject');
  });
  it.each([
    [{ 'cloudevent.traceid': 'a' }, 'a'],
    [{ 'cloudevent.traceparent': 'b', 'cloudevent.traceid': 'a' }, 'b'],
    [{ 'cloudevent.traceparent': '' }, 'caller'],
  ])('with %j carries the trace %s in both attributes', (metadata, trace) => expect(event({ traceparent: 'caller', metadata })).toMatchObject({ traceid: trace, traceparent: trace }));
  it('leaves the time to live to a broker that has one', () => expect(event({ metadata: { ttl: '5' }, nativeTtl: true })).not.toHaveProperty('expiration'));
});

describe('a finished CloudEvent', () => {
  const finished = (text: string, more: Partial<EnvelopeInput> = {}) => event({ contentType: 'application/cloudevents+json', text, traceparent: 'caller', ...more });
  it('is completed, not replaced', () => {
    const result = finished('{"id":"1","data":12345678901234567890,"topic":"mine","ext":{"b":1,"a":2},"source":null,"cloudevent.type":"x"}', { metadata: { 'cloudevent.id': 'no' } });
    expect(result).toMatchObject({ id: '1', topic: 'orders', pubsubname: 'bus', source: 'Dapr', type: 'com.dapr.event.sent', specversion: '1.0', traceid: 'caller', traceparent: 'caller', tracestate: '' });
    expect(result).not.toHaveProperty('datacontenttype');
    expect(envelopeOf(input({ contentType: 'application/cloudevents+json', text: '{"data":12345678901234567890}' })).text).toContain('"data":12345678901234567890');
  });
  it('keeps a trace it names by traceid, loses one it names only by traceparent', () => {
    expect(finished('{"traceid":"t","traceparent":"p"}')).toMatchObject({ traceid: 't', traceparent: 'p' });
    expect(finished('{"traceparent":"p"}')).toMatchObject({ traceid: 'caller', traceparent: 'caller' });
    expect(finished('{"traceid":"t"}')).not.toHaveProperty('traceparent');
  });
  it('keeps its time, gets an expiration', () => expect(finished('{"time":"then","expiration":"kept?"}', { metadata: { TTL: '1h' } })).toMatchObject({ time: 'then', expiration: expect.stringMatching(/Z$/) }));
  it.each([['null', /null/], ['[]', /array/], ['"x"', /string/], ['1', /number/], ['{', /unexpected EOF/], ['', /EOF/]])('%s is none', (text, why) => {
    expect(() => finished(text)).toThrow(EnvelopeError);
    expect(() => finished(text)).toThrow(why);
  });
});

it('wraps raw bytes for the app, with a new id each time', () => {
  const one = rawEvent(utf8('x'), 't', 'bus');
  expect(one).toMatchObject({ data_base64: 'eA==', datacontenttype: 'application/octet-stream', source: 'Dapr', topic: 't', pubsubname: 'bus', specversion: '1.0', type: 'com.dapr.event.sent' });
  expect(rawEvent(utf8('x'), 't', 'bus').id).not.toBe(one.id);
});
it('tells the time in whole seconds with the offset', () => {
  expect(localTime(1_700_000_000_123)).toMatch(/^2023-11-1[45]T\d\d:\d\d:20(Z|[+-]\d\d:\d\d)$/);
  expect(Date.parse(localTime(1_700_000_000_999))).toBe(1_700_000_000_000);
});

it.each([
  ['JSON', { text: '{"b":1,"a":[true,"<"]}', contentType: 'application/json' }],
  ['text', { text: 'words', contentType: 'text/plain' }],
  ['bytes', { text: '\u0001', contentType: 'application/octet-stream' }],
  ['overrides and an end', { text: '1', contentType: 'application/json', traceparent: '00-x', tracestate: 'a=1', metadata: { ttlInSeconds: '60', 'cloudevent.subject': 's', 'cloudevent.type': 't', 'cloudevent.id': 'i', 'cloudevent.source': 'me' } }],
] as [string, Parameters<typeof input>[0]][])('what is known of an event without reading it is what stands in it: %s', (_, more) => {
  const { text, head } = envelopeOf(input(more));
  const { data, data_base64, ...rest } = JSON.parse(text) as Record<string, unknown>;
  expect(head).toEqual(rest);
  expect([data, data_base64]).not.toEqual([undefined, undefined]);
});

