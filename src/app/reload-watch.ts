// Watching the resource folders: when they have changed, and what lies in them then (Dapr: pkg/runtime/hotreload/loader/disk).
import { textOf } from '../core/errors.ts';
import type { FilesPort } from '../core/host.ts';
import type { Logger } from '../core/log.ts';
import { readResourceDirectories } from '../blocks/resources/directories.ts';
import type { ResourceSet } from '../blocks/resources/kinds.ts';
import { ResourceError, type ResourceText } from '../blocks/resources/loader.ts';

export interface FolderWatch {
  /**
   * Resolves when something has changed since the last call and the folders have been quiet for a moment; after the interval without a
   * change; or when the signal is aborted. What is read after that is no older than the answer.
   */
  next(intervalMs: number, signal: AbortSignal): Promise<'changed' | 'interval' | 'ended'>;
  close(): void;
}

/** A file that is written in several pieces is to be read whole. */
const quietMs = 50;
/** A folder that never gets quiet is read all the same. */
const longestMs = 1000;

/** Watches from now on. A folder that cannot be watched is only looked at after each interval. */
export function watchFolders(files: FilesPort, paths: readonly string[], log: Logger): FolderWatch {
  let changed = false;
  let lastAt = 0;
  let wake = () => {};
  const onChange = () => {
    changed = true;
    lastAt = performance.now();
    wake();
  };
  let watches: { close(): void }[] = [];
  const close = () => {
    for (const one of watches) one.close();
    watches = [];
  };
  let warned = false;
  /** Again each time: a folder may have been replaced by another one of its name. */
  const watch = () => {
    close();
    for (const path of paths) {
      try {
        if (files.watch) watches.push(files.watch(path, onChange));
      } catch (error) {
        if (!warned) log.warn(`changes in ${path} are noticed late: ${textOf(error)}`);
        warned = true;
      }
    }
  };
  watch();

  return {
    next: async (intervalMs, signal) => {
      const due = performance.now() + intervalMs;
      const until = (at: number) => new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, Math.min(Math.max(0, at - performance.now()), 0x7fffffff));
        (timer as { unref?(): void }).unref?.();
        wake = done;
        signal.addEventListener('abort', done);
      });
      while (!changed && !signal.aborted && performance.now() < due) await until(due);
      const latest = performance.now() + longestMs;
      while (changed && !signal.aborted && performance.now() < Math.min(lastAt + quietMs, latest)) await until(Math.min(lastAt + quietMs, latest));
      if (signal.aborted) return 'ended';
      const why = changed ? 'changed' : 'interval';
      changed = false;
      watch();
      return why;
    },
    close,
  };
}

export interface WatchResourcesOptions {
  files: FilesPort;
  paths: readonly string[];
  /** Began before the first texts were read. */
  watch: FolderWatch;
  /** What the sidecar started with. */
  texts: readonly ResourceText[];
  resources: ResourceSet;
  /** Time between full looks that no change asked for. */
  intervalMs: number;
  load(texts: readonly ResourceText[]): ResourceSet;
  apply(found: ResourceSet): Promise<'applied' | 'restart'>;
  log: Logger;
  /** Ends the watching, between two looks. */
  signal: AbortSignal;
}

/** Resolves with `restart` when a change needs one, and when the signal is aborted. Rejects with the reason the sidecar cannot go on. */
export async function watchResources(options: WatchResourcesOptions): Promise<'restart' | 'ended'> {
  const { files, paths, watch, signal } = options;
  let { texts, resources } = options;
  const read = async (log: Logger) => {
    try {
      return await readResourceDirectories(files, paths, log);
    } catch (error) {
      throw new Error(`failed to read resource directories: ${textOf(error)}`, { cause: error });
    }
  };
  try {
    for (;;) {
      const why = await watch.next(options.intervalMs, signal);
      if (why === 'ended') return why;
      const found = await read(why === 'changed' ? options.log : silent);
      if (signal.aborted) return 'ended';
      if (!sameTexts(texts, found)) {
        resources = loaded(options.load, found);
        texts = found;
      }
      // the same texts too: what failed or waits is tried again, secrets may have changed
      if ((await options.apply(resources)) === 'restart') return 'restart';
    }
  } finally {
    watch.close();
  }
}

function loaded(load: WatchResourcesOptions['load'], texts: readonly ResourceText[]): ResourceSet {
  try {
    return load(texts);
  } catch (error) {
    if (!(error instanceof ResourceError)) throw error;
    throw new Error(`failed to load resources from disk: ${error.faults}`, { cause: error });
  }
}

const sameTexts = (one: readonly ResourceText[], other: readonly ResourceText[]) =>
  one.length === other.length && one.every(({ file, text }, i) => file === other[i]?.file && text === other[i]?.text);

const nothing = () => {};
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing, always: nothing, scope: () => silent };
