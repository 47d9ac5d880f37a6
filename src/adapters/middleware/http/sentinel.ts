// middleware.http.sentinel: flow control, isolation and circuit breaking by the rules of Alibaba's Sentinel; resources are `VERB:/path`.
import { field, schema } from '../../../core/metadata.ts';
import { whenSent } from '../../../blocks/middleware/body.ts';
import { defineHttpMiddleware } from '../../../blocks/middleware/port.ts';
import { pause } from '../../../core/pause.ts';
import { statusAnswer } from '../answers.ts';
import { type Breaker, createBreaker } from '../sentinel/breaker.ts';
import { createFlowGuard } from '../sentinel/flow.ts';
import { metrics, readRules } from '../sentinel/rules.ts';
import { createWindow } from '../sentinel/window.ts';
import { urlOf } from '../url.ts';

function grouped<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(nameOf(item), [...(groups.get(nameOf(item)) ?? []), item]);
  return groups;
}

export default defineHttpMiddleware({
  type: 'middleware.http.sentinel',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Refuses requests with 429 by the rules of Sentinel. A resource is the verb, a colon and the path: `GET:/v1.0/invoke/app/method/x`. Each sidecar counts for itself.',
  metadata: schema({
    appName: field.text().default('').describe('Name of the application in Sentinel\'s own log; accepted, there is no such log here'),
    logDir: field.text().default('').describe('Folder of Sentinel\'s own log; accepted, there is no such log here'),
    flowRules: field.text().default('').describe('JSON list of flow rules: resource, threshold, statIntervalInMs, controlBehavior, tokenCalculateStrategy (0 direct, 1 warm-up) and so on'),
    circuitBreakerRules: field.text().default('').describe('JSON list of circuit breaker rules. Only slow answers count (strategy 0): Dapr tells Sentinel no errors'),
    hotSpotParamRules: field.text().default('').describe('JSON list; accepted, but without effect, as in Dapr'),
    isolationRules: field.text().default('').describe('JSON list of rules that limit requests in hand: resource, threshold'),
    systemRules: field.text().default('').describe('JSON list of rules over all requests: metricType 1 average time, 2 requests in hand, 3 requests per second; triggerCount. Load and CPU (0, 4) are refused'),
  }),
  open: async (metadata, { log }) => {
    const rules = readRules(metadata, log);
    const guards = rules.flow.map(createFlowGuard);
    const guardsOf = grouped(guards, (guard) => guard.rule.resource);
    // what each guard counts: its own resource, or the one it is bound to
    const countersOf = grouped(guards, ({ rule }) => (rule.relationStrategy === 1 ? rule.refResource : rule.resource));
    const isolationOf = grouped(rules.isolation, (rule) => rule.resource);
    const breakersOf = new Map([...grouped(rules.breakers, (rule) => rule.resource)].map(([name, list]) => [name, list.map(createBreaker)]));
    const inHand = new Map<string, number>();
    const all = createWindow<'pass' | 'complete' | 'time'>(1000, 2);
    let allInHand = 0;
    const closed = new AbortController();

    const systemAllows = (now: number): boolean =>
      rules.system.every(({ metricType, triggerCount }) => {
        if (metricType === metrics.requestsPerSecond) return all.sum('pass', now) < triggerCount;
        if (metricType === metrics.concurrency) return allInHand < triggerCount;
        const completed = all.sum('complete', now);
        return (completed === 0 ? 0 : all.sum('time', now) / completed) < triggerCount;
      });
    /** The checks in Sentinel's order. undefined: refused. */
    const enter = async (resource: string): Promise<(() => void) | undefined> => {
      if (!systemAllows(Date.now())) return undefined;
      for (const guard of guardsOf.get(resource) ?? []) {
        const wait = guard.check(Date.now());
        if (wait === undefined) return undefined;
        if (wait > 0) await pause(wait, closed.signal);
      }
      const held = inHand.get(resource) ?? 0;
      if (isolationOf.get(resource)?.some(({ threshold }) => held + 1 > threshold)) return undefined;
      const breakers = breakersOf.get(resource) ?? [];
      const now = Date.now();
      const probing: Breaker[] = [];
      for (const breaker of breakers) {
        const verdict = breaker.tryPass(now);
        if (verdict === 'probe') probing.push(breaker);
        else if (verdict === undefined) {
          for (const other of probing) other.probeRefused();
          return undefined;
        }
      }
      for (const counter of countersOf.get(resource) ?? []) counter.passed(now);
      all.add('pass', 1, now);
      allInHand++;
      if (isolationOf.has(resource)) inHand.set(resource, held + 1);
      return () => {
        const end = Date.now();
        allInHand--;
        if (isolationOf.has(resource)) inHand.set(resource, (inHand.get(resource) ?? 1) - 1);
        all.add('complete', 1, end);
        all.add('time', end - now, end);
        for (const breaker of breakers) breaker.completed(end - now, end);
      };
    };

    return {
      handle: async (request, next) => {
        const exit = await enter(`${request.method}:${urlOf(request.target).path}`);
        if (exit === undefined) return statusAnswer(429);
        try {
          return whenSent(await next(request), exit);
        } catch (error) {
          exit();
          throw error;
        }
      },
      close: async () => closed.abort(),
    };
  },
});
