// core/meter.ts over the series of the registry: binds labels, hands out what counts (dapr/pkg/diagnostics/component_monitoring.go, service_monitoring.go).
import { DaprError } from '../../../core/errors.ts';
import { bound, type DeliveryStatus, type InvocationMeter, type Meter, nowExactly, type Operation, type PolicyEvent, type ResiliencyMeter } from '../../../core/meter.ts';
import { errorCategories } from './error-category.ts';
import type { FamilySpec, Labels, Registry } from './registry.ts';
import { bulkEgress, bulkIngress, components, egress, errorCodes, ingress, inputBinding, resiliency, runtimeComponents, serviceInvocation } from './series.ts';

export interface MeterOptions {
  registry: Registry;
  appId: string;
  /** Environment NAMESPACE, '' when unset. */
  namespace: string;
  latencyBounds: readonly number[];
  recordErrorCodes: boolean;
}

const breakerStates = ['closed', 'half-open', 'open', 'unknown'];

export function createMeter({ registry, appId, namespace, latencyBounds, recordErrorCodes }: MeterOptions): Meter {
  const counted = (spec: FamilySpec) => registry.counter(spec);
  const timed = (spec: FamilySpec) => registry.histogram(spec, latencyBounds);
  /** A count and a latency under the same labels and `success`. */
  const operations = (specs: { count: FamilySpec; latencies: FamilySpec }): ((labels: Labels) => Operation) => {
    const count = counted(specs.count);
    const latencies = timed(specs.latencies);
    return (labels) => {
      const of = (success: string) => {
        const all = { ...labels, app_id: appId, namespace, success };
        return { count: count(all), latency: latencies(all) };
      };
      const good = of('true');
      let bad: typeof good | undefined;
      return (succeeded, startedAt) => {
        const known = succeeded ? good : (bad ??= of('false'));
        known.count.value++;
        known.latency.observe(nowExactly() - startedAt);
      };
    };
  };

  const byKind = { state: operations(components.state), configuration: operations(components.configuration), secret: operations(components.secret), crypto: operations(components.crypto), output_binding: operations(components.output_binding) };
  const inputs = operations(inputBinding);
  const published = operations(egress);
  const bulkPublished = operations(bulkEgress);
  const ingressCount = counted(ingress.count);
  const ingressLatency = timed(ingress.latencies);
  const bulkCount = counted(bulkIngress.count);
  const bulkEvents = counted(bulkIngress.eventCount);
  const bulkLatency = timed(bulkIngress.latencies);
  const loaded = counted(runtimeComponents.loaded)({ app_id: appId });
  const initialized = counted(runtimeComponents.initTotal);
  const initFailed = counted(runtimeComponents.initFailTotal);
  const errorCount = recordErrorCodes ? counted(errorCodes) : undefined;
  const categories = errorCount && errorCategories();

  return {
    operation: (kind, component, operation) => byKind[kind]({ component, operation }),
    inputEvent: (component) => inputs({ component }),
    published: (component, topic) => published({ component, topic }),
    bulkPublished: (component, topic) => bulkPublished({ component, topic }),
    delivery: (component, topic) => {
      const of = (process: DeliveryStatus, status: DeliveryStatus) => {
        const all = { app_id: appId, namespace, component, topic, process_status: process, status };
        return { process, status, count: ingressCount(all), latency: ingressLatency(all) };
      };
      const known: ReturnType<typeof of>[] = [];
      return (process, status, startedAt) => {
        let one = known.find((each) => each.process === process && each.status === status);
        if (one === undefined) known.push((one = of(process, status)));
        one.count.value++;
        if (startedAt !== undefined) one.latency.observe(nowExactly() - startedAt);
      };
    },
    bulkDelivery: (component, topic) => {
      const all = { app_id: appId, namespace, component, topic };
      const count = bulkCount(all);
      const latency = bulkLatency(all);
      return {
        done: (startedAt) => {
          count.value++;
          latency.observe(nowExactly() - startedAt);
        },
        messages: (process, number) => {
          if (number > 0) bulkEvents({ ...all, process_status: process }).value += number;
        },
      };
    },
    componentLoaded: () => { loaded.value++; },
    componentOpened: (type) => { initialized({ app_id: appId, component: type }).value++; },
    componentFailed: (type, name, reason) => { initFailed({ app_id: appId, component: type, componentName: name, reason }).value++; },
    invocation: invocationMeter(registry, appId, latencyBounds),
    resiliency: resiliencyMeter(registry, appId),
    failed: (error) => {
      if (errorCount === undefined || !(error instanceof DaprError)) return;
      const category = categories?.get(error.row);
      if (category !== undefined) errorCount({ app_id: appId, error_code: error.row.code, category }).value++;
    },
  };
}

function resiliencyMeter(registry: Registry, appId: string): ResiliencyMeter {
  const loaded = registry.counter(resiliency.loaded);
  const applied = registry.counter(resiliency.count);
  const activated = registry.counter(resiliency.activations);
  const breakerState = registry.gauge(resiliency.breakerState);
  const labelsOf = ({ direction, ...labels }: PolicyEvent): Labels => ({ ...labels, app_id: appId, flow_direction: direction });
  /** What one event counts as, by its labels: policies run with every call. */
  const known = new Map<string, () => void>();
  const bind = (event: PolicyEvent): (() => void) => {
    const labels = labelsOf(event);
    const count = applied(labels);
    const gauges = event.policy === 'circuitbreaker' ? breakerStates.map((status) => ({ gauge: breakerState({ ...labels, status }), value: status === event.status ? 1 : 0 })) : [];
    return () => {
      count.value++;
      for (const { gauge, value } of gauges) gauge.set(value);
    };
  };
  return {
    loaded: ({ name, namespace }) => { loaded({ app_id: appId, name, namespace }).value++; },
    applied: (event) => {
      const key = `${event.policy} ${event.status} ${event.direction} ${event.target} ${event.name} ${event.namespace}`;
      let count = known.get(key);
      if (count === undefined) {
        if (known.size >= 1024) known.clear();
        known.set(key, (count = bind(event)));
      }
      count();
    },
    activated: (event) => { activated(labelsOf(event)).value++; },
  };
}

function invocationMeter(registry: Registry, appId: string, latencyBounds: readonly number[]): InvocationMeter {
  const sent = registry.counter(serviceInvocation.sent);
  const received = registry.counter(serviceInvocation.received);
  const replied = registry.counter(serviceInvocation.replied);
  const answered = registry.counter(serviceInvocation.answered);
  const answeredLatency = registry.histogram(serviceInvocation.answeredLatency, latencyBounds);
  const sentTo = bound((id) => sent({ app_id: appId, dst_app_id: id, type: 'unary' }));
  const receivedFrom = bound((id) => received({ app_id: appId, src_app_id: id }));
  const byStatus = <T>(make: (id: string, status: string) => T) => {
    const ofApp = bound(() => new Map<number, T>());
    return (id: string, status: number): T => {
      const known = ofApp(id);
      let found = known.get(status);
      if (found === undefined) known.set(status, (found = make(id, String(status))));
      return found;
    };
  };
  const answeredBy = byStatus((id, status) => ({
    count: answered({ app_id: appId, src_app_id: id, status, type: 'unary' }), latency: answeredLatency({ app_id: appId, src_app_id: id, status }),
  }));
  const repliedTo = byStatus((id, status) => replied({ app_id: appId, dst_app_id: id, status }));
  return {
    sent: (id) => { sentTo(id).value++; },
    answered: (id, status, startedAt) => {
      const { count, latency } = answeredBy(id, status);
      count.value++;
      latency.observe(nowExactly() - startedAt);
    },
    received: (id) => { receivedFrom(id).value++; },
    replied: (id, status) => { repliedTo(id, status).value++; },
  };
}
