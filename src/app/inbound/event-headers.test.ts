import { describe, expect, it } from 'vitest';
import type { RawHeaders } from '../../core/host.ts';
import { metadataHeaders, traceHeaders } from './event-headers.ts';
import { requestTarget } from './request-target.ts';

const pairs = (fill: (list: RawHeaders) => void) => {
  const list: RawHeaders = [];
  fill(list);
  return list.flatMap((name, i) => (i % 2 ? [] : [`${name}: ${list[i + 1]}`]));
};
const headers = (metadata: Record<string, string>) => pairs((list) => metadataHeaders(metadata, list));

describe('metadata as headers', () => {
  it('passes on what can be passed on', () => {
    expect(headers({ pubsubName: 'bus', 'Customer-ID': '7', 'grpc-timeout': '5S', ':path': '/x', empty: '', list: 'a, b', Abc: '1', abc: '2' })).toEqual([
      'Pubsubname: bus', 'Customer-Id: 7', 'Dapr-Grpc-Timeout: 5S', 'Dapr-Path: /x', 'Empty: ', 'List: a, b', 'Abc: 1', 'Abc: 2',
    ]);
  });
  it('keeps back what belongs to the connection or to this request', () => {
    const names = ['connection', 'Keep-Alive', 'te', 'upgrade', 'transfer-encoding', 'trailer', 'proxy-authorization', 'content-type', 'Content-Length', 'host', 'destination-app-id', 'data-bin', 'traceparent', 'tracestate'];
    expect(headers({ ...Object.fromEntries(names.map((name) => [name, 'x-mine'])), 'X-Mine': '1', a: '2' })).toEqual(['A: 2']);
  });
  it('writes other letters as their UTF-8 bytes', () => expect(headers({ name: 'ż' })).toEqual(['Name: \u00c5\u00bc']));
  it.each([[{ 'a b': '1' }, 'invalid header field name "a b"'], [{ a: 'x\r\nInjected: 1' }, 'invalid header field value for "a"'], [{ '': 'x' }, 'invalid header field name ""']])('refuses %j', (metadata, why) => expect(() => headers(metadata as Record<string, string>)).toThrow(why));
});

describe('the trace of an event', () => {
  const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const zero = 'Traceparent: 00-00000000000000000000000000000000-0000000000000000-00';
  const trace = (attributes: Record<string, unknown>, metadata: Record<string, string> = {}, mode: 'off' | 'echo' | 'spans' = 'echo') => pairs((list) => void traceHeaders(attributes, metadata, { tracing: mode, samplingRate: 1 }, 'pubsub/t', list));
  it.each([
    [{ traceparent: good, tracestate: 'never sent' }, {}, [`Traceparent: ${good}`]],
    [{ traceid: good }, {}, [`Traceparent: ${good}`]],
    [{ traceparent: null, traceid: good }, {}, [`Traceparent: ${good}`]],
    [{ traceparent: '' }, {}, [zero]],
    [{ traceparent: 'nonsense' }, {}, [zero]],
    [{}, {}, []],
    [{ traceparent: 5 }, {}, []],
    [{ traceparent: '' }, { traceparent: 'any', tracestate: 'a=b' }, ['Traceparent: any', 'Tracestate: a=b']],
    [{ traceparent: good }, { traceparent: 'any', tracestate: 'a=b' }, [`Traceparent: ${good}`]],
  ])('%j with metadata %j', (attributes, metadata, expected) => expect(trace(attributes, metadata as Record<string, string>)).toEqual(expected));
  it('is not looked at where tracing is off', () => expect(trace({ traceparent: good }, {}, 'off')).toEqual([]));
  it('continues in a span of its own where spans are made', () => {
    expect(trace({ traceparent: good }, {}, 'spans')[0]).toMatch(/^Traceparent: 00-0af7651916cd43dd8448eb211c80319c-(?!b7ad)[0-9a-f]{16}-01$/);
    expect(trace({ traceparent: '' }, {}, 'spans')[0]).toMatch(/-01$/);
  });
});

it.each([
  ['/orders', '/orders'],
  ['in/no-slash', '/in/no-slash'],
  ['', '/'],
  ['/x/../dots/', '/dots'],
  ['//double//', '/double'],
  ['/path?with=query&u=http://x//y', '/path?with=query&u=http://x//y'],
  ['/a b/ż?q=ż', '/a%20b/%C5%BC?q=%C5%BC'],
  ['/a%20b', '/a%20b'],
  ['/a#b', '/a'],
])('a route %s is asked as %s', (route, target) => expect(requestTarget(route)).toBe(target));
