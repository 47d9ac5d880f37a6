// Spans and HTTP/2 on every runtime: what a host cannot do is said, not skipped.
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCollector } from '../harness/collector.ts';
import { capabilities, type HostName, type RunningHost, startHost } from './hosts.ts';

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const resources = JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name: 'mem' }, spec: { type: 'state.in-memory', version: 'v1', metadata: [] } });
let collector: Awaited<ReturnType<typeof startCollector>>;
beforeAll(async () => { collector = await startCollector(); });
afterAll(() => collector.stop());

describe.each(Object.keys(capabilities) as HostName[])('%s', (name) => {
  const exporting = (port: number, protocol: string) => startHost(name, { resources, env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_PROTOCOL: protocol, OTEL_SERVICE_NAME: `${name} ${protocol}`, OTEL_BSP_SCHEDULE_DELAY: '50' } });
  /** Makes one sampled call; its span, when it has arrived. */
  const spanOf = async (host: RunningHost, service: string) => {
    await (await fetch(`${host.http}/v1.0/state/mem/key`, { headers: { traceparent } })).arrayBuffer();
    const [span] = await collector.saw(({ resource }) => resource['service.name'] === service);
    return span;
  };
  const expected = { name: '/v1.0/state/mem/key', kind: 'CLIENT', parentId: '00f067aa0ba902b7', attributes: { 'db.name': 'mem', 'dapr.status_code': '204' } };

  test('spans over OTLP/HTTP', async () => {
    const host = await exporting(collector.http, 'http/protobuf');
    try {
      expect(await spanOf(host, `${name} http/protobuf`)).toMatchObject({ ...expected, over: 'otlp-http' });
    } finally {
      await host.stop();
    }
  });

  // without HTTP/2 of its own a Worker refuses to start with this: src/app/observability/tracing/tracing.test.ts
  if (name !== 'workerd') {
    test('spans over OTLP/gRPC', async () => {
      const host = await exporting(collector.grpc, 'grpc');
      try {
        expect(await spanOf(host, `${name} grpc`)).toMatchObject({ ...expected, over: 'otlp-grpc' });
      } finally {
        await host.stop();
      }
    });
  }

  test(capabilities[name].h2c ? 'HTTP/2 without TLS, by prior knowledge' : 'takes no HTTP/2 without TLS, and lives on', async () => {
    const host = await startHost(name, { resources });
    const session = connect(host.http);
    const answered = new Promise<string>((done) => {
      session.on('error', () => done('refused'));
      session.on('close', () => done('refused'));
      const stream = session.request({ ':method': 'POST', ':path': '/v1.0/state/mem' });
      stream.on('error', () => done('refused'));
      stream.on('response', (headers) => done(String(headers[':status'])));
      stream.end('[{"key":"k","value":"over two"}]');
    });
    try {
      expect(await answered).toBe(capabilities[name].h2c ? '204' : 'refused');
      expect(await (await fetch(`${host.http}/v1.0/state/mem/k`)).text()).toBe(capabilities[name].h2c ? '"over two"' : '');
    } finally {
      session.destroy();
      await host.stop();
    }
  });
});
