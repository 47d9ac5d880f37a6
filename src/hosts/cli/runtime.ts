// One run inside the process: Configuration and resources as they were read, the app made of them, and its hot reload.
import { createApp, type Outrigger } from '../../app/create-app.ts';
import type { Handover } from '../../app/handover.ts';
import { type FolderWatch, watchFolders, watchResources } from '../../app/reload-watch.ts';
import type { Manifest } from '../../blocks/components/definition.ts';
import type { NameResolverManifest } from '../../blocks/invoke/port.ts';
import { loadConfiguration, readConfigurationFiles } from '../../blocks/resources/configuration.ts';
import { readResourceDirectories } from '../../blocks/resources/directories.ts';
import { enabledFeatures } from '../../blocks/resources/features.ts';
import type { Configuration, ResourceSet } from '../../blocks/resources/kinds.ts';
import { loadResources, type ResourceText } from '../../blocks/resources/loader.ts';
import type { FilesPort, Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { Settings } from '../../app/settings.ts';
import { embeddedResources } from './embedded.ts';
import type { Launch } from './options.ts';

/** What a run is made of besides flags and environment. */
export interface Input {
  configuration: Configuration;
  resources: ResourceSet;
  texts: readonly ResourceText[];
  /** Began before the first look, so that no change falls between the two; undefined: nobody wants to know of changes. */
  watch: FolderWatch | undefined;
}

/** Rejects with the reason a sidecar cannot run with what there is. */
export async function readInput({ configFiles, resourcePaths, settings: { appId, namespace } }: Launch, files: FilesPort, log: Logger): Promise<Input> {
  const configuration = loadConfiguration(await readConfigurationFiles(files, configFiles), process.env);
  const hotReload = enabledFeatures(configuration.features).includes('HotReload');
  const watch = hotReload && files.watch && resourcePaths.length > 0 ? watchFolders(files, resourcePaths, log) : undefined;
  try {
    const texts = await (resourcePaths.length === 0 ? embeddedResources(process.env, log) : readResourceDirectories(files, resourcePaths, log));
    return { configuration, resources: loadResources(texts, { appId, namespace, log }), texts, watch };
  } catch (error) {
    watch?.close();
    throw error;
  }
}

export interface RuntimeOptions {
  launch: Launch;
  settings: Settings;
  host: Host & { files: FilesPort };
  manifest: Manifest;
  nameResolvers: NameResolverManifest;
  log: Logger;
  handover: Handover | undefined;
  /** The process is to stop. */
  stop: AbortSignal;
  onShutdown(force: boolean): void;
  /** Resources have changed in a way that only a restart can apply. */
  onRestart(): void;
  /** Everything is ready. */
  onReady(app: Outrigger): void;
}

export interface Runtime {
  readonly app: Outrigger;
  /** Opens the components, finds the app, then follows changes of the resources. */
  start(): void;
  /** Rejects with the reason this run cannot go on; never resolves. */
  readonly failed: Promise<never>;
  /** Follows no more changes; resolves when what has begun is done. */
  settle(): Promise<void>;
  /** Ends the search for the app, its probes, and what is still being opened. */
  end(): void;
}

export function createRuntime({ configuration, resources, texts, watch }: Input, options: RuntimeOptions): Runtime {
  const { launch, settings, host, log, stop } = options;
  const createdAt = performance.now();
  const app = createApp({ host, settings, configuration, resources, manifest: options.manifest, nameResolvers: options.nameResolvers, log, handover: options.handover, onShutdown: options.onShutdown });
  const ended = new AbortController();
  const settled = new AbortController();
  let reloading = Promise.resolve();
  let fail: (reason: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => { fail = reject; });
  failed.catch(() => {}); // whoever waits is told

  const start = async () => {
    await app.start(ended.signal);
    if (ended.signal.aborted || stop.aborted) return;
    if (settings.app.maxConcurrency > 0) log.info(`app max concurrency set to ${settings.app.maxConcurrency}`);
    log.info(`dapr initialized. Status: Running. Init Elapsed ${Math.round(performance.now() - createdAt)}ms`);
    options.onReady(app);
  };
  const follow = async () => {
    if (watch === undefined || app.reload === undefined) return;
    log.scope('dapr.runtime.hotreload').info("Hot reloading enabled. Daprd will reload 'Component', 'Subscription', 'Configuration', 'HTTPEndpoint' and 'Resiliency' resources when they are added, updated or deleted.");
    const load = (found: readonly ResourceText[]) => loadResources(found, { appId: settings.appId, namespace: settings.namespace, log });
    const signal = AbortSignal.any([stop, ended.signal, settled.signal]);
    const end = await watchResources({ files: host.files, paths: launch.resourcePaths, watch, texts, resources, intervalMs: launch.reconcileMs, load, apply: app.reload, log, signal });
    if (end === 'restart') options.onRestart();
  };

  return {
    app,
    start: () => {
      start().catch(fail);
      reloading = follow();
      reloading.catch(fail);
    },
    failed,
    settle: () => {
      settled.abort();
      return reloading.catch(() => {}); // told as `failed`
    },
    end: () => ended.abort(),
  };
}
