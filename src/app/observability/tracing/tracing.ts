// Tracing of one sidecar: which exporters the Configuration asks for, the recorder that feeds them (Dapr: pkg/runtime/runtime.go setupTracing).
import type { Host } from '../../../core/host.ts';
import type { Logger } from '../../../core/log.ts';
import { samplingRateOf, type TracingMode, tracingMode } from '../../../core/traceparent.ts';
import { ConfigurationError } from '../../../blocks/resources/configuration-error.ts';
import type { Configuration } from '../../../blocks/resources/kinds.ts';
import { type Batch, batchLimits, createBatch, createUnattendedBatch, type SpanExporter } from './batch.ts';
import { logExporter } from './log-lines.ts';
import { otlpEndpoint, unescaped } from './otlp-endpoint.ts';
import { otlpGrpcExporter } from './otlp-grpc.ts';
import { otlpHttpExporter } from './otlp-http.ts';
import { type Attributes, createSpanRecorder, type FinishedSpan, type SpanRecorder } from './span.ts';
import { zipkinExporter } from './zipkin.ts';

/** What those who make spans are told. */
export interface TracingRules {
  tracing: TracingMode;
  /** Share of new traces that are sampled, 0 to 1. */
  samplingRate: number;
  /** undefined where nothing is exported. */
  recorder?: SpanRecorder | undefined;
}
export interface Tracing extends TracingRules {
  /** Opens the exporters; spans noted before go out then. Rejects with ConfigurationError. */
  open(): Promise<void>;
  /** Exports what is noted so far, for hosts that may be stopped after each request. Never rejects. */
  flush(): Promise<void>;
  /** The same for the last time, within two seconds. */
  close(): Promise<void>;
}

const lastMs = 2000;

export function createTracing(spec: Configuration['tracing'], { host, appId, log }: { host: Host; appId: string; log: Logger }): Tracing {
  const rules = { tracing: tracingMode(spec), samplingRate: samplingRateOf(spec.samplingRate) };
  const { zipkin, otel } = spec;
  const toOtel = otel?.endpointAddress && otel.protocol ? otel : undefined;
  if (rules.tracing !== 'spans' || !(spec.stdout || zipkin?.endpointAddress || toOtel)) {
    const nothing = async () => {};
    return { ...rules, recorder: undefined, open: nothing, flush: nothing, close: nothing };
  }

  const limits = batchLimits(host.env);
  let batches: Batch[] | undefined;
  /** Noted while the exporters open. */
  const early: FinishedSpan[] = [];
  const recorder = createSpanRecorder((span) => {
    if (batches !== undefined) for (const batch of batches) batch.add(span);
    else if (early.length < limits.maxQueue) early.push(span);
  });
  const exporters = async (): Promise<SpanExporter[]> => {
    const resource = resourceOf(appId, host.env);
    const found: SpanExporter[] = [];
    if (spec.stdout) found.push(logExporter(log));
    if (zipkin?.endpointAddress) found.push(zipkinExporter(host.http, zipkin.endpointAddress, resource));
    if (toOtel !== undefined) {
      const endpoint = await otlpEndpoint(toOtel, host.env, host.files, log);
      if (toOtel.protocol === 'http') found.push(otlpHttpExporter(host.http, endpoint, resource));
      else if (host.http2 !== undefined) found.push(otlpGrpcExporter(host.http2, endpoint, resource));
      else throw new Error(`[HTTP2_NOT_AVAILABLE]: otel.protocol grpc needs HTTP/2 connections, which the host ${host.runtime} does not have; set otel.protocol to http and endpointAddress to the port the collector has for it (as a rule 4318)`);
    }
    return found;
  };
  return {
    ...rules,
    recorder,
    open: async () => {
      try {
        batches = (await exporters()).map((exporter) => (host.background ? createBatch : createUnattendedBatch)(exporter, limits, log));
      } catch (error) {
        throw new ConfigurationError(`failed to setup tracing: ${error instanceof Error ? error.message : String(error)}`);
      }
      for (const span of early.splice(0)) for (const batch of batches) batch.add(span);
    },
    flush: async () => { await Promise.all((batches ?? []).map((batch) => batch.flush())); },
    close: async () => { await Promise.all((batches ?? []).map((batch) => batch.close(lastMs))); },
  };
}

/** Who sends the spans: the app, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES (`name=value,…`, percent-encoded) say otherwise. */
export function resourceOf(appId: string, env: Readonly<Record<string, string | undefined>>): Attributes {
  const all = new Map([['service.name', appId]]);
  for (const pair of (env.OTEL_RESOURCE_ATTRIBUTES ?? '').split(',')) {
    const at = pair.indexOf('=');
    if (at > 0) all.set(pair.slice(0, at).trim(), unescaped(pair.slice(at + 1).trim()));
  }
  if (env.OTEL_SERVICE_NAME) all.set('service.name', env.OTEL_SERVICE_NAME);
  return [...all];
}
