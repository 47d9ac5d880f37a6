// The resiliency building block: which policies apply to which target, decided when Resiliency resources load (dapr/pkg/resiliency/resiliency.go).
import { compileCel } from '../../core/cel.ts';
import { textOf } from '../../core/errors.ts';
import { goQuote } from '../../core/go-quote.ts';
import type { Logger } from '../../core/log.ts';
import type { PolicyNames, ResiliencyResource } from '../resources/kinds.ts';
import { type Breaker, type BreakerState, type BreakerTemplate, createBreaker } from './breaker.ts';
import { type BuiltInName, builtInRetries, type CompileTrip, type NamedPolicies, readPolicies } from './policies.ts';
import { createPolicy, type Policy, type PolicyKind, type PolicyObserver, type PolicyParts, type Retry } from './policy.ts';
import { createRecent, type Recent } from './recent.ts';

export type ComponentType = 'Binding' | 'Configuration' | 'Lock' | 'Pubsub' | 'Crypto' | 'Conversation' | 'Secretstore' | 'Statestore';
type Direction = 'inbound' | 'outbound';

/** What policies do, for metrics. `name` and `namespace` are those of the resource loaded last, as in Dapr's labels. */
export interface ResiliencyObserver {
  loaded?(resource: { name: string; namespace: string }): void;
  /** A run of a policy with this part began. */
  applied?(event: ResiliencyEvent): void;
  /** It had to act: a timeout ran out, retries began, a breaker changed its state. */
  activated?(event: ResiliencyEvent): void;
}
export interface ResiliencyEvent {
  name: string;
  namespace: string;
  policy: PolicyKind;
  direction: Direction;
  /** `app_<id>`, `actor_<type>` or `<ComponentType>_<name>`. */
  target: string;
  /** State of the circuit breaker, '' for other policies. */
  status: BreakerState | '';
}

/** Every look-up answers undefined where no policy applies: the call is then made as it is. */
export interface Resiliency {
  /** Reads the resources; to be awaited before the first call. What is wrong with one is an error in the log, and what came before the fault counts. */
  load(resources: readonly ResiliencyResource[]): Promise<void>;
  /** Calls of an app, an HTTPEndpoint or a URL, `id` as the caller wrote it. Each operation has a circuit breaker of its own. */
  app(id: string): ((operation: string) => Policy | undefined) | undefined;
  /** The app is a target by name: the built-in retries of service invocation are then off. */
  isTarget(appId: string): boolean;
  /** What the sidecar asks of a component. */
  outbound(name: string, type: ComponentType): Policy | undefined;
  /** What a component delivers to the app. */
  inbound(name: string, type: ComponentType): Policy | undefined;
  /** Calls of an actor before its turn has come: retry and breaker. */
  actorCall(type: string, id: string): Policy | undefined;
  /** The turn itself: timeout. */
  actorTurn(type: string, id: string): Policy | undefined;
  builtIn(name: BuiltInName): Policy;
}

type Scope = 'type' | 'id' | 'both';
interface Choice {
  timeoutMs: number;
  retry: Retry | undefined;
  breaker: BreakerTemplate | undefined;
}
type Targets = {
  apps: Map<string, { choice: PolicyNames; breakers: Recent<Breaker> }>;
  actors: Map<string, { choice: PolicyNames; scope: Scope; breakers: Recent<Breaker> }>;
  components: Map<string, Record<Direction, PolicyNames>>;
};

const breakersOfApp = 100;
const breakersOfActors = 5000;
/** Callers may name any app: breakers of so many are kept where the default policy brings them. */
const appsWithDefaults = 1000;

const compileTrip: CompileTrip = async (text) => {
  const { evaluate } = await compileCel(text);
  return (counts) => {
    try {
      return evaluate(Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, BigInt(count)]))) === true;
    } catch {
      // an expression without a value does not trip
      return false;
    }
  };
};

export function createResiliency({ log, observer }: { log: Logger; observer?: ResiliencyObserver | undefined }): Resiliency {
  const builtIn = builtInRetries();
  const policies: NamedPolicies = { timeouts: new Map(), retries: new Map<string, Retry>(builtIn), breakers: new Map() };
  const targets: Targets = { apps: new Map(), actors: new Map(), components: new Map() };
  const defaultApps = createRecent<Recent<Breaker>>(appsWithDefaults);
  const defaultActors = createRecent<Recent<Breaker>>(appsWithDefaults);
  /** By component name, for both directions; the first policy that needs one decides what it is like. */
  const componentBreakers = new Map<string, Breaker>();
  const components = new Map<string, Policy | undefined>();
  const builtIns = new Map<BuiltInName, Policy>();
  /** False: no component has a policy, and none is looked for. */
  let concernsComponents = false;
  let latest = { name: '', namespace: '' };
  let defaults: { app: Choice | undefined; actor: Choice | undefined } = { app: undefined, actor: undefined };

  const breakerOf = (name: string, template: BreakerTemplate) =>
    createBreaker(template, (from, to) => log.info(`Circuit breaker ${goQuote(name)} changed state from ${from} to ${to}`));

  const chosen = ({ timeout, retry, circuitBreaker }: PolicyNames): Choice => ({
    timeoutMs: policies.timeouts.get(timeout) ?? 0, retry: policies.retries.get(retry), breaker: policies.breakers.get(circuitBreaker),
  });
  /** The most specific default of each kind; undefined where there is none of any. */
  const defaultOf = (levels: readonly string[]): Choice | undefined => {
    const nameOf = (kind: string, known: ReadonlyMap<string, unknown>) => [...levels, ''].map((level) => `Default${level}${kind}Policy`).find((name) => known.has(name)) ?? '';
    const choice = chosen({ timeout: nameOf('Timeout', policies.timeouts), retry: nameOf('Retry', policies.retries), circuitBreaker: nameOf('CircuitBreaker', policies.breakers) });
    return choice.timeoutMs > 0 || choice.retry || choice.breaker ? choice : undefined;
  };

  const observed = (direction: Direction, target: string): PolicyObserver | undefined => {
    if (observer === undefined) return undefined;
    const event = (policy: PolicyKind, status: BreakerState | ''): ResiliencyEvent => ({ ...latest, policy, direction, target, status });
    return { applied: (kind, state) => observer.applied?.(event(kind, state)), activated: (kind, state) => observer.activated?.(event(kind, state)) };
  };
  const policy = (parts: Omit<PolicyParts, 'log' | 'observer'>, direction: Direction, target: string): Policy | undefined =>
    (parts.timeoutMs > 0 || parts.retry || parts.breaker ? createPolicy({ ...parts, log, observer: observed(direction, target) }) : undefined);

  const component = (name: string, type: ComponentType, direction: Direction): Policy | undefined => {
    const Direction = direction === 'inbound' ? 'Inbound' : 'Outbound';
    const named = targets.components.get(name)?.[direction];
    const choice = named ? chosen(named) : defaultOf([`${type}Component${Direction}`, `Component${Direction}`, 'Component']);
    if (choice === undefined) return undefined;
    const { timeoutMs, retry, breaker: template } = choice;
    let breaker: Breaker | undefined;
    if (template) {
      breaker = componentBreakers.get(name) ?? breakerOf(`${template.name}-${name}`, template);
      componentBreakers.set(name, breaker);
    }
    return policy({ name: `component[${name}] ${direction === 'inbound' ? 'input' : 'output'}`, timeoutMs, retry, breaker }, direction, `${type}_${name}`);
  };
  /** Decided once for each component. */
  const ofComponent = (name: string, type: ComponentType, direction: Direction): Policy | undefined => {
    if (!concernsComponents) return undefined;
    const key = `${direction} ${type} ${name}`;
    const known = components.get(key);
    if (known !== undefined || components.has(key)) return known;
    const made = component(name, type, direction);
    components.set(key, made);
    return made;
  };

  /** Rejects at the first fault. */
  const read = async ({ name, namespace, spec }: ResiliencyResource): Promise<void> => {
    latest = { name, namespace };
    await readPolicies(spec.policies, policies, compileTrip, log);
    for (const [id, target] of Object.entries(spec.targets.apps)) {
      targets.apps.set(id, { choice: target, breakers: breakersOf(target.circuitBreakerCacheSize, breakersOfApp) });
    }
    for (const [type, target] of Object.entries(spec.targets.actors)) {
      targets.actors.set(type, { choice: target, scope: scopeOf(target), breakers: breakersOf(target.circuitBreakerCacheSize, breakersOfActors) });
    }
    for (const [id, target] of Object.entries(spec.targets.components)) targets.components.set(id, target);
  };

  return {
    load: async (resources) => {
      for (const resource of resources) {
        const { name, namespace } = resource;
        log.info(`Loading Resiliency configuration: ${name}`);
        try {
          await read(resource);
          observer?.loaded?.({ name, namespace });
        } catch (error) {
          log.error(`Could not read resiliency policy ${name}: ${textOf(error)}`);
        }
      }
      components.clear();
      builtIns.clear();
      const names = [policies.timeouts, policies.retries, policies.breakers].flatMap((named) => [...named.keys()]);
      concernsComponents = targets.components.size > 0 || names.some((name) => name.startsWith('Default'));
      defaults = { app: defaultOf(['App']), actor: defaultOf(['Actor']) };
    },
    app: (id) => {
      const named = targets.apps.get(id);
      const choice = named ? chosen(named.choice) : defaults.app;
      if (choice === undefined) return undefined;
      const { timeoutMs, retry, breaker: template } = choice;
      const breakers = named?.breakers ?? (template && defaultApps.get(id, () => createRecent(breakersOfApp)));
      return (operation) => {
        const breaker = template && breakers?.get(operation, () => breakerOf(operation, template));
        return policy({ name: `endpoint[${id}, ${operation}]`, timeoutMs, retry, breaker }, 'outbound', `app_${id}`);
      };
    },
    isTarget: (appId) => targets.apps.has(appId),
    outbound: (name, type) => ofComponent(name, type, 'outbound'),
    inbound: (name, type) => ofComponent(name, type, 'inbound'),
    actorCall: (type, id) => {
      const named = targets.actors.get(type);
      const choice = named ? chosen(named.choice) : defaults.actor;
      if (choice === undefined) return undefined;
      const { retry, breaker: template } = choice;
      const breakers = named?.breakers ?? (template && defaultActors.get(type, () => createRecent(breakersOfApp)));
      const key = named === undefined || named.scope === 'type' ? type : `${type}-${id}`;
      const breaker = template && breakers?.get(key, () => breakerOf(key, template));
      return policy({ name: `actor[${type}, ${id}]`, timeoutMs: 0, retry, breaker }, 'outbound', `actor_${type}`);
    },
    actorTurn: (type, id) => {
      const named = targets.actors.get(type);
      const timeoutMs = (named ? chosen(named.choice) : defaults.actor)?.timeoutMs ?? 0;
      return policy({ name: `actor[${type}, ${id}]`, timeoutMs, retry: undefined, breaker: undefined }, 'outbound', `actor_${type}`);
    },
    builtIn: (name) => {
      let known = builtIns.get(name);
      if (known === undefined) builtIns.set(name, (known = createPolicy({ name, timeoutMs: 0, retry: policies.retries.get(name), breaker: undefined, log })));
      return known;
    },
  };
}

function breakersOf(size: number | undefined, usual: number): Recent<Breaker> {
  if (size !== undefined && size < 0) throw new Error('must provide a positive size');
  return createRecent(size || usual);
}

/** What breakers of an actor type are kept for; only looked at where there is a breaker. `both` counts as `id`, as in Dapr. */
function scopeOf({ circuitBreaker, circuitBreakerScope }: { circuitBreaker: string; circuitBreakerScope: string }): Scope {
  if (circuitBreaker === '') return 'type';
  if (circuitBreakerScope === '') throw new Error('actor circuit breakers must include scope');
  if (circuitBreakerScope !== 'type' && circuitBreakerScope !== 'id' && circuitBreakerScope !== 'both') throw new Error(`unknown circuit breaker scope ${goQuote(circuitBreakerScope)}`);
  return circuitBreakerScope;
}
