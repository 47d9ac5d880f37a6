// A local copy of the objects of one kind in a Kubernetes namespace, kept up to date: listed once, then watched (client-go's informer).
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import type { KubernetesClient } from './client.ts';

export interface KubernetesObject {
  metadata?: { name?: string; uid?: string; resourceVersion?: string };
  [field: string]: unknown;
}
/** One at a time; the next change waits for the promise. */
export interface Changes {
  add(now: KubernetesObject): Promise<void>;
  update(before: KubernetesObject, now: KubernetesObject): Promise<void>;
  remove(before: KubernetesObject): Promise<void>;
}

// As client-go waits before it lists anew.
const [firstWaitMs, longestWaitMs] = [800, 30_000];
/** A watch is begun anew after that long, so that a connection nobody told of its end is not believed for ever. */
const watchSeconds = 300;

/** `path` is that of the list. Ends when the signal aborts; trouble is logged and tried again. `resyncMs`: how often every object is told as an update. */
export async function runInformer({ client, path, changes, resyncMs, log, signal }: { client: KubernetesClient; path: string; changes: Changes; resyncMs: number; log: Logger; signal: AbortSignal }): Promise<void> {
  const objects = new Map<string, KubernetesObject>();
  let turn = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    turn = turn.then(() => (signal.aborted ? undefined : work()));
    return turn;
  };
  const nameOf = (object: KubernetesObject): string => object.metadata?.name ?? '';
  const put = (object: KubernetesObject): Promise<void> => inTurn(async () => {
    const before = objects.get(nameOf(object));
    objects.set(nameOf(object), object);
    await (before === undefined ? changes.add(object) : changes.update(before, object));
  });
  const remove = (object: KubernetesObject): Promise<void> => inTurn(async () => {
    if (objects.delete(nameOf(object))) await changes.remove(object);
  });

  const list = async (): Promise<string> => {
    const { items, metadata } = (await client.get(path, signal)) as { items?: KubernetesObject[] | null; metadata?: { resourceVersion?: string } };
    const present = new Set((items ?? []).map(nameOf));
    for (const item of items ?? []) await put(item);
    for (const [name, object] of objects) if (!present.has(name)) await remove(object);
    return metadata?.resourceVersion ?? '';
  };
  /** Resolves with where to go on; undefined: that is too long ago, and all has to be listed. */
  const watch = async (from: string): Promise<string | undefined> => {
    let version = from;
    for await (const line of client.watch(`${path}?allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}&timeoutSeconds=${watchSeconds}&watch=true`, signal)) {
      const { type, object } = line as { type: string; object: KubernetesObject & { message?: string } };
      if (type === 'ERROR') {
        log.debug(`the watch ended: ${object.message}`);
        return undefined;
      }
      if (type === 'ADDED' || type === 'MODIFIED') await put(object);
      else if (type === 'DELETED') await remove(object);
      version = object.metadata?.resourceVersion ?? version;
    }
    return version;
  };

  let syncing = false;
  const sync = async () => {
    if (syncing) return; // the app is slower than the timer
    syncing = true;
    for (const name of [...objects.keys()]) {
      await inTurn(async () => {
        const object = objects.get(name);
        if (object !== undefined) await changes.update(object, object);
      });
    }
    syncing = false;
  };
  const timer = resyncMs > 0 ? setInterval(() => void sync(), resyncMs) : undefined;

  let waitMs = firstWaitMs;
  let version: string | undefined;
  while (!signal.aborted) {
    const startedAt = performance.now();
    try {
      version ??= await list();
      version = await watch(version);
      waitMs = firstWaitMs;
      // a server that ends every watch at once is not asked without pause
      if (performance.now() - startedAt < 1000) await pause(firstWaitMs, signal);
    } catch (error) {
      if (signal.aborted) break;
      log.warn(`cannot read from Kubernetes, trying again: ${textOf(error)}`);
      version = undefined;
      await pause(waitMs, signal);
      waitMs = Math.min(2 * waitMs, longestWaitMs);
    }
  }
  clearInterval(timer);
  await turn;
}
