// createApp(): the only place where a sidecar is put together from a host, settings and resources.
import type { Host } from '../core/host.ts';
import type { Logger } from '../core/log.ts';
import type { Manifest } from '../blocks/components/definition.ts';
import { createBindingsBlock } from '../blocks/bindings/bindings.ts';
import { createInputs } from '../blocks/bindings/inputs.ts';
import { createConfigurationBlock } from '../blocks/configuration/configuration.ts';
import { createProcessor } from '../blocks/components/processor.ts';
import { createComponentStore, type ComponentStore } from '../blocks/components/store.ts';
import { createComponentUsers } from '../blocks/components/users.ts';
import { createHealth, type Health } from '../blocks/health/health.ts';
import { createAccessControl } from '../blocks/invoke/access.ts';
import { createAddresses, type Resolution } from '../blocks/invoke/addresses.ts';
import { createEndpoints } from '../blocks/invoke/endpoints.ts';
import { createHttpLeg } from '../blocks/invoke/http-leg.ts';
import { createInvokeBlock } from '../blocks/invoke/invoke.ts';
import type { NameResolverManifest } from '../blocks/invoke/port.ts';
import { openResolver } from '../blocks/invoke/resolver.ts';
import { createLockBlock } from '../blocks/lock/lock.ts';
import { createMetadataBlock } from '../blocks/metadata/metadata.ts';
import { createPipeline } from '../blocks/middleware/pipeline.ts';
import { createOutbox } from '../blocks/outbox/outbox.ts';
import { createPubSubBlock } from '../blocks/pubsub/pubsub.ts';
import { createResiliency } from '../blocks/resiliency/resiliency.ts';
import { enabledFeatures } from '../blocks/resources/features.ts';
import type { Configuration, PipelineHandler, ResourceSet } from '../blocks/resources/kinds.ts';
import { createSecretsBlock } from '../blocks/secrets/secrets.ts';
import { createStateBlock } from '../blocks/state/state.ts';
import { type Handover, sameResolver } from './handover.ts';
import { createApiLog } from './http/api-logging.ts';
import { createApiRules, invokeRoute } from './http/api-rules.ts';
import { createApi, type HandleCall } from './http/api.ts';
import { bindingsRoutes } from './http/bindings.ts';
import { type Handler, type HttpCall, type Route, segment } from './http/call.ts';
import { configurationRoutes } from './http/configuration.ts';
import { createCors } from './http/gate.ts';
import { healthRoutes, shutdownRoutes } from './http/health.ts';
import { incomingFromRequest } from './http/incoming.ts';
import { createInvokeHandler } from './http/invoke.ts';
import { createLoading } from './http/loading.ts';
import { lockRoutes } from './http/lock.ts';
import { metadataRoutes } from './http/metadata.ts';
import { pipelinedHttp, withPipeline } from './http/pipeline.ts';
import { publishRoutes } from './http/publish.ts';
import { secretsRoutes } from './http/secrets.ts';
import { stateRoutes } from './http/state.ts';
import { unbuiltRoutes } from './http/unbuilt.ts';
import { createAppChannel, turnsOf } from './inbound/app-channel.ts';
import { askAppConfig } from './inbound/app-config.ts';
import { createAppWatch } from './inbound/app-watch.ts';
import { createBindingApp } from './inbound/bindings.ts';
import { createConfigurationApp } from './inbound/configuration.ts';
import { createSubscriptions } from './inbound/subscriptions.ts';
import { createInternalHandler } from './internal/http-leg.ts';
import { counted } from './observability/metrics/measured-blocks.ts';
import { createMetrics } from './observability/metrics/metrics.ts';
import { createTracing } from './observability/tracing/tracing.ts';
import { createReload } from './reload.ts';
import { appConnection, daprVersion, type Settings } from './settings.ts';

export interface AppOptions {
  host: Host;
  settings: Settings;
  configuration: Configuration;
  resources: ResourceSet;
  manifest: Manifest;
  /** Default none: every call to another app is then refused. */
  nameResolvers?: NameResolverManifest;
  log: Logger;
  /** What the run before this one inside the process has left; undefined: there was none. */
  handover?: Handover | undefined;
  /** POST /v1.0/shutdown was called; `force` asks for exit code 1 after 100 ms without draining. */
  onShutdown(force: boolean): void;
}

export interface Outrigger {
  /** Web-standard entry of the main API, for hosts with fetch. */
  fetch(request: Request): Response | Promise<Response>;
  /** The same for hosts that know more of a request than Request says. */
  readonly handle: HandleCall;
  /** Health and metadata only, without token, CORS or body limit (the public port). */
  readonly handlePublic: HandleCall;
  /** Calls from other sidecars (the internal port). */
  readonly handleInternal: HandleCall;
  /** The metrics as text, on every path; undefined where the settings say that nobody reads them. */
  readonly handleMetrics: HandleCall | undefined;
  readonly health: Health;
  readonly components: ComponentStore;
  /**
   * Opens the components, then finds the app; API calls that come before the components are there wait for them.
   * Resolves when the app is found, or early when the signal is aborted. Rejects with the reason the sidecar cannot run.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when the components are open, and when it stops before. */
  readonly opened: Promise<void>;
  /**
   * Makes the running sidecar what these resources say, once the first ones are open (app/reload.ts). undefined: the feature HotReload
   * is off, or the host cannot watch files. Calls must not overlap.
   */
  readonly reload: ((found: ResourceSet) => Promise<'applied' | 'restart'>) | undefined;
  /** Takes no more messages from subscriptions and input bindings; everything else goes on. */
  stopInbound(): Promise<void>;
  /** Resolves when the app is unhealthy, at once when it never was healthy; never without health probes. */
  appUnhealthy(): Promise<void>;
  /** Sends what is noted of the calls so far, where a host may be stopped after each. Never rejects. */
  flushSpans(): Promise<void>;
  /** Calls without an answer that need no component any more: invocations, unless a pipeline stands in their way. */
  readonly lasting: { api(): number; internal(): number };
  /** For the next run inside the process, with this Configuration; what it takes over is not closed here any more. */
  handover(next: Configuration): Handover;
  /**
   * The first part of `stop`, for a restart inside the process: closes what the next run opens again, so that calls under `lasting` go on;
   * `stop` may wait for them. Messages at the app are not waited for any longer than `limit`.
   */
  release(limit: Promise<unknown>): Promise<void>;
  /** Closes everything; API calls in flight are the host's to wait for. */
  stop(): Promise<void>;
}

export function createApp(options: AppOptions): Outrigger {
  const { host, settings, configuration, resources, log, handover } = options;
  const { appId, namespace } = settings;
  const components = createComponentStore();
  const metrics = settings.metrics ? createMetrics({ host, spec: configuration.metrics, appId, namespace, log }) : undefined;
  const meter = metrics?.meter;
  const count = counted(meter, metrics?.http);
  const processor = createProcessor({ host, manifest: options.manifest, log, components, meter, appId, namespace, deny: configuration.componentsDeny, wasmStrictSandbox: configuration.wasmStrictSandbox });
  const health = createHealth();
  const runtimeReady = health.target('runtime');
  // daprd's security provider is the first to go when a stop begins, and the only one while --dapr-block-shutdown-duration runs
  const securityReady = health.target('security-provider');
  securityReady();
  let takesMessages = true;
  let initialized = false;

  const resiliency = createResiliency({ log, observer: meter?.resiliency });
  const secrets = count.secrets(createSecretsBlock({ components, resiliency, scopes: configuration.secrets.scopes }));
  const pubsub = count.pubsub(createPubSubBlock({ components, resiliency, appId, namespace, maxParallel: host.maxParallel }));
  const outbox = createOutbox({ components, pubsub, appId, namespace, log });
  const state = count.state(createStateBlock({ components, outbox, resiliency, appId, namespace, maxParallel: host.maxParallel }));
  /** Replaced by hot reload. */
  let listed = resources;
  const spans = createTracing(configuration.tracing, { host, appId, log });
  const tracing = { tracing: spans.tracing, samplingRate: spans.samplingRate, recorder: spans.recorder };
  const metadata = createMetadataBlock({
    appId,
    version: daprVersion,
    enabledFeatures: enabledFeatures(configuration.features),
    components,
    subscriptions: () => subscriptions.view(),
    httpEndpoints: resources.httpEndpoints.map((r) => r.name),
    resiliencies: [...new Set(resources.resiliencies.map((r) => r.name))],
    get mcpServers() { return listed.mcpServers.map((r) => r.name); },
    get workflowAccessPolicies() { return listed.workflowAccessPolicies.map((r) => r.name); },
    appConnection: appConnection(settings.app),
    initialized: () => initialized,
  });

  const pipelineOf = (handlers: readonly PipelineHandler[]) => createPipeline({ handlers, components: components.middleware, during: (name, call) => users.during(() => name, call, undefined), log: log.scope('dapr.middleware.http') });
  const serverPipeline = pipelineOf(configuration.httpPipeline);
  const appPipeline = pipelineOf(configuration.appHttpPipeline);
  /** Calls the app and HTTP endpoints; health probes go past the pipeline. */
  const http = appPipeline ? pipelinedHttp(host.http, appPipeline) : host.http;
  const turns = handover === undefined ? turnsOf(settings) : handover.turns;
  const channel = createAppChannel(settings, { ...host, http: count.requests(http) }, { isHealthy: () => watch.healthy, turns });
  const watch = createAppWatch({ app: settings.app, origin: channel?.origin, http: count.probes(host.http), tcp: host.tcp, log, wasHealthy: handover?.appHealthy ?? false, onChange: (healthy) => appChanged(healthy) });
  const subscriptions = createSubscriptions({
    ...tracing, appId, pubsub, resiliency, channel, log, meter, componentCount: () => components.pubsub.size, outbox: outbox.reader, resources: resources.subscriptions, askApp: settings.app.initEndpoints.subscribe,
  });
  const inputs = channel && createInputs({ components, resiliency, meter, app: createBindingApp({ ...tracing, channel, optionsTimeoutMs: settings.app.bindingOptionsTimeoutMs }), log });
  /** The app was found, fell ill or recovered: what is delivered to it starts and stops here. */
  let askedConfig = false;
  const appChanged = async (healthy: boolean) => {
    if (healthy) initialized = true;
    if (healthy && channel && !askedConfig) {
      askedConfig = true;
      if (settings.app.initEndpoints.config) await askAppConfig(channel, appId, log);
      else log.warn("Skipping programmatic dapr configuration loading (see 'disable-init-endpoints' flag/annotation)");
    }
    if (healthy && !takesMessages) return;
    // an app that is slow to say what it subscribes to gets the events of its bindings meanwhile
    await Promise.all(healthy ? [subscriptions.start(), inputs?.start()] : [subscriptions.stop(), inputs?.stop()]);
  };

  let resolution: Resolution = handover?.resolution ?? { state: 'absent' };
  const addresses = createAddresses(() => resolution);
  const endpoints = count.endpoints(createEndpoints(http, { env: host.env, log, secretStore: (name) => components.secretstores.get(name)?.port }));
  const invocation = createInvokeBlock({
    appId, namespace, channel: () => channel, addresses, endpoints, resiliency, log, leg: count.leg(createHttpLeg(host.http)), hostAddress: host.address, hostname: host.hostname, passApiToken: settings.apiToken === '', ownSpans: tracing.tracing === 'spans',
  });
  const handleInternal = createInternalHandler({ ...tracing, appId, meter: meter?.invocation, channel: () => channel, maxBodyBytes: settings.maxBodyBytes, access: createAccessControl(configuration.accessControl) });

  const users = createComponentUsers();
  const reload = enabledFeatures(configuration.features).includes('HotReload') && host.files?.watch
    ? createReload({ components, processor, users, subscriptions, inputs, resources, log, onListed: (found) => { listed = found; } })
    : undefined;
  // In every API that uses a component, its name is the third part of the path; `bulk` comes before that of a broker.
  const using = ({ name, handler }: Route): Handler => {
    const nameAt = name === 'BulkPublishEvent' ? 3 : 2;
    const nameOf = (call: HttpCall) => segment(call, nameAt);
    return reload ? (call) => users.during(nameOf, handler, call) : handler;
  };
  /** Each once, whoever comes first: a stop, or a start that was overtaken by one. */
  const closeComponents = async () => {
    const all = [...components.all()];
    for (const { name } of all) components.remove(name);
    await Promise.allSettled(all.map((component) => component.port.close()));
  };
  let handedOver = false;
  const closeResolver = async () => {
    if (!handedOver) await addresses.close();
  };
  const endInbound = async () => {
    reload?.stop();
    opened();
    await Promise.all([subscriptions.close(), inputs?.stop()]);
  };
  let opened = () => {};
  const firstOpened = new Promise<void>((resolve) => { opened = resolve; });

  const loading = createLoading();
  const open = [...healthRoutes(health, appId), ...metadataRoutes(metadata)];
  const routes: Route[] = [
    ...open,
    ...stateRoutes(state, tracing),
    ...secretsRoutes(secrets),
    ...bindingsRoutes(count.bindings(createBindingsBlock({ components, resiliency })), tracing),
    ...configurationRoutes(count.configuration(createConfigurationBlock({ components, resiliency })), channel && createConfigurationApp({ channel, resiliency, log })),
    ...lockRoutes(createLockBlock({ components, resiliency, appId })),
    ...publishRoutes(pubsub, { ...tracing, appId }),
    ...unbuiltRoutes({ appId, namespace }),
  ].map((route) => (open.includes(route) ? route : { ...route, handler: loading.hold(using(route)) }));
  routes.push(...shutdownRoutes(options.onShutdown));
  const isAllowed = createApiRules(configuration.api);
  const { apiLogging } = configuration.logging;
  const onAnswer = (settings.apiLogging ?? apiLogging.enabled) ? createApiLog({ log, obfuscateUrls: apiLogging.obfuscateURLs, omitHealthChecks: apiLogging.omitHealthChecks, actorIds: configuration.metrics.http.increasedCardinality }) : undefined;
  const shared = { ...tracing, log, ...count.api };
  const underWay = { calls: 0 };
  const handle = createApi({ ...shared, routes: routes.filter(isAllowed), fallback: isAllowed(invokeRoute) ? loading.hold(createInvokeHandler(invocation, underWay)) : undefined, maxBodyBytes: settings.maxBodyBytes, cors: createCors(settings.allowedOrigins), apiToken: settings.apiToken, onAnswer, pipeline: serverPipeline && withPipeline({ pipeline: serverPipeline, loading, hidesToken: settings.apiToken !== '', log }) });
  const handlePublic = createApi({ ...shared, routes: open.filter(isAllowed), fallback: undefined, maxBodyBytes: 0, cors: undefined, apiToken: '' });

  return {
    fetch: (request) => handle(incomingFromRequest(request)),
    handle,
    handlePublic,
    handleInternal: appPipeline ? loading.hold(handleInternal) : handleInternal, // past handlers that are not there yet nobody comes
    handleMetrics: metrics?.handle,
    health,
    components,
    start: async (signal) => {
      if (signal.aborted) return loading.cancelled();
      signal.addEventListener('abort', () => { loading.cancelled(); reload?.stop(); }, { once: true });
      const self = { appId, namespace, address: host.address, internalPort: settings.internalPort, httpPort: settings.httpPort, appPort: settings.app.port };
      const resolving = resolution.state === 'ready' ? resolution : openResolver({ configuration: configuration.nameResolution, mode: settings.mode, manifest: options.nameResolvers ?? [], host, log, self });
      await spans.open();
      await resiliency.load(resources.resiliencies);
      await processor.load(resources.components, signal);
      for (const resource of resources.httpEndpoints) await endpoints.load(resource);
      await subscriptions.check();
      resolution = await resolving;
      if (signal.aborted) {
        // what was being opened when the stop came
        await closeComponents();
        return addresses.close();
      }
      loading.done();
      opened();
      health.setOutbound(true);
      await watch.start(signal);
      if (signal.aborted) return;
      initialized = true;
      runtimeReady();
    },
    opened: firstOpened,
    reload: reload && ((found) => firstOpened.then(() => reload.apply(found))),
    stopInbound: async () => {
      takesMessages = false;
      securityReady(false);
      await Promise.all([subscriptions.stop(), inputs?.stop()]);
    },
    appUnhealthy: () => watch.unhealthy(),
    flushSpans: spans.flush,
    lasting: {
      api: () => (serverPipeline || appPipeline ? 0 : underWay.calls),
      internal: () => (appPipeline ? 0 : Number.POSITIVE_INFINITY),
    },
    handover: (next) => {
      handedOver = resolution.state === 'ready' && sameResolver(configuration, next);
      return { appHealthy: watch.healthy, turns, resolution: handedOver ? resolution : { state: 'absent' } };
    },
    release: async (limit) => {
      await Promise.race([endInbound(), limit]);
      await closeResolver();
      await closeComponents();
    },
    stop: async () => {
      await endInbound();
      await closeResolver();
      await channel?.close();
      await closeComponents();
      await spans.close();
    },
  };
}
