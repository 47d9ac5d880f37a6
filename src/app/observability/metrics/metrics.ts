// The metrics of one sidecar: its series as spec.metrics of the Configuration wants them, and the answer of the metrics port.
import type { MetricsSpec } from '../../../blocks/resources/kinds.ts';
import type { Host, RawHeaders } from '../../../core/host.ts';
import type { Logger } from '../../../core/log.ts';
import type { Meter } from '../../../core/meter.ts';
import type { HandleCall } from '../../http/api.ts';
import { createHttpMeter, type HttpMeter } from './http.ts';
import { createMeter } from './meter.ts';
import { createRegistry, mostMembers, type Registry } from './registry.ts';
import { createLabelRules } from './rules.ts';
import { runtimeText } from './runtime.ts';
import { usualLatencyBounds } from './series.ts';

export interface Metrics {
  /** undefined: spec.metrics.enabled is false, nothing is counted. */
  readonly meter: Meter | undefined;
  readonly http: HttpMeter | undefined;
  /** The metrics port: every path answers the text. */
  readonly handle: HandleCall;
}

export interface MetricsOptions {
  host: Pick<Host, 'process' | 'runtime'>;
  spec: MetricsSpec;
  appId: string;
  /** Environment NAMESPACE, '' when unset. */
  namespace: string;
  log: Logger;
}

const headers = (): RawHeaders => ['Content-Type', 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores'];

export function createMetrics({ host, spec, appId, namespace, log }: MetricsOptions): Metrics {
  let registry: Registry | undefined;
  let meter: Meter | undefined;
  let http: HttpMeter | undefined;
  if (spec.enabled) {
    const scoped = log.scope('dapr.runtime.diagnostics');
    scoped.info(`metric spec: ${JSON.stringify(shown(spec))}`);
    const rules = createLabelRules(spec.rules, (problem) => log.error(`[INIT_FAILURE]: initialization error occurred for metrics: ${problem}`));
    registry = createRegistry({
      rules,
      onFull: (name) => scoped.warn(`${name} has ${mostMembers} series; the next ones are counted together, without the labels that make them many. For paths, see spec.metrics.http in the Configuration`),
    });
    const latencyBounds = boundsOf(spec.latencyDistributionBuckets);
    meter = createMeter({ registry, appId, namespace, latencyBounds, recordErrorCodes: spec.recordErrorCodes });
    http = createHttpMeter({ registry, appId, http: spec.http, latencyBounds, onBad: (problem) => scoped.error(problem) });
  }
  return {
    meter,
    http,
    handle: (incoming) => {
      const text = (registry?.text() ?? '') + runtimeText(host.process, host.runtime);
      // a platform without processes packs answers itself
      if (host.process === undefined || !takesGzip(incoming.header('accept-encoding'))) return incoming.respond(200, headers(), text);
      const packed = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
      return incoming.respond(200, [...headers(), 'Content-Encoding', 'gzip'], packed);
    },
  };
}

/** Many paths make long answers, and they pack well: Prometheus asks for that. */
const takesGzip = (accepted = ''): boolean => accepted.split(',').some((coding) => /^\s*gzip\s*(;\s*q=(1|0?\.\d*[1-9]\d*|1\.0*))?\s*$/i.test(coding));

/** Sorted, each once, and nothing below one: as OpenCensus takes them. */
function boundsOf(given: readonly number[]): readonly number[] {
  if (given.length === 0) return usualLatencyBounds;
  return [...new Set(given)].filter((bound) => bound > 0).sort((a, b) => a - b);
}

/** What was set, in the order of Dapr's own JSON. */
function shown({ enabled, recordErrorCodes, http, latencyDistributionBuckets, rules }: MetricsSpec): Record<string, unknown> {
  const { increasedCardinality, pathMatching, excludeVerbs } = http;
  const paths = { ...(increasedCardinality === undefined ? {} : { increasedCardinality }), ...(pathMatching.length > 0 ? { pathMatching } : {}), ...(excludeVerbs ? { excludeVerbs } : {}) };
  return {
    enabled,
    ...(recordErrorCodes ? { recordErrorCodes } : {}),
    ...(Object.keys(paths).length > 0 ? { http: paths } : {}),
    ...(latencyDistributionBuckets.length > 0 ? { latencyDistributionBuckets } : {}),
    ...(rules.length > 0 ? { rules } : {}),
  };
}
