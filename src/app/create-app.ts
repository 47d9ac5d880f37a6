// createApp(): the only place where a sidecar is put together from a host, settings and resources.
import type { Host, Incoming } from '../core/host.ts';
import type { Logger } from '../core/log.ts';
import type { Manifest } from '../blocks/components/definition.ts';
import { createProcessor } from '../blocks/components/processor.ts';
import { createComponentStore, type ComponentStore } from '../blocks/components/store.ts';
import { createHealth, type Health } from '../blocks/health/health.ts';
import { createMetadataBlock } from '../blocks/metadata/metadata.ts';
import type { Configuration, ResourceSet } from '../blocks/resources/kinds.ts';
import { createSecretsBlock } from '../blocks/secrets/secrets.ts';
import { createStateBlock } from '../blocks/state/state.ts';
import { createApi, type HandleCall } from './http/api.ts';
import type { Route } from './http/call.ts';
import { createCors, tracingOn } from './http/gate.ts';
import { healthRoutes, shutdownRoutes } from './http/health.ts';
import { incomingFromRequest } from './http/incoming.ts';
import { metadataRoutes } from './http/metadata.ts';
import { secretsRoutes } from './http/secrets.ts';
import { stateRoutes } from './http/state.ts';
import { unbuiltRoutes } from './http/unbuilt.ts';
import { daprVersion, type Settings } from './settings.ts';

export interface AppOptions {
  host: Host;
  settings: Settings;
  configuration: Configuration;
  resources: ResourceSet;
  manifest: Manifest;
  log: Logger;
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
  readonly health: Health;
  readonly components: ComponentStore;
  /** Opens the components, then finds the app. Rejects with the reason the sidecar cannot run. */
  start(): Promise<void>;
  /** Closes every component; API calls in flight are the host's to wait for. */
  stop(): Promise<void>;
}

export function createApp(options: AppOptions): Outrigger {
  const { host, settings, configuration, resources, log } = options;
  const { appId, namespace } = settings;
  const components = createComponentStore();
  const processor = createProcessor({ host, manifest: options.manifest, log, components, appId, namespace, deny: configuration.componentsDeny });
  const health = createHealth();
  const runtimeReady = health.target('runtime');
  let initialized = false;

  const state = createStateBlock({ components, appId, namespace, maxParallel: host.maxParallel });
  const secrets = createSecretsBlock({ components, scopes: configuration.secrets.scopes });
  const metadata = createMetadataBlock({
    appId,
    version: daprVersion,
    enabledFeatures: ['HotReload', 'WorkflowsRemoteActivityReminder'],
    components,
    subscriptions: () => [],
    httpEndpoints: resources.httpEndpoints.map((r) => r.name),
    resiliencies: resources.resiliencies.map((r) => r.name),
    mcpServers: resources.mcpServers.map((r) => r.name),
    workflowAccessPolicies: resources.workflowAccessPolicies.map((r) => r.name),
    appConnection: { port: settings.app.port || undefined, protocol: settings.app.protocol, channelAddress: settings.app.address },
    initialized: () => initialized,
  });

  const open = [...healthRoutes(health, appId), ...metadataRoutes(metadata)];
  const routes: Route[] = [
    ...open,
    ...stateRoutes(state),
    ...secretsRoutes(secrets),
    ...shutdownRoutes(options.onShutdown),
    ...unbuiltRoutes(),
  ];
  const shared = { log, tracing: tracingOn(configuration.tracing.samplingRate) };
  const handle = createApi({ ...shared, routes, fallback: undefined, maxBodyBytes: settings.maxBodyBytes, cors: createCors(settings.allowedOrigins), apiToken: settings.apiToken });
  const handlePublic = createApi({ ...shared, routes: open, fallback: undefined, maxBodyBytes: 0, cors: undefined, apiToken: '' });

  return {
    fetch: (request) => handle(incomingFromRequest(request), request),
    handle,
    handlePublic,
    health,
    components,
    start: async () => {
      await processor.load(resources.components);
      health.setOutbound(true);
      initialized = true;
      runtimeReady();
    },
    stop: async () => {
      await Promise.allSettled(components.all().map((c) => c.port.close()));
    },
  };
}

export type HandleIncoming = (incoming: Incoming) => Promise<Response>;
