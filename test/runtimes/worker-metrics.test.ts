// Metrics of a Worker: no port of its own, so a path of the Worker where one is asked for, behind the API's token.
import { afterEach, expect, it } from 'vitest';
import { type RunningHost, startHost } from './hosts.ts';

let host: RunningHost | undefined;
afterEach(() => host?.stop());
const resources = 'apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: mem }\nspec: { type: state.in-memory, version: v1 }\n';
const withToken = { headers: { 'dapr-api-token': 'let-me-in' } };

it('are on the path of DAPR_METRICS_PATH', async () => {
  host = await startHost('workerd', { resources, env: { DAPR_METRICS_PATH: '/internal/metrics', DAPR_API_TOKEN: 'let-me-in' } });
  await fetch(`${host.http}/v1.0/state/mem/k`, withToken);
  expect((await fetch(`${host.http}/internal/metrics`)).status).toBe(401);
  const answer = await fetch(`${host.http}/internal/metrics`, withToken);
  const text = await answer.text();
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores']);
  expect(text).toContain('dapr_http_server_request_count{app_id="test",method="GET",path="/v1.0/state/mem",status="204"} 1\n');
  expect(text).toContain('go_info{version="workers"} 1\n');
  expect(text).not.toContain('process_');
  expect((await fetch(`${host.http}/metrics`, withToken)).status).toBe(404);
});

it('are nowhere without it', async () => {
  host = await startHost('workerd', { resources, env: {} });
  expect((await fetch(`${host.http}/metrics`)).status).toBe(404);
});
