// The metrics port of a running sidecar, on every runtime: what Prometheus finds there.
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Runtime, startApp, startSidecar } from '../harness/sidecar.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
async function run(options: Parameters<typeof startSidecar>[0]) {
  const sidecar = await startSidecar(options);
  ends.push(() => sidecar.stop());
  return { ...sidecar, metrics: `http://127.0.0.1:${sidecar.ports.metrics}` };
}
const memory = { 'mem.yaml': 'apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: mem }\nspec: { type: state.in-memory, version: v1 }\n' };

interface Family {
  type: string;
  samples: Map<string, number>;
}
/** Reads the text format 0.0.4 as strictly as its description: https://prometheus.io/docs/instrumenting/exposition_formats. Throws at the first line that is none. */
function parse(text: string): Map<string, Family> {
  expect(text.endsWith('\n')).toBe(true);
  const families = new Map<string, Family>();
  let helped = '';
  let current: { name: string; family: Family } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = /^# HELP ([a-zA-Z_:][\w:]*) \S.*$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/.exec(line);
    if (help) helped = help[1] as string;
    else if (type) {
      const [, name = '', kind = ''] = type;
      if (name !== helped || families.has(name)) throw new Error(`TYPE without HELP, or twice: ${line}`);
      current = { name, family: { type: kind, samples: new Map() } };
      families.set(name, current.family);
    } else {
      const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*",?)+\})? (\+Inf|-?\d+(?:\.\d+)?(?:e[+-]\d\d+)?)$/.exec(line);
      if (sample === null || current === undefined) throw new Error(`no sample: ${line}`);
      const [, name = '', labels = '', value] = sample;
      const own = current.family.type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => current?.name + end) : [current.name];
      if (!own.includes(name) || labels.includes(',}') || current.family.samples.has(name + labels)) throw new Error(`misplaced or repeated: ${line}`);
      current.family.samples.set(name + labels, Number(value?.replace('+Inf', 'Infinity')));
    }
  }
  for (const [name, { type, samples }] of families) {
    if (samples.size === 0) throw new Error(`${name} has no samples`);
    if (type !== 'histogram') continue;
    let below = 0;
    for (const [series, value] of samples) {
      const isBucket = series.startsWith(`${name}_bucket`);
      if (isBucket && value < below) throw new Error(`buckets are cumulative: ${series}`);
      below = isBucket ? value : 0;
      if (series.startsWith(`${name}_count`)) expect(samples.get(series.replace('_count', '_bucket').replace(/\}$/, ',le="+Inf"}'))).toBe(value);
    }
  }
  return families;
}

describe.each<Runtime>(['node', 'bun', 'deno'])('%s', (runtime) => {
  it('shows the series of Dapr and of the process on every path of the metrics port, and on no other', async () => {
    const app = await startApp(() => new Response('ok', { headers: { 'content-length': '2' } }));
    ends.push(() => app.stop());
    const sidecar = await run({ runtime, resources: memory, flags: [`--app-port=${app.port}`], waitFor: 'ready' });
    await fetch(`${sidecar.http}/v1.0/state/mem`, { method: 'POST', body: '[{"key":"ü","value":"x"}]' });
    expect(await (await fetch(`${sidecar.http}/v1.0/state/mem/%C3%BC`)).text()).toBe('"x"');
    await (await fetch(`${sidecar.http}/v1.0/invoke/test/method/a/%C3%BC%22?q=1`)).text();
    const answer = await fetch(`${sidecar.metrics}/any/path`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores']);
    const families = parse(await answer.text());
    const one = (family: string, series: string) => families.get(family)?.samples.get(series);
    expect(one('dapr_runtime_component_loaded', 'dapr_runtime_component_loaded{app_id="test"}')).toBe(1);
    expect(one('dapr_component_state_count', 'dapr_component_state_count{app_id="test",component="mem",namespace="",operation="get",success="true"}')).toBe(1);
    expect(one('dapr_http_server_request_count', 'dapr_http_server_request_count{app_id="test",method="GET",path="/v1.0/state/mem",status="200"}')).toBe(1);
    expect(one('dapr_http_server_request_count', 'dapr_http_server_request_count{app_id="test",method="GET",path="/v1.0/invoke/test/method/a/ü\\"",status="200"}')).toBe(1);
    expect(one('dapr_http_client_completed_count', 'dapr_http_client_completed_count{app_id="test",method="GET",path="/a/ü\\"",status="200"}')).toBe(1);
    expect(one('dapr_http_client_received_bytes', 'dapr_http_client_received_bytes_sum{app_id="test"}')).toBeGreaterThanOrEqual(2);
    for (const name of ['go_goroutines', 'go_memstats_alloc_bytes', 'process_start_time_seconds', 'process_virtual_memory_bytes', 'process_resident_memory_bytes', 'process_open_fds', 'process_cpu_seconds_total']) {
      expect([name, families.get(name)?.samples.get(name)]).toEqual([name, expect.any(Number)]);
    }
    expect(Math.abs((one('process_start_time_seconds', 'process_start_time_seconds') ?? 0) - Date.now() / 1000)).toBeLessThan(60);
    expect((await fetch(`${sidecar.http}/metrics`)).status).toBe(404);
  });
});

it('the port stays closed without metrics', async () => {
  const sidecar = await run({ flags: ['--enable-metrics=false'] });
  await expect(fetch(sidecar.metrics)).rejects.toThrow();
});

it('a port that somebody else has ends the start', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  ends.push(() => other.close());
  await new Promise((listening) => other.once('listening', listening));
  const { port } = other.address() as { port: number };
  const sidecar = await run({ flags: [`--metrics-port=${port}`], waitFor: 'none' });
  expect((await sidecar.exited).code).toBe(1);
  expect(sidecar.log()).toContain(`Fatal error from runtime: failed to listen on 127.0.0.1:${port}: `);
});
