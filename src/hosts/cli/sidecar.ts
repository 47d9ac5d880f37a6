// One run of the sidecar inside the process: reads Configuration and resources, opens the ports, starts the app's side, stops in order.
import { createApp, type Outrigger } from '../../app/create-app.ts';
import { readResourceDirectories } from '../../blocks/resources/directories.ts';
import { defaultConfiguration, noResources, type ResourceSet } from '../../blocks/resources/kinds.ts';
import { loadResources } from '../../blocks/resources/loader.ts';
import type { Manifest } from '../../blocks/components/definition.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { openApi, openPublic, type OpenPorts } from './listeners.ts';
import { hostAddress, stablePort } from './network.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';

export interface SidecarContext {
  platform: Platform;
  manifest: Manifest;
  log: Logger;
  /** Writes one log line. */
  write(line: string): void;
  /** Aborted when the sidecar is to stop: a signal, a restart, the shutdown API. */
  stop: AbortSignal;
  /** POST /v1.0/shutdown. */
  onShutdown(force: boolean): void;
  makeHost(options: { http: Host['http']; address: string }): Host;
}

/** The grace period ended before everything was closed; the process has to end with 1. */
export class GraceExceeded extends Error {
  constructor() {
    super('Graceful shutdown timeout exceeded, forcing shutdown'); // Dapr's words, tools look for them
  }
}

/** Runs until `stop` is aborted and everything is closed. Rejects with the reason the sidecar cannot run. */
export async function runSidecar(launch: Launch, context: SidecarContext): Promise<void> {
  const { log, platform, stop } = context;
  const startedAt = performance.now();
  const internalPort = launch.internalPort ?? (await stablePort(launch.settings.appId));
  const settings = { ...launch.settings, internalPort };
  const address = (await hostAddress(process.env)) ?? '';
  if (address === '') log.warn('failed to get host address, env variable HOST_ADDRESS will not be set');
  setEnvironment(launch, internalPort, address);

  const http = platform.createHttp({ maxHeaderBytes: launch.maxHeaderBytes });
  const host = context.makeHost({ http, address });
  const configuration = defaultConfiguration();
  const resources = await readResources(launch, host, log);
  log.info(`${settings.mode} mode configured`);
  log.info(`app id: ${settings.appId}`);

  const app = createApp({ host, settings, configuration, resources, manifest: context.manifest, log, onShutdown: context.onShutdown });
  const ports: OpenPorts[] = [];
  try {
    if (!stop.aborted) ports.push(await openApi(launch, app.handle, context));
    if (!stop.aborted && launch.publicPort !== undefined) ports.push(await openPublic(launch, app.handlePublic, context));
    log.info(`The request body size parameter is: ${settings.maxBodyBytes} bytes`);
    await Promise.race([app.start(), aborted(stop)]);
    if (!stop.aborted) log.info(`dapr initialized. Status: Running. Init Elapsed ${Math.round(performance.now() - startedAt)}ms`);
    await aborted(stop);
  } catch (error) {
    for (const one of ports) one.destroy();
    await app.stop();
    throw error;
  }
  await closeAll(app, ports, launch, log);
  await http.close?.();
}

async function closeAll(app: Outrigger, ports: OpenPorts[], launch: Launch, log: Logger): Promise<void> {
  log.info('Dapr is shutting down');
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<never>((_, fail) => {
    if (launch.gracefulShutdownMs > 0) timer = setTimeout(() => fail(new GraceExceeded()), launch.gracefulShutdownMs);
  });
  const work = async () => {
    await Promise.all(ports.map((one) => one.close()));
    await app.stop();
  };
  try {
    await Promise.race([work(), grace]);
  } finally {
    clearTimeout(timer);
  }
  log.info('Dapr runtime stopped');
}

async function readResources(launch: Launch, host: Host, log: Logger): Promise<ResourceSet> {
  if (launch.resourcePaths.length === 0 || !host.files) return noResources();
  const texts = await readResourceDirectories(host.files, launch.resourcePaths, log);
  return loadResources(texts, { appId: launch.settings.appId, namespace: launch.settings.namespace, log });
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
