// What calls to the API, requests to the app and health probes of it are counted under (dapr/pkg/diagnostics/http_monitoring.go).
import type { MetricsSpec } from '../../../blocks/resources/kinds.ts';
import { bound, nowExactly } from '../../../core/meter.ts';
import { decodedPath } from '../../http/path.ts';
import { createPathLabels } from './path-label.ts';
import { latest } from './latest.ts';
import type { Counter, Histogram, Labels, Registry } from './registry.ts';
import { healthProbes, httpClient, httpServer, sizeBounds } from './series.ts';

export interface HttpMeter {
  /** A call to the API is answered. `target`: path and query as they came. `ms`: how long it took. */
  served(method: string, target: string, status: number, requestBytes: number, responseBytes: number, ms: number): void;
  /** A request to the app goes out. `target`: path and query, escaped. */
  sent(method: string, target: string, bytes: number): void;
  /** It was answered; `bytes` undefined where the answer does not say how many it has. Status 500: it gave no answer. */
  answered(method: string, target: string, status: number, bytes: number | undefined, startedAt: number): void;
  /** A health probe of the app was answered; 500: it was not. */
  probed(status: number, startedAt: number): void;
}

export interface HttpMeterOptions {
  registry: Registry;
  appId: string;
  http: MetricsSpec['http'];
  latencyBounds: readonly number[];
  onBad(message: string): void;
}

const unknown = 'UNKNOWN';
const verbs = new Set(['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE']);

/** All that one method and status of a path add to. `method` is the label: callers may make up as many methods as they like. */
interface Bound {
  method: string;
  status: number;
  count: Counter;
  latency: Histogram;
  responses: Counter | undefined;
}

type Make = (labels: Labels) => Pick<Bound, 'count' | 'latency' | 'responses'>;

export function createHttpMeter({ registry, appId, http, latencyBounds, onBad }: HttpMeterOptions): HttpMeter {
  const labels = createPathLabels(http, onBad);
  const methodOf = (method: string) => (http.excludeVerbs ? '' : verbs.has(method) || method === unknown ? method : unknown);
  const own = { app_id: appId };

  const requestCount = registry.counter(httpServer.requestCount);
  const responseCount = http.increasedCardinality === false ? undefined : registry.counter(httpServer.responseCount);
  const serverLatency = registry.histogram(httpServer.latency, latencyBounds);
  const requestSize = registry.histogram(httpServer.requestBytes, sizeBounds)(own);
  const responseSize = registry.histogram(httpServer.responseBytes, sizeBounds)(own);
  const completed = registry.counter(httpClient.completedCount);
  const roundtrip = registry.histogram(httpClient.roundtripLatency, latencyBounds);
  const sentSize = registry.histogram(httpClient.sentBytes, sizeBounds);
  const receivedSize = registry.histogram(httpClient.receivedBytes, sizeBounds)(own);
  const probes = registry.counter(healthProbes.completedCount);
  const probeLatency = registry.histogram(healthProbes.roundtripLatency, latencyBounds);

  const serverPaths = latest(bound((label): { label: string; served: Bound[] } => ({ label, served: [] })), (target) => labels.server(decodedPath(target)), labels.reduces);
  const clientPaths = latest(bound((label): { label: string; sent: { method: string; size: Histogram }[]; answered: Bound[] } => ({ label, sent: [], answered: [] })), (target) => labels.client(decodedPath(target)), labels.reduces);
  const boundFor = (list: Bound[], method: string, status: number, make: Make, path: string): Bound => {
    for (const one of list) if (one.status === status && one.method === method) return one;
    const label = methodOf(method);
    if (label !== method) return boundFor(list, label, status, make, path);
    const made = { method, status, ...make({ ...own, method, path, status: String(status) }) };
    list.push(made);
    return made;
  };

  const makeServed: Make = (all) => ({ count: requestCount(all), latency: serverLatency(all), responses: responseCount?.(all) });
  const makeAnswered: Make = (all) => ({ count: completed(all), latency: roundtrip(all), responses: undefined });

  return {
    served: (method, target, status, requestBytes, responseBytes, ms) => {
      const { label, served } = serverPaths(target);
      const known = boundFor(served, method, status, makeServed, label);
      known.count.value++;
      if (known.responses !== undefined) known.responses.value++;
      known.latency.observe(Math.floor(ms));
      requestSize.observe(requestBytes);
      responseSize.observe(responseBytes);
    },
    sent: (method, target, bytes) => {
      const { label, sent } = clientPaths(target);
      const verb = methodOf(method);
      let known = sent.find((one) => one.method === verb);
      if (known === undefined) sent.push((known = { method: verb, size: sentSize({ ...own, method: verb, path: label }) }));
      known.size.observe(bytes);
    },
    answered: (method, target, status, bytes, startedAt) => {
      const { label, answered } = clientPaths(target);
      const known = boundFor(answered, method, status, makeAnswered, label);
      known.count.value++;
      known.latency.observe(wholeMs(startedAt));
      if (bytes !== undefined) receivedSize.observe(bytes);
    },
    probed: (status, startedAt) => {
      const all = { ...own, status: String(status) };
      probes(all).value++;
      probeLatency(all).observe(wholeMs(startedAt));
    },
  };
}

/** Dapr counts the time of HTTP calls in whole milliseconds. */
const wholeMs = (startedAt: number): number => Math.floor(nowExactly() - startedAt);
