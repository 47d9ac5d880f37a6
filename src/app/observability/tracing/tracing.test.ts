import { expect, test } from 'vitest';
import type { Host, HttpRequest } from '../../../core/host.ts';
import { createLogger } from '../../../core/log.ts';
import type { Configuration } from '../../../blocks/resources/kinds.ts';
import { errorOfStatus, SpanKind } from './span.ts';
import { createTracing, resourceOf } from './tracing.ts';

const traceparent = (flags: string) => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`;
const otel = (protocol: string) => ({ protocol, endpointAddress: 'otel:4318', isSecure: false, headers: [] });
function setUp(spec: Partial<Configuration['tracing']>, host: Partial<Host> = {}) {
  const sent: HttpRequest[] = [];
  const lines: string[] = [];
  const tracing = createTracing({ samplingRate: '1', stdout: false, ...spec }, {
    host: { runtime: 'workers', env: {}, background: false, http: { send: async (request) => { sent.push(request); return { status: 200, headers: [], body: null }; } }, ...host } as Host,
    appId: 'shop', log: createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) }),
  });
  return { tracing, sent, lines };
}
type Spec = Partial<Configuration['tracing']>;

test.each([
  ['no exporter', {}],
  ['a rate of 0', { samplingRate: '0', stdout: true }],
  ['an endpoint without protocol', { otel: otel('') }],
  ['an empty address', { zipkin: { endpointAddress: '' } }],
] as [string, Spec][])('%s: nobody notes spans, and everything else is done at once', async (_, spec) => {
  const { tracing } = setUp(spec);
  expect(tracing.recorder).toBeUndefined();
  await Promise.all([tracing.open(), tracing.flush(), tracing.close()]);
});

test('only what is sampled is noted, once, and goes to every exporter; what came before they were open, too', async () => {
  const { tracing, sent, lines } = setUp({ stdout: true, zipkin: { endpointAddress: 'http://zipkin:9411/api/v2/spans' }, otel: otel('http') });
  expect(tracing.recorder?.start(SpanKind.CLIENT, 'a', traceparent('00'), '', '')).toBeUndefined();
  const early = tracing.recorder?.start(SpanKind.CLIENT, 'early', traceparent('01'), 'nonsense', '');
  early?.end({ attributes: [['a', '1'], ['none', ''], ['a', '2']], name: 'renamed' });
  early?.end({ attributes: [], name: 'twice' });
  await tracing.open();
  await tracing.flush();
  expect(sent.map(({ origin, path }) => origin + path).sort()).toEqual(['http://otel:4318/v1/traces', 'http://zipkin:9411/api/v2/spans']);
  const [zipkin] = JSON.parse(new TextDecoder().decode(sent.find(({ origin }) => origin.includes('zipkin'))?.body as Uint8Array)) as Record<string, unknown>[];
  expect(zipkin).toMatchObject({ name: 'renamed', traceId: '4bf92f3577b34da6a3ce929d0e0e4736', tags: { a: '2', 'service.name': 'shop' } });
  expect(zipkin).not.toHaveProperty('parentId');
  expect(zipkin?.tags).not.toHaveProperty('none');
  expect(lines.join()).toContain('[renamed] Trace: 4bf92f3577b34da6a3ce929d0e0e4736');
  expect(lines.join()).not.toContain('twice');
});

test('a host without HTTP/2 refuses OTLP/gRPC and names the way out; with it, it does not', async () => {
  await expect(setUp({ otel: otel('grpc') }).tracing.open()).rejects.toThrow('failed to setup tracing: [HTTP2_NOT_AVAILABLE]: otel.protocol grpc needs HTTP/2 connections, which the host workers does not have; set otel.protocol to http and endpointAddress to the port the collector has for it (as a rule 4318)');
  await setUp({ otel: otel('grpc') }, { http2: { connect: () => ({ post: () => Promise.reject(new Error('unused')), close: () => {} }) } }).tracing.open();
  await expect(setUp({ otel: { ...otel('http'), endpointAddress: 'a b' } }).tracing.open()).rejects.toMatchObject({ name: 'ConfigurationError' });
});

test('the resource is the app, unless the environment says otherwise', () => {
  expect(resourceOf('shop', {})).toEqual([['service.name', 'shop']]);
  expect(resourceOf('shop', { OTEL_RESOURCE_ATTRIBUTES: 'a=b%20c, service.name = other ,nonsense' })).toEqual([['service.name', 'other'], ['a', 'b c']]);
  expect(resourceOf('shop', { OTEL_RESOURCE_ATTRIBUTES: 'service.name=other', OTEL_SERVICE_NAME: 'third' })).toEqual([['service.name', 'third']]);
});

test.each([[200, ''], [399, ''], [404, 'Code(404): Not Found'], [500, 'Code(500): Internal Server Error'], [599, 'Code(599): Unknown']])('status %i as a span’s error: %j', (status, text) => expect(errorOfStatus(status)).toBe(text));
