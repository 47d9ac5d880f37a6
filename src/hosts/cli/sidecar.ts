// One run of the sidecar inside the process: reads Configuration and resources, opens the ports, finds the app, stops in order.
import { createApp, type Outrigger } from '../../app/create-app.ts';
import { watchFolders, watchResources } from '../../app/reload-watch.ts';
import type { Manifest } from '../../blocks/components/definition.ts';
import type { NameResolverManifest } from '../../blocks/invoke/port.ts';
import { loadConfiguration, readConfigurationFiles } from '../../blocks/resources/configuration.ts';
import { readResourceDirectories } from '../../blocks/resources/directories.ts';
import { enabledFeatures } from '../../blocks/resources/features.ts';
import type { Configuration } from '../../blocks/resources/kinds.ts';
import { loadResources, type ResourceText } from '../../blocks/resources/loader.ts';
import { formatDuration } from '../../core/duration.ts';
import type { FilesPort, Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { embeddedResources } from './embedded.ts';
import { openApi, openInternal, openMetrics, openPublic, type OpenPorts } from './listeners.ts';
import { hostAddress, stablePort } from './network.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';

export interface SidecarContext {
  platform: Platform;
  manifest: Manifest;
  nameResolvers: NameResolverManifest;
  log: Logger;
  /** Aborted when the sidecar is to stop; with reason `now` without the block phase (the shutdown API). */
  stop: AbortSignal;
  /** POST /v1.0/shutdown. */
  onShutdown(force: boolean): void;
  /** Resources have changed in a way that only a restart inside the process can apply. */
  onRestart(): void;
  makeHost(options: { http: Host['http']; peers: Host['peers']; address: string }): Host & { files: FilesPort };
  /** Called when the API listens (components may still be loading). */
  onListening?(app: Outrigger): void;
  /** Called when everything is ready. */
  onReady?(app: Outrigger): void;
}

/** The grace period ended before everything was closed; the process has to end with 1. */
export class GraceExceeded extends Error {
  constructor() {
    super('Graceful shutdown timeout exceeded, forcing shutdown'); // Dapr's words, tools look for them
  }
}

/** Reason of `stop` that leaves out the block phase. */
export const withoutBlocking = 'without blocking';

/** Runs until `stop` is aborted and everything is closed. Rejects with the reason the sidecar cannot run. */
export async function runSidecar(launch: Launch, context: SidecarContext): Promise<void> {
  const { log, platform, stop } = context;
  const startedAt = performance.now();
  for (const warning of launch.warnings) log.warn(warning);
  const internalPort = launch.internalPort ?? (await stablePort(launch.settings.appId));
  const settings = { ...launch.settings, internalPort };
  const address = (await hostAddress(process.env)) ?? '';
  if (address === '') log.warn('failed to get host address, env variable HOST_ADDRESS will not be set');
  setEnvironment(launch, internalPort, address);

  const http = platform.createHttp({ maxHeaderBytes: launch.maxHeaderBytes });
  const peers = platform.createPeers?.(http);
  // a sidecar that others reach only on this machine says so to them
  const advertised = ['127.0.0.1', 'localhost', '[::1]'].includes(launch.internalAddress) ? launch.internalAddress : address;
  const host = context.makeHost({ http, peers, address: advertised });
  const configuration = await readConfiguration(launch, host.files);
  const hotReload = enabledFeatures(configuration.features).includes('HotReload');
  // before the first look, so that no change falls between the two
  const watch = hotReload && host.files.watch && launch.resourcePaths.length > 0 ? watchFolders(host.files, launch.resourcePaths, log) : undefined;
  const texts = await readTexts(launch, host.files, log);
  const load = (found: readonly ResourceText[]) => loadResources(found, { appId: settings.appId, namespace: settings.namespace, log });
  const resources = load(texts);
  log.info(`${settings.mode} mode configured`);
  log.info(`app id: ${settings.appId}`);
  sayWhatIsMissing(launch, log);

  const app = createApp({ host, settings, configuration, resources, manifest: context.manifest, nameResolvers: context.nameResolvers, log, onShutdown: context.onShutdown });
  const internalReady = app.health.target('grpc-internal-server');
  const metricsReady = app.health.target('metrics-exporter');
  const inner = new AbortController();
  const ports: OpenPorts[] = [];
  try {
    if (!stop.aborted) ports.push(await openApi(launch, app.handle, context));
    if (!stop.aborted && launch.publicPort !== undefined) ports.push(await openPublic(launch, app.handlePublic, context));
    if (!stop.aborted && app.handleMetrics !== undefined) ports.push(await openMetrics(launch, app.handleMetrics, context));
    metricsReady();
    if (!stop.aborted) {
      ports.push(await openInternal(launch, internalPort, app.handleInternal, context));
      internalReady();
    }
    log.info(`The request body size parameter is: ${settings.maxBodyBytes} bytes`);
    context.onListening?.(app);
    const started = app.start(inner.signal).then(() => {
      if (inner.signal.aborted || stop.aborted) return;
      if (settings.app.maxConcurrency > 0) log.info(`app max concurrency set to ${settings.app.maxConcurrency}`);
      log.info(`dapr initialized. Status: Running. Init Elapsed ${Math.round(performance.now() - startedAt)}ms`);
      context.onReady?.(app);
    });
    const reloading = async () => {
      if (watch === undefined || app.reload === undefined) return;
      log.scope('dapr.runtime.hotreload').info("Hot reloading enabled. Daprd will reload 'Component', 'Subscription', 'Configuration', 'HTTPEndpoint' and 'Resiliency' resources when they are added, updated or deleted.");
      const signal = AbortSignal.any([stop, inner.signal]);
      const end = await watchResources({ files: host.files, paths: launch.resourcePaths, watch, texts, resources, intervalMs: launch.reconcileMs, load, apply: app.reload, log, signal });
      if (end === 'restart') context.onRestart();
    };
    const running = Promise.all([started, reloading()]);
    // a component that fails while it stops anyway is no reason to fail
    await Promise.race([aborted(stop), running.then(() => aborted(stop))]);
    running.catch(() => {});
    if (launch.blockShutdownMs !== undefined && stop.reason !== withoutBlocking) await block(app, launch.blockShutdownMs, log);
  } catch (error) {
    inner.abort();
    for (const one of ports) one.destroy();
    await app.stop();
    throw error;
  }
  inner.abort();
  await closeAll(app, ports, launch, log);
  await peers?.close();
  await http.close?.();
}

/** Goes on answering calls, without taking messages, until the time is over or the app is unhealthy. */
async function block(app: Outrigger, ms: number, log: Logger): Promise<void> {
  log.info(`Blocking graceful shutdown for ${formatDuration(ms)} or until app reports unhealthy...`);
  await app.stopInbound();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<string>((done) => {
    timer = setTimeout(() => done('Block shutdown period expired, entering shutdown...'), ms);
  });
  log.info(await Promise.race([expired, app.appUnhealthy().then(() => 'App reported unhealthy, entering shutdown...')]));
  clearTimeout(timer);
}

/** Messages first, then the calls in hand, then the components; all within the grace period. */
async function closeAll(app: Outrigger, ports: OpenPorts[], launch: Launch, log: Logger): Promise<void> {
  log.info('Dapr is shutting down');
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<never>((_, fail) => {
    if (launch.gracefulShutdownMs > 0) timer = setTimeout(() => fail(new GraceExceeded()), launch.gracefulShutdownMs);
  });
  const work = async () => {
    const closed = Promise.all(ports.map((one) => one.close()));
    await app.stopInbound();
    await closed;
    for (const { name, type, version } of app.components.all()) log.info(`Shutting down component ${name} (${type}/${version})`);
    await app.stop();
  };
  try {
    await Promise.race([work(), grace]);
  } finally {
    clearTimeout(timer);
  }
  log.info('Dapr runtime stopped');
}

const readConfiguration = async ({ configFiles }: Launch, files: FilesPort): Promise<Configuration> =>
  loadConfiguration(await readConfigurationFiles(files, configFiles), process.env);

const readTexts = async ({ resourcePaths }: Launch, files: FilesPort, log: Logger): Promise<ResourceText[]> =>
  (resourcePaths.length === 0 ? embeddedResources(process.env, log) : readResourceDirectories(files, resourcePaths, log));

/** Flags that are taken without effect in this release, so that nobody waits for what will not come. */
function sayWhatIsMissing(launch: Launch, log: Logger): void {
  log.info(`The gRPC API is not built yet: port ${launch.grpcPort} stays closed`);
  if (launch.settings.placementConfigured || launch.schedulerAddresses.length > 0) {
    log.info('Placement and scheduler services are not used: the sidecar is ready without them, and actors, jobs and workflows are not built yet');
  }
}

/** What daprd sets in its own process, for components to read. */
function setEnvironment({ settings, grpcPort, metricsPort, profilePort }: Launch, internalPort: number, address: string): void {
  const variables: Record<string, string | number> = {
    APP_ID: settings.appId, APP_PORT: settings.app.port, HOST_ADDRESS: address, DAPR_PORT: internalPort,
    DAPR_GRPC_PORT: grpcPort, DAPR_HTTP_PORT: settings.httpPort, DAPR_METRICS_PORT: metricsPort, DAPR_PROFILE_PORT: profilePort,
  };
  for (const [name, value] of Object.entries(variables)) process.env[name] = String(value);
}

const aborted = (signal: AbortSignal) => new Promise<void>((done) => (signal.aborted ? done() : signal.addEventListener('abort', () => done(), { once: true })));
