import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCollector } from '../../../../test/harness/collector.ts';
import { http2 } from '../../../hosts/node/http2-client.ts';
import { createNodeHttpClient } from '../../../hosts/node/http-client.ts';
import { createLogger } from '../../../core/log.ts';
import type { SpanExporter } from './batch.ts';
import { logExporter } from './log-lines.ts';
import type { OtlpEndpoint } from './otlp-endpoint.ts';
import { otlpGrpcExporter } from './otlp-grpc.ts';
import { otlpHttpExporter } from './otlp-http.ts';
import { type FinishedSpan, SpanKind } from './span.ts';
import { zipkinExporter } from './zipkin.ts';

const http = createNodeHttpClient();
let collector: Awaited<ReturnType<typeof startCollector>>;
beforeAll(async () => { collector = await startCollector(); });
afterAll(async () => {
  await http.close();
  await collector.stop();
});

const long = 'ż'.repeat(20_000);
const span: FinishedSpan = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', parentId: 'b7ad6b7169203331', tracestate: 'a=1', flags: 1, kind: SpanKind.SERVER,
  name: 'CallLocal/Shop/x', startMs: 1_790_000_000_123.456, endMs: 1_790_000_000_125.75, attributes: [['short', 'v'], ['middle', 'w'.repeat(200)], ['long', long]], error: 'Code(500): Internal Server Error',
};
const root: FinishedSpan = { ...span, spanId: '0000000000000001', parentId: '', tracestate: '', kind: SpanKind.CLIENT, name: '/v1.0/state/s', attributes: [['server.address', '127.0.0.1'], ['db.name', 'S']], error: '' };
const resource = [['service.name', 'Shop'], ['team', 'a b']] as const;
const endpoint = (port: number, more: Partial<OtlpEndpoint> = {}): OtlpEndpoint => ({ origin: `http://127.0.0.1:${port}`, path: '/v1/traces', headers: [['X-Key', 'abc']], gzip: false, timeoutMs: 5000, tls: undefined, ...more });
const signal = () => new AbortController().signal;

describe.each([
  ['otlp-http', (more) => otlpHttpExporter(http, endpoint(collector.http, more), resource)],
  ['otlp-grpc', (more) => otlpGrpcExporter(http2, endpoint(collector.grpc, more), resource)],
] as [string, (more?: Partial<OtlpEndpoint>) => SpanExporter][])('%s', (over, make) => {
  test.each([false, true])('every field arrives, packed: %s', async (gzip) => {
    collector.spans.length = collector.exports.length = 0;
    const exporter = make({ gzip });
    await exporter.export([span, root], signal());
    exporter.close?.();
    expect(collector.spans[0]).toEqual({
      over, traceId: span.traceId, spanId: span.spanId, parentId: span.parentId, name: span.name, kind: 'SERVER', attributes: Object.fromEntries(span.attributes), status: `error: ${span.error}`,
      resource: { 'service.name': 'Shop', team: 'a b' }, start: span.startMs, end: span.endMs, tracestate: 'a=1', flags: 0x301, scope: 'dapr-diagnostics', schemaUrl: 'https://opentelemetry.io/schemas/1.25.0',
    });
    expect(collector.spans[1]).toMatchObject({ parentId: '', kind: 'CLIENT', status: '', tracestate: '' });
    expect(collector.exports[0]?.headers).toMatchObject({ 'x-key': 'abc', 'user-agent': 'OTel-OTLP-Exporter-Outrigger' });
  });
  test('five hundred spans in one export', async () => {
    collector.spans.length = 0;
    const exporter = make();
    await exporter.export(Array.from({ length: 512 }, (_, i) => ({ ...root, name: `span ${i}` })), signal());
    exporter.close?.();
    expect(collector.spans.map(({ name }) => name)).toEqual(Array.from({ length: 512 }, (_, i) => `span ${i}`));
  });
  test.each(over === 'otlp-http' ? [[503, 'Retryable'], [429, 'Retryable'], [400, 'Error']] : [['grpc:14', 'Retryable'], ['grpc:3', 'Error'], ['grpc:16', 'Error']] as [number | `grpc:${number}`, string][])('answer %s is a failure: %s', async (refusal, name) => {
    collector.refusals.push(refusal as number);
    const exporter = make();
    await expect(exporter.export([span], signal())).rejects.toMatchObject({ name, message: expect.stringContaining('not now') });
    exporter.close?.();
  });
  test('nobody there is worth another try', async () => {
    const exporter = make({ origin: 'http://127.0.0.1:1' });
    await expect(exporter.export([span], signal())).rejects.toMatchObject({ name: 'Retryable', message: expect.stringMatching(/refused/i) });
    exporter.close?.();
  });
});

test('a connection that was lost is made again', async () => {
  const exporter = otlpGrpcExporter(http2, endpoint(collector.grpc), resource);
  await exporter.export([root], signal());
  const { grpc } = collector;
  collector.cut();
  await expect.poll(() => exporter.export([root], signal()).then(() => 'arrived', () => 'lost')).toBe('arrived');
  expect(collector.grpc).toBe(grpc);
  exporter.close?.();
});

test('Zipkin gets names in lower case, microseconds, and whom a client talked to', async () => {
  collector.spans.length = 0;
  await zipkinExporter(http, `http://127.0.0.1:${collector.http}/api/v2/spans`, resource).export([span, root], signal());
  expect(collector.spans[0]).toMatchObject({
    over: 'zipkin', name: 'calllocal/shop/x', kind: 'SERVER', parentId: span.parentId, status: `error: ${span.error}`, resource: { 'service.name': 'shop' }, start: 1_790_000_000_123.456,
    attributes: { short: 'v', long, 'service.name': 'Shop', team: 'a b', 'otel.status_code': 'ERROR', 'otel.scope.name': 'dapr-diagnostics' },
  });
  expect(collector.spans[1]).toMatchObject({ parentId: '', status: '', attributes: { '(remote)': '{"serviceName":"127.0.0.1"}' } });
  expect(collector.spans[0]?.attributes).not.toHaveProperty('(remote)');
});

test('the log gets a line for each span', async () => {
  const lines: string[] = [];
  await logExporter(createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) })).export([span, root], signal());
  expect(lines[0]).toContain('msg="[CallLocal/Shop/x] Trace: 4bf92f3577b34da6a3ce929d0e0e4736 Span: b7ad6b7169203331/00f067aa0ba902b7 Time: [2026-09-21 14:13:20.123456 +0000 UTC ->  2026-09-21 14:13:20.12575 +0000 UTC] Annotations: []"');
  expect(lines[0]).toContain('scope=dapr.runtime.trace');
  expect(lines[1]).toContain('Span: 0000000000000000/0000000000000001');
});
