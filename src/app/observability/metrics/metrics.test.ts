import { describe, expect, it } from 'vitest';
import { defaultConfiguration, type MetricsSpec } from '../../../blocks/resources/kinds.ts';
import { DaprError, fail } from '../../../core/errors.ts';
import type { Incoming } from '../../../core/host.ts';
import { createLogger } from '../../../core/log.ts';
import { measured, type Meter, now } from '../../../core/meter.ts';
import type { HttpMeter } from './http.ts';
import { createMetrics } from './metrics.ts';

function start(spec: Partial<MetricsSpec> = {}) {
  const lines: string[] = [];
  const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => lines.push(line) });
  const metrics = createMetrics({ host: { runtime: 'node' }, spec: { ...defaultConfiguration().metrics, ...spec }, appId: 'a', namespace: 'shop', log });
  let answer: { status: number; headers: string[]; body: string } | undefined;
  const incoming = { header: () => undefined, respond: (status: number, headers: string[], body: string) => { answer = { status, headers, body }; return new Response(); } } as unknown as Incoming;
  return {
    meter: metrics.meter as Meter,
    http: metrics.http as HttpMeter,
    metrics,
    lines,
    scrape: () => {
      void metrics.handle(incoming);
      return answer as NonNullable<typeof answer>;
    },
    /** Samples whose line matches, without buckets. */
    samples(pattern: RegExp) {
      return this.scrape().body.split('\n').filter((line) => !line.startsWith('#') && !line.includes('_bucket{') && pattern.test(line));
    },
  };
}

it('operations on components are counted by name, operation and success, with their latency', () => {
  const all = start();
  const get = all.meter.operation('state', 'mem', 'get');
  get(true, now() - 5);
  get(true, now());
  get(false, now());
  expect(all.scrape().body).toContain('dapr_component_state_latencies_bucket{app_id="a",component="mem",namespace="shop",operation="get",success="true",le="1"} 1\n');
  expect(all.samples(/state_(count|latencies_count)/)).toEqual([
    'dapr_component_state_count{app_id="a",component="mem",namespace="shop",operation="get",success="false"} 1',
    'dapr_component_state_count{app_id="a",component="mem",namespace="shop",operation="get",success="true"} 2',
    'dapr_component_state_latencies_count{app_id="a",component="mem",namespace="shop",operation="get",success="false"} 1',
    'dapr_component_state_latencies_count{app_id="a",component="mem",namespace="shop",operation="get",success="true"} 2',
  ]);
});

it('what was refused before the component was asked is not counted; its own failures are', async () => {
  const all = start();
  const get = all.meter.operation('state', 'mem', 'get');
  const throwing = (error: unknown) => () => { throw error; };
  expect(() => measured(get, throwing(fail('stateIllegalKey', { key: 'a||b' })))).toThrow(DaprError);
  expect(all.samples(/state_count/)).toEqual([]);
  expect(() => measured(get, throwing(fail('stateGet', {}, { cause: new Error('down') })))).toThrow(DaprError);
  await expect(measured(get, () => Promise.reject(new Error('down')))).rejects.toThrow('down');
  expect(await measured(get, () => Promise.resolve(7))).toBe(7);
  expect(measured(get, () => 8)).toBe(8);
  expect(all.samples(/state_count/)).toEqual([expect.stringContaining('success="false"} 2'), expect.stringContaining('success="true"} 2')]);
});

it('deliveries: what became of the message and of the attempt', () => {
  const all = start();
  const orders = all.meter.delivery('bus', 'orders');
  orders('success', 'success', now());
  orders('drop', 'success', now());
  orders('drop', 'drop', undefined);
  const bulk = all.meter.bulkDelivery('bus', 'many');
  bulk.done(now());
  bulk.messages('SUCCESS', 3);
  bulk.messages('DROP', 0);
  expect(all.samples(/ingress/).filter((line) => !line.includes('_sum'))).toEqual([
    'dapr_component_pubsub_ingress_bulk_count{app_id="a",component="bus",namespace="shop",process_status="",topic="many"} 1',
    'dapr_component_pubsub_ingress_bulk_event_count{app_id="a",component="bus",namespace="shop",process_status="SUCCESS",topic="many"} 3',
    'dapr_component_pubsub_ingress_bulk_latencies_count{app_id="a",component="bus",namespace="shop",process_status="",topic="many"} 1',
    'dapr_component_pubsub_ingress_count{app_id="a",component="bus",namespace="shop",process_status="drop",status="drop",topic="orders"} 1',
    'dapr_component_pubsub_ingress_count{app_id="a",component="bus",namespace="shop",process_status="drop",status="success",topic="orders"} 1',
    'dapr_component_pubsub_ingress_count{app_id="a",component="bus",namespace="shop",process_status="success",status="success",topic="orders"} 1',
    'dapr_component_pubsub_ingress_latencies_count{app_id="a",component="bus",namespace="shop",process_status="drop",status="success",topic="orders"} 1',
    'dapr_component_pubsub_ingress_latencies_count{app_id="a",component="bus",namespace="shop",process_status="success",status="success",topic="orders"} 1',
  ]);
});

it('a circuit breaker shows the state it had when it was last asked', () => {
  const all = start();
  const event = { name: 'r', namespace: '', policy: 'circuitbreaker', direction: 'outbound', target: 'app_b' } as const;
  all.meter.resiliency.applied({ ...event, status: 'closed' });
  all.meter.resiliency.activated({ ...event, status: 'open' });
  all.meter.resiliency.applied({ ...event, status: 'open' });
  const labels = (status: string) => `{app_id="a",flow_direction="outbound",name="r",namespace="",policy="circuitbreaker",status="${status}",target="app_b"}`;
  expect(all.samples(/resiliency/)).toEqual([
    `dapr_resiliency_activations_total${labels('open')} 1`,
    `dapr_resiliency_cb_state${labels('closed')} 0`, `dapr_resiliency_cb_state${labels('half-open')} 0`, `dapr_resiliency_cb_state${labels('open')} 1`, `dapr_resiliency_cb_state${labels('unknown')} 0`,
    `dapr_resiliency_count${labels('closed')} 1`, `dapr_resiliency_count${labels('open')} 1`,
  ]);
});

describe('calls over HTTP', () => {
  it('to the API: whole milliseconds, bytes without labels', () => {
    const all = start();
    all.http.served('GET', '/v1.0/state/mem/a%20b', 200, 0, 1024, 1.9);
    all.http.served('PURGE', '/v1.0/invoke/x/method/a%20b', 500, 7, 0, 0.2);
    expect(all.scrape().body).toContain('dapr_http_server_latency_bucket{app_id="a",method="GET",path="/v1.0/state/mem",status="200",le="1"} 0\n');
    expect(all.samples(/http_server/)).toEqual([
      'dapr_http_server_latency_sum{app_id="a",method="GET",path="/v1.0/state/mem",status="200"} 1',
      'dapr_http_server_latency_count{app_id="a",method="GET",path="/v1.0/state/mem",status="200"} 1',
      'dapr_http_server_latency_sum{app_id="a",method="UNKNOWN",path="/v1.0/invoke/x/method/a b",status="500"} 0',
      'dapr_http_server_latency_count{app_id="a",method="UNKNOWN",path="/v1.0/invoke/x/method/a b",status="500"} 1',
      'dapr_http_server_request_bytes_sum{app_id="a"} 7', 'dapr_http_server_request_bytes_count{app_id="a"} 2',
      'dapr_http_server_request_count{app_id="a",method="GET",path="/v1.0/state/mem",status="200"} 1', 'dapr_http_server_request_count{app_id="a",method="UNKNOWN",path="/v1.0/invoke/x/method/a b",status="500"} 1',
      'dapr_http_server_response_bytes_sum{app_id="a"} 1024', 'dapr_http_server_response_bytes_count{app_id="a"} 2',
      'dapr_http_server_response_count{app_id="a",method="GET",path="/v1.0/state/mem",status="200"} 1', 'dapr_http_server_response_count{app_id="a",method="UNKNOWN",path="/v1.0/invoke/x/method/a b",status="500"} 1',
    ]);
  });
  it('to the app: what was sent has no status, an answer of unknown length counts without bytes', () => {
    const all = start({ http: { pathMatching: [], excludeVerbs: true } });
    all.http.sent('POST', '/a?b=c', 5);
    all.http.answered('POST', '/a?b=c', 200, undefined, now());
    all.http.answered('POST', '/a', 200, 3, now());
    expect(all.samples(/http_client.*(count|sum)/).filter((line) => !line.includes('roundtrip_latency_sum'))).toEqual([
      'dapr_http_client_completed_count{app_id="a",method="",path="/a",status="200"} 2',
      'dapr_http_client_received_bytes_sum{app_id="a"} 3', 'dapr_http_client_received_bytes_count{app_id="a"} 1',
      'dapr_http_client_roundtrip_latency_count{app_id="a",method="",path="/a",status="200"} 2',
      'dapr_http_client_sent_bytes_sum{app_id="a",method="",path="/a",status=""} 5', 'dapr_http_client_sent_bytes_count{app_id="a",method="",path="/a",status=""} 1',
    ]);
  });
  it('with methods nobody knows count under one name', () => {
    for (const [excludeVerbs, label] of [[false, 'UNKNOWN'], [true, '']] as const) {
      const all = start({ http: { pathMatching: [], excludeVerbs } });
      for (const method of ['FOO', 'BAR', 'UNKNOWN']) {
        all.http.served(method, '/a', 200, 0, 0, 0);
        all.http.sent(method, '/a', 0);
      }
      expect(all.samples(/server_request_count|sent_bytes_count/)).toEqual([`dapr_http_client_sent_bytes_count{app_id="a",method="${label}",path="/a",status=""} 3`, `dapr_http_server_request_count{app_id="a",method="${label}",path="/a",status="200"} 3`]);
    }
  });
  it('have no response_count with low cardinality', () => {
    const all = start({ http: { increasedCardinality: false, pathMatching: [], excludeVerbs: false } });
    all.http.served('GET', '/v1.0/state/mem/k', 200, 0, 0, 0);
    expect(all.samples(/http_server_re(quest|sponse)_count/)).toEqual(['dapr_http_server_request_count{app_id="a",method="GET",path="",status="200"} 1']);
  });
});

describe('what the Configuration says', () => {
  it('errors are counted by code only where it asks for that', () => {
    const [off, on] = [start(), start({ recordErrorCodes: true })];
    for (const { meter } of [off, on]) for (const name of ['stateIllegalKey', 'malformedBody', 'lockResourceEmpty', 'tryLock', 'invokeDenied', 'unknown'] as const) meter.failed(fail(name));
    on.meter.failed(new Error('no row'));
    expect(off.samples(/error_code/)).toEqual([]);
    expect(on.samples(/error_code/)).toEqual([
      'dapr_error_code_total{app_id="a",category="common",error_code="ERR_MALFORMED_REQUEST"} 2',
      'dapr_error_code_total{app_id="a",category="lock",error_code="ERR_TRY_LOCK"} 1',
      'dapr_error_code_total{app_id="a",category="service-invocation",error_code="ERR_DIRECT_INVOKE"} 1',
      'dapr_error_code_total{app_id="a",category="state",error_code="ERR_MALFORMED_REQUEST"} 1',
    ]);
  });
  it('buckets', () => {
    const all = start({ latencyDistributionBuckets: [100, 5, 0, 5, -1] });
    all.meter.inputEvent('in')(true, now());
    expect([...all.scrape().body.matchAll(/input_binding_latencies_bucket.*le="([^"]+)"/g)].map(([, le]) => le)).toEqual(['5', '100', '+Inf']);
  });
  it('rules replace labels', () => {
    const all = start({ rules: [{ name: 'dapr_runtime_component_loaded', labels: [{ name: 'app_id', regex: { hidden: 'a' } }] }] });
    all.meter.componentLoaded();
    all.meter.componentOpened('state.x');
    expect(all.samples(/runtime/)).toEqual(['dapr_runtime_component_init_total{app_id="a",component="state.x"} 1', 'dapr_runtime_component_loaded{app_id="hidden"} 1']);
  });
  it('a bad rule and a bad pattern are errors in the log, the metrics are there without them', () => {
    const all = start({ rules: [{ name: 'x', labels: [{ name: 'app_id', regex: { y: '(' } }] }], http: { pathMatching: ['/a/{x'], excludeVerbs: false } });
    expect(all.lines.filter((line) => line.includes('level=error'))).toEqual([expect.stringContaining('[INIT_FAILURE]: initialization error occurred for metrics: failed to compile regex for rule xapp_id/y: '), expect.stringContaining('pathMatching: the pattern /a/{x is left out')]);
    all.meter.componentLoaded();
    expect(all.samples(/dapr_/)).toHaveLength(1);
  });
  it('off: nothing is counted, the port tells of the process alone', () => {
    const { metrics, scrape } = start({ enabled: false });
    expect([metrics.meter, metrics.http]).toEqual([undefined, undefined]);
    const { status, headers, body } = scrape();
    expect([status, headers]).toEqual([200, ['Content-Type', 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores']]);
    expect(body).toMatch(/^# HELP go_info .*\n# TYPE go_info gauge\ngo_info\{version="node"\} 1\n$/);
  });
  it('it is told at the start, as Dapr does', () => {
    expect(start().lines.join()).toContain('msg="metric spec: {\\"enabled\\":true}"');
    expect(start({ http: { increasedCardinality: false, pathMatching: ['/a'], excludeVerbs: false } }).lines.join()).toContain('{\\"enabled\\":true,\\"http\\":{\\"increasedCardinality\\":false,\\"pathMatching\\":[\\"/a\\"]}}');
  });
});
