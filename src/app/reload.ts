// Hot reload: makes a running sidecar what its resource folders say now (Dapr: pkg/runtime/hotreload/reconciler).
import { textOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { pause } from '../core/pause.ts';
import type { Inputs } from '../blocks/bindings/inputs.ts';
import type { Processor } from '../blocks/components/processor.ts';
import type { ComponentStore, Loaded } from '../blocks/components/store.ts';
import type { ComponentUsers } from '../blocks/components/users.ts';
import type { ComponentResource, HttpEndpointResource, ListedResource, ResourceSet } from '../blocks/resources/kinds.ts';
import { componentLabel } from '../blocks/resources/loader.ts';
import { type Changes, changesOf, listAfter } from '../blocks/resources/reload.ts';
import type { Subscriptions } from './inbound/subscriptions.ts';

export interface ReloadOptions {
  components: ComponentStore;
  processor: Processor;
  users: ComponentUsers;
  subscriptions: Subscriptions;
  /** undefined: no app. */
  inputs: Inputs | undefined;
  /** What the sidecar started with. */
  resources: ResourceSet;
  log: Logger;
  /** MCP servers and workflow access policies are others now. */
  onListed(found: ResourceSet): void;
}

export interface Reload {
  /**
   * Applies what has changed since the last time. `restart`: Configuration, HTTPEndpoint or Resiliency documents have changed, which
   * only a restart can apply; nothing else was done. Rejects, with the reason for the log, where the sidecar cannot go on: a component
   * without ignoreErrors does not open. Calls must not overlap.
   */
  apply(found: ResourceSet): Promise<'applied' | 'restart'>;
  /** No component is opened from now on, old ones that are still in use are closed, and calls that wait for a new one go on without. */
  stop(): void;
}

/** How long a replacement waits for calls on the old component before it opens the new one beside it. */
const patienceMs = 1000;
/** After that long an old component is closed under the calls that still use it. */
const longestUseMs = 60_000;
/** Messages at the app when their component is to be closed. */
const drainMs = 30_000;

export function createReload(options: ReloadOptions): Reload {
  const { components, processor, users, subscriptions, inputs } = options;
  const log = options.log.scope('dapr.runtime.hotreload.reconciler');
  const stopped = new AbortController();
  let known = options.resources;

  const loadedOf = (name: string): Loaded | undefined => components.all().find((component) => component.name === name);

  /** Takes no more messages of this component. Before anything else: the app may need the component to deal with those it has. */
  const quiet = async ({ name, block }: Loaded): Promise<void> => {
    if (block === 'pubsub') await subscriptions.release(name);
    else if (block === 'bindings' && inputs) await Promise.race([inputs.release(name), pause(drainMs, stopped.signal)]);
  };

  /** Closes a component that was forgotten, once nobody uses it. Resolves then, or before if that takes long. */
  const retire = async (loaded: Loaded, idle: Promise<void>): Promise<void> => {
    const close = async () => {
      await Promise.race([idle, pause(longestUseMs, stopped.signal)]);
      try {
        await loaded.port.close();
      } catch (error) {
        log.error(`error closing old component: ${loaded.name}: ${textOf(error)}`);
      }
    };
    const over = new AbortController();
    await Promise.race([close().finally(() => over.abort()), pause(patienceMs, over.signal)]);
  };

  const open = async (resource: ComponentResource): Promise<void> => {
    if (!processor.allows(resource)) return log.warn(`Received unauthorized component update, ignored: ${componentLabel(resource)}`);
    log.info(`Adding Component for processing: ${componentLabel(resource)}`);
    const before = new Set(components.all());
    await processor.open(resource);
    const opened = components.all().filter((component) => !before.has(component));
    // a stop has come in between and closed all there was
    if (stopped.signal.aborted) return void (await Promise.allSettled(opened.map(({ name }) => processor.close(name))));
    if (components.all().some((component) => component.resource === resource)) log.info(`Component updated: ${componentLabel(resource)}`);
  };
  /** Starts what waited for the components that came. */
  const messages = async (before: ReadonlySet<Loaded>): Promise<void> => {
    const blocks = new Set(components.all().filter((component) => !before.has(component)).map((component) => component.block));
    if (blocks.has('pubsub') || blocks.has('state')) await subscriptions.resume(); // state stores for their outbox
    if (blocks.has('bindings')) await inputs?.resume();
  };

  const replace = async (old: Loaded, resource: ComponentResource): Promise<void> => {
    log.info(`Closing existing Component to reload: ${componentLabel(old)}`);
    const before = new Set(components.all());
    await quiet(old);
    const release = users.hold(old.name);
    stopped.signal.addEventListener('abort', release); // a stop waits for the calls
    try {
      processor.forget(old.name);
      await retire(old, users.idle(old.name));
      await open(resource);
    } finally {
      stopped.signal.removeEventListener('abort', release);
      release();
    }
    await messages(before);
  };
  const create = async (resource: ComponentResource): Promise<void> => {
    const before = new Set(components.all());
    await open(resource);
    await messages(before);
  };
  const remove = async (resource: ComponentResource): Promise<void> => {
    log.debug(`Received Component deletion, closing: ${componentLabel(resource)}`);
    const old = loadedOf(resource.name) as Loaded;
    await quiet(old);
    processor.forget(old.name);
    await retire(old, users.idle(old.name));
  };

  /** Stores that keep (or would keep) actors stay as they are: other sidecars rely on them too. */
  const isForActors = (...resources: (ComponentResource | undefined)[]): boolean => {
    const found = resources.find((resource) => resource?.type.startsWith('state.') && resource.metadata.some((item) => item.name.toLowerCase() === 'actorstatestore'));
    if (found) log.error(`Aborting to hot-reload a state store component that is used as an actor state store: ${componentLabel(found)}`);
    return found !== undefined;
  };

  /** The open components are compared, not those read before: what failed or waits is tried again every time. */
  const applyComponents = async (found: readonly ComponentResource[]): Promise<void> => {
    const names = new Set(found.map((resource) => resource.name));
    const open = components.all().flatMap(({ resource }) => (resource ? [resource] : []));
    const opened = new Set(open.map((resource) => resource.name));
    for (const { name } of processor.parked()) processor.forget(name); // they come again among the new ones, as their YAML is now
    for (const resource of open) if (!names.has(resource.name) && !isForActors(resource)) await remove(resource);
    const isSecretStore = (resource: ComponentResource) => resource.type.startsWith('secretstores.');
    const ordered = [...found.filter(isSecretStore), ...found.filter((resource) => !isSecretStore(resource))];
    for (const resource of ordered.filter(({ name }) => opened.has(name))) {
      const old = loadedOf(resource.name);
      if (stopped.signal.aborted || old === undefined || (await processor.isCurrent(resource)) || isForActors(resource, old.resource)) continue;
      await replace(old, resource);
    }
    for (const resource of ordered.filter(({ name }) => !opened.has(name))) {
      // one that waited for its secret store may be open by now
      if (stopped.signal.aborted || loadedOf(resource.name) !== undefined || isForActors(resource)) continue;
      await create(resource);
    }
  };

  const applySubscriptions = async (found: ResourceSet['subscriptions']): Promise<void> => {
    const changes = changesOf(known.subscriptions, found);
    if (changes.deleted.length + changes.updated.length + changes.created.length === 0) return;
    for (const { name } of changes.updated) log.info(`Closing existing Subscription to reload: ${name}`);
    const added = [...changes.updated, ...changes.created];
    for (const { name } of added) log.info(`Adding Subscription for processing: ${name}`);
    const now = listAfter(known.subscriptions, changes);
    await subscriptions.declare(now);
    known = { ...known, subscriptions: now };
    for (const { name } of added) log.info(`Subscription updated: ${name}`);
  };

  return {
    apply: async (found) => {
      if (stopped.signal.aborted) return 'applied';
      const reasons = restartReasons(known, found);
      for (const reason of reasons) log.info(`Received ${reason} - triggering SIGHUP reload`);
      if (reasons.length > 0) return 'restart';
      await applyComponents(found.components);
      if (stopped.signal.aborted) return 'applied';
      await applySubscriptions(found.subscriptions);
      const servers = changesOf(known.mcpServers, found.mcpServers);
      for (const { name } of servers.deleted) log.info(`MCPServer deleted via hot-reload: ${name}`);
      for (const { name } of [...servers.updated, ...servers.created]) log.info(`MCPServer updated via hot-reload: ${name}`);
      known = { ...found, subscriptions: known.subscriptions };
      options.onListed(found);
      return 'applied';
    },
    stop: () => stopped.abort(),
  };
}

/** What of Configuration, HTTPEndpoint and Resiliency has changed, as daprd tells it. */
function restartReasons(known: ResourceSet, found: ResourceSet): string[] {
  const events = <R>(kind: string, { deleted, updated, created }: Changes<R>, label: (resource: R) => string): string[] => {
    const all = [['DELETED', deleted], ['UPDATED', updated], ['CREATED', created]] as const;
    return all.flatMap(([event, resources]) => resources.map((resource) => `${kind} ${event} event: ${label(resource)}`));
  };
  const name = (resource: ListedResource) => resource.name;
  return [
    ...events('Configuration', changesOf(known.configurations, found.configurations), name),
    ...events<HttpEndpointResource>('HTTPEndpoint', changesOf(known.httpEndpoints, found.httpEndpoints), (resource) => `${resource.name} (${resource.baseUrl})`),
    ...events('Resiliency', changesOf(known.resiliencies, found.resiliencies), name),
  ];
}
