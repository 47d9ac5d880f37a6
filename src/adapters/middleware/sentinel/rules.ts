// The rules of middleware.http.sentinel, JSON lists as sentinel-golang reads them. What Sentinel would pass over with a log line is passed over here.
import * as z from 'zod';
import { textOf } from '../../../core/errors.ts';
import { parseWhole } from '../../../core/go-json.ts';
import type { Logger } from '../../../core/log.ts';

const whole = () => z.number().int().default(0);
const flow = z.object({
  resource: z.string().default(''), tokenCalculateStrategy: whole(), controlBehavior: whole(), threshold: z.number().default(0), relationStrategy: whole(), refResource: z.string().default(''),
  maxQueueingTimeMs: whole(), warmUpPeriodSec: whole(), warmUpColdFactor: whole(), statIntervalInMs: whole(),
});
const isolation = z.object({ resource: z.string().default(''), metricType: whole(), threshold: whole() });
const breaker = z.object({
  resource: z.string().default(''), strategy: whole(), retryTimeoutMs: whole(), minRequestAmount: whole(), statIntervalMs: whole(), statSlidingWindowBucketCount: whole(), maxAllowedRtMs: whole(), threshold: z.number().default(0), probeNum: whole(),
});
const system = z.object({ metricType: whole(), triggerCount: z.number().default(0), strategy: whole() });
const hotSpot = z.object({});

export type FlowRule = z.output<typeof flow>;
export type IsolationRule = z.output<typeof isolation>;
export type BreakerRule = z.output<typeof breaker>;
export type SystemRule = z.output<typeof system>;

export const strategies = { direct: 0, warmUp: 1, memoryAdaptive: 2 } as const;
export const metrics = { load: 0, averageTime: 1, concurrency: 2, requestsPerSecond: 3, cpu: 4 } as const;

/** Throws where the text is no list of such objects, in Dapr's words. */
function read<T>(kind: string, go: string, rule: z.ZodType<T>, text: string): T[] {
  if (text === '') return [];
  try {
    const list = parseWhole(text);
    if (list === null) return [];
    if (!Array.isArray(list)) throw new Error(`json: cannot unmarshal ${typeof list} into Go value of type []*${go}.Rule`);
    return z.array(rule).parse(list.map((item) => folded(item, rule)));
  } catch (error) {
    const why = error instanceof z.ZodError ? error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ') : textOf(error);
    throw new Error(`fail to load sentinel ${kind} rules '${text}': Fail to convert source bytes to []*${go}.Rule, err: ${why}`, { cause: error });
  }
}
/** Go finds the names of an object in any case. */
function folded(item: unknown, rule: z.ZodType): unknown {
  if (typeof item !== 'object' || item === null || !(rule instanceof z.ZodObject)) return item;
  const names = new Map(Object.keys(rule.shape).map((name) => [name.toLowerCase(), name]));
  return Object.fromEntries(Object.entries(item).flatMap(([name, value]) => (value === null ? [] : [[names.get(name.toLowerCase()) ?? name, value]])));
}

export interface Rules {
  flow: FlowRule[];
  isolation: IsolationRule[];
  breakers: BreakerRule[];
  system: SystemRule[];
}

export function readRules(texts: { flowRules: string; isolationRules: string; circuitBreakerRules: string; hotSpotParamRules: string; systemRules: string }, log: Logger): Rules {
  const kept = <T>(kind: string, rules: T[], problem: (rule: T) => string | undefined): T[] =>
    rules.filter((rule) => {
      const why = problem(rule);
      if (why !== undefined) log.warn(`Ignoring invalid ${kind} rule ${JSON.stringify(rule)}: ${why}`);
      return why === undefined;
    });
  const rules: Rules = {
    flow: kept('flow', read('flow', 'flow', flow, texts.flowRules), flowProblem),
    isolation: kept('isolation', read('isolation', 'isolation', isolation, texts.isolationRules), (r) => (r.resource === '' ? 'empty resource' : r.metricType !== 0 ? `unsupported metric type: ${r.metricType}` : r.threshold <= 0 ? 'zero threshold' : undefined)),
    breakers: kept('circuit breaker', read('circuit breaker', 'circuitbreaker', breaker, texts.circuitBreakerRules), breakerProblem),
    system: kept('system', read('system', 'system', system, texts.systemRules), (r) => (r.triggerCount < 0 ? 'negative threshold' : r.metricType < 0 || r.metricType > 4 ? 'invalid metric type' : undefined)),
  };
  // Dapr hands Sentinel no parameters of a request, so these rules never limit anything.
  if (read('hotspot param', 'hotspot', hotSpot, texts.hotSpotParamRules).length > 0) log.warn('hotSpotParamRules have no effect: requests have no parameters for them, in Dapr neither');
  const unmeasured = rules.system.find((r) => r.metricType === metrics.load || r.metricType === metrics.cpu);
  if (unmeasured) throw new Error(`fail to load sentinel system rules '${texts.systemRules}': load and CPU usage of the machine are not measured by Outrigger`);
  if (rules.flow.some((r) => r.tokenCalculateStrategy === strategies.memoryAdaptive)) throw new Error(`fail to load sentinel flow rules '${texts.flowRules}': tokenCalculateStrategy 2 follows the memory of the machine, which is not measured by Outrigger`);
  return rules;
}

function flowProblem(rule: FlowRule): string | undefined {
  if (rule.resource === '') return 'empty Resource';
  if (rule.threshold < 0) return 'negative Threshold';
  if (rule.tokenCalculateStrategy < 0 || rule.tokenCalculateStrategy > 2) return 'unsupported TokenCalculateStrategy';
  if (rule.controlBehavior < 0 || rule.controlBehavior > 1) return 'unsupported ControlBehavior';
  if (rule.relationStrategy < 0 || rule.relationStrategy > 1) return 'invalid RelationStrategy';
  if (rule.relationStrategy === 1 && rule.refResource === '') return 'RefResource must be non empty when RelationStrategy is AssociatedResource';
  if (rule.tokenCalculateStrategy === strategies.warmUp && rule.warmUpPeriodSec <= 0) return 'WarmUpPeriodSec must be great than 0';
  if (rule.tokenCalculateStrategy === strategies.warmUp && rule.warmUpColdFactor === 1) return 'WarmUpColdFactor must be great than 1';
  return undefined;
}

function breakerProblem(rule: BreakerRule): string | undefined {
  if (rule.resource === '') return 'empty resource name';
  if (rule.statIntervalMs <= 0) return 'invalid StatIntervalMs';
  if (rule.retryTimeoutMs <= 0) return 'invalid RetryTimeoutMs';
  if (rule.threshold < 0 || (rule.strategy < 2 && rule.threshold > 1)) return 'invalid Threshold';
  return rule.strategy < 0 || rule.strategy > 2 ? 'unsupported strategy' : undefined;
}
