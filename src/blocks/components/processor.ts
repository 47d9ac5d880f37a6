// Opens and closes components: finds the definition, resolves metadata, waits for open() at most initTimeout (Dapr: pkg/runtime/processor).
import { textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { Properties } from '../../core/metadata.ts';
import type { Meter } from '../../core/meter.ts';
import { worksAs } from '../bindings/direction.ts';
import { lockPrefixOf } from '../lock/keys.ts';
import type { ComponentResource } from '../resources/kinds.ts';
import { componentLabel } from '../resources/loader.ts';
import { sameResource } from '../resources/reload.ts';
import { expandTemplates, redact, type ResolvedItem, type ResolvedItems, resolveItems } from '../resources/values.ts';
import type { StateEncryption } from '../state/encryption.ts';
import { stateEncryptionOf } from '../state/encryption-keys.ts';
import { prefixOf } from '../state/keys.ts';
import type { AnyDefinition, Block, Closable, Manifest, ManifestRow } from './definition.ts';
import { categoryOf, isDaprType } from './known-types.ts';
import type { ComponentStore, Loaded } from './store.ts';

export interface ProcessorOptions {
  host: Host;
  manifest: Manifest;
  log: Logger;
  components: ComponentStore;
  appId: string;
  /** Environment NAMESPACE, '' when unset. */
  namespace: string;
  /** undefined: nobody counts. */
  meter?: Meter | undefined;
  /** `spec.components.deny` of the Configuration. */
  deny?: readonly string[];
  /** `spec.wasm.strictSandbox` of the Configuration: WebAssembly components are strict whatever they say themselves. */
  wasmStrictSandbox?: boolean;
}

export interface Processor {
  /** Secret stores first, then the rest in order, one at a time; none is begun once the signal is aborted. Rejects at the first that fails without ignoreErrors. */
  load(resources: readonly ComponentResource[], signal?: AbortSignal): Promise<void>;
  /** Opens one component, then those that waited for it as their secret store. A failure under ignoreErrors is only logged. */
  open(resource: ComponentResource): Promise<void>;
  /** Closes one component and forgets it; one that is parked or unknown is forgotten too. */
  close(name: string): Promise<void>;
  /** Forgets a component, parked or open, and returns the open one, which is then the caller's to close. */
  forget(name: string): Loaded | undefined;
  /** Whether the Configuration lets it load; a refusal is in the log. */
  allows(resource: ComponentResource): boolean;
  /**
   * Whether it is open just as this resource says, its secrets included: false where one has changed or its secret store is gone.
   * A secret that cannot be read at the moment counts as unchanged.
   */
  isCurrent(resource: ComponentResource): Promise<boolean>;
  /** Components that wait for a secret store which is not loaded. */
  parked(): readonly ComponentResource[];
}

export function createProcessor(options: ProcessorOptions): Processor {
  const { host, components, appId, namespace, meter } = options;
  const log = options.log.scope('dapr.runtime.processor');
  const secretLog = options.log.scope('dapr.runtime.processor.secret');
  /** By the secret store waited for. */
  const waiting = new Map<string, ComponentResource[]>();
  /** What the metadata of an open component came to, to see later whether a secret has changed. */
  const resolvedOf = new WeakMap<ComponentResource, readonly ResolvedItem[]>();

  const resolve = (resource: ComponentResource): Promise<ResolvedItems> =>
    resolveItems({ kind: 'Component', ...resource }, resource.metadata, { env: host.env, log: secretLog, secretStore: (name) => components.secretstores.get(name)?.port });
  const unpark = (name: string): void => {
    for (const [store, list] of waiting) waiting.set(store, list.filter((resource) => resource.name !== name));
  };

  const open = async (resource: ComponentResource): Promise<void> => {
    const label = componentLabel(resource);
    log.debug(`Loading component: ${label}`);
    const resolved = await resolve(resource);
    if (resolved.waitsFor !== undefined) {
      unpark(resource.name);
      waiting.set(resolved.waitsFor, [...(waiting.get(resolved.waitsFor) ?? []), resource]);
      return;
    }
    try {
      const category = categoryOf(resource.type);
      if (category === undefined) throw new Error(`incorrect type ${resource.type}`);
      await start(resource, category, resolved);
    } catch (error) {
      const text = `process component ${resource.name} error: ${redact(textOf(error), resolved.hidden)}`;
      if (resource.ignoreErrors) return log.error(`Ignoring error processing component: ${text}`);
      log.warn(`Error processing component, daprd will exit gracefully: ${text}`);
      throw new Error(text);
    }
    resolvedOf.set(resource, resolved.items);
    log.info(`Component loaded: ${label}`);
    meter?.componentLoaded();
    if (!components.secretstores.has(resource.name)) return;
    const dependents = waiting.get(resource.name) ?? [];
    waiting.delete(resource.name);
    for (const dependent of dependents) await open(dependent);
  };

  /** From resolved metadata to an open port in the store. Throws with upstream's double wrapping. */
  const start = async (resource: ComponentResource, category: Block, { items, hidden }: ResolvedItems): Promise<void> => {
    const label = componentLabel(resource);
    let opened: { definition: AnyDefinition; properties: Properties; port: Closable; encryption: StateEncryption | undefined };
    let stage: 'creation' | 'init' | undefined;
    try {
      if (resource.initTimeoutMs <= 0) throw new Error(`init timeout for component ${label}`);
      stage = 'creation';
      const definition = await definitionOf(resource, category);
      const encryption = category === 'state' ? await encryptionOf(resource, items) : undefined;
      stage = 'init';
      const properties = initialised(label, () => propertiesFor(category, resource, expandTemplates(items, { env: host.env, appId })));
      if (category === 'state') initialised(label, () => checkStateStore(resource, properties));
      if (category === 'lock') initialised(label, () => checkLockStore(resource, properties));
      const port = await openInTime(resource, definition, properties);
      opened = { definition, properties, port, encryption };
    } catch (error) {
      log.error(`Failed to init component ${label}: ${redact(textOf(error), hidden)}`);
      // as daprd counts it: where it failed, and once more as a component that did not start
      if (stage !== undefined && category !== 'middleware') meter?.componentFailed(resource.type, resource.name, stage);
      meter?.componentFailed(resource.type, resource.name, 'init');
      throw failure('INIT_COMPONENT_FAILURE', label, error);
    }
    const { definition, properties, port, encryption } = opened;
    for (let i = 0; meter !== undefined && i < timesOpened(category, definition, properties); i++) meter.componentOpened(resource.type);
    components.add({ name: resource.name, type: resource.type, version: resource.version, block: definition.block, features: port.features ?? definition.features, properties, port, resource, ...(encryption ? { encryption } : {}) });
  };

  const definitionOf = async (resource: ComponentResource, category: Block): Promise<AnyDefinition> => {
    const label = componentLabel(resource);
    const row = findRow(options.manifest, resource.type, resource.version);
    if (!row) throw unknownType(resource, category, isDaprType(resource.type) && !options.manifest.some((known) => isOfType(known, resource.type)));
    const unavailable = () => failure('CREATE_COMPONENT_FAILURE', label, new Error(`component ${label} is not available on this runtime`));
    if (!row.load) throw unavailable();
    const definition = (await row.load()).default;
    if (!definition.runtimes.includes(host.runtime)) throw unavailable();
    return definition;
  };

  const propertiesFor = (category: Block, { type }: ComponentResource, properties: Properties): Properties => {
    if (category === 'pubsub') return { ...properties, consumerID: properties.consumerID?.trim() || appId };
    if (!options.wasmStrictSandbox || !type.toLowerCase().endsWith('.wasm')) return properties;
    return { ...Object.fromEntries(Object.entries(properties).filter(([name]) => name.toLowerCase() !== 'strictsandbox')), strictSandbox: 'true' };
  };

  const encryptionOf = async (resource: ComponentResource, items: readonly ResolvedItem[]): Promise<StateEncryption | undefined> => {
    try {
      return await stateEncryptionOf(resource, items, components.secretstores.get(resource.secretStore)?.port, options.log.scope('dapr.runtime.processor.state'));
    } catch (error) {
      throw failure('CREATE_COMPONENT_FAILURE', componentLabel(resource), error);
    }
  };

  const checkStateStore = (resource: ComponentResource, properties: Properties): void => {
    try {
      prefixOf(properties, { store: resource.name, appId, namespace });
    } catch (error) {
      throw new Error(`failed to save lock keyprefix: ${error instanceof Error ? error.message : String(error)}`);
    }
  };

  const checkLockStore = (resource: ComponentResource, properties: Properties): void => {
    try {
      lockPrefixOf(properties, { store: resource.name, appId });
    } catch (error) {
      throw new Error(`failed to save lock keyprefix: ${textOf(error)}`);
    }
  };

  /** Aborts the signal when the time is over; an open() that ends later is closed again. */
  const openInTime = async (resource: ComponentResource, definition: AnyDefinition, properties: Properties): Promise<Closable> => {
    const label = componentLabel(resource);
    const controller = new AbortController();
    let late = false;
    const opening = (async () => definition.open(definition.metadata.parse(properties), { host, log: options.log.scope('dapr.contrib'), name: resource.name, appId, namespace, properties, signal: controller.signal }))();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        late = true;
        controller.abort(new Error('context deadline exceeded'));
        // the component gets a moment to say what it was waiting for
        timer = setTimeout(() => reject(new Error('context deadline exceeded')), 100);
      }, Math.min(resource.initTimeoutMs, 0x7fffffff));
    });
    const inTime = opening.then((port: Closable) => {
      if (!late) return port;
      return port.close().then(() => Promise.reject(new Error('context deadline exceeded')));
    });
    try {
      return await Promise.race([inTime, timeout]);
    } catch (error) {
      inTime.catch(() => {});
      const text = categoryFailure(definition.block, label, resource, error);
      throw late ? new Error(`${text.message}\ninit timeout for component ${label}`) : text;
    } finally {
      clearTimeout(timer);
    }
  };

  const forget = (name: string): Loaded | undefined => {
    unpark(name);
    const loaded = components.all().find((component) => component.name === name);
    if (loaded) components.remove(name);
    return loaded;
  };

  return {
    load: async (resources, signal) => {
      options.log.info('Loading components…');
      const allowed = resources.filter((resource) => isAllowed(resource, options.deny ?? [], options.log));
      const isSecretStore = (resource: ComponentResource) => resource.type.startsWith('secretstores.');
      options.log.info('Waiting for all outstanding components to be processed…');
      for (const resource of [...allowed.filter(isSecretStore), ...allowed.filter((r) => !isSecretStore(r))]) {
        if (signal?.aborted) return;
        await open(resource);
      }
      options.log.info('All outstanding components processed');
    },
    open: async (resource) => {
      if (isAllowed(resource, options.deny ?? [], options.log)) await open(resource);
    },
    close: async (name) => void (await forget(name)?.port.close()),
    forget,
    allows: (resource) => isAllowed(resource, options.deny ?? [], options.log),
    isCurrent: async (resource) => {
      const open = components.all().find((component) => component.name === resource.name)?.resource;
      if (open === undefined || !sameResource(open, resource)) return false;
      if (!resource.metadata.some((item) => item.secretKeyRef)) return true;
      const now = await resolve(resource);
      if (now.unread) return true;
      return now.waitsFor === undefined && JSON.stringify(now.items) === JSON.stringify(resolvedOf.get(open));
    },
    parked: () => [...waiting.values()].flat(),
  };
}

/** Middleware is not counted as opened, a binding once for each direction it works in. */
function timesOpened(category: Block, { features }: AnyDefinition, properties: Properties): number {
  if (category !== 'bindings') return category === 'middleware' ? 0 : 1;
  return (['input', 'output'] as const).filter((direction) => features.includes(direction === 'input' ? 'INPUT_BINDING' : 'OUTPUT_BINDING') && worksAs(direction, properties)).length;
}

type FailureKind = 'INIT_COMPONENT_FAILURE' | 'CREATE_COMPONENT_FAILURE';
const failure = (kind: FailureKind, label: string, error: unknown) => new Error(`[${kind}]: initialization error occurred for ${label}: ${textOf(error)}`, { cause: error });
function initialised<T>(label: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw failure('INIT_COMPONENT_FAILURE', label, error);
  }
}
/** Middleware counts as failing to be created, everything else as failing to initialise. */
const categoryFailure = (block: Block, label: string, resource: ComponentResource, error: unknown): Error =>
  block === 'middleware'
    ? failure('CREATE_COMPONENT_FAILURE', label, new Error(`process component ${resource.name} error: error creating HTTP middleware ${resource.type}/${resource.version}: ${textOf(error)}`))
    : failure('INIT_COMPONENT_FAILURE', label, error);

const nouns: Partial<Record<Block, string>> = {
  state: 'state store', pubsub: 'message bus', secretstores: 'secret store', configuration: 'configuration store', lock: 'lock store', crypto: 'crypto provider', conversation: 'conversation',
};
function unknownType(resource: ComponentResource, category: Block, isUnbuilt: boolean): Error {
  const { name, type, version } = resource;
  const label = componentLabel(resource);
  const hint = isUnbuilt ? ' (Dapr has this component, Outrigger does not yet)' : '';
  if (category === 'bindings') return new Error(`couldn't find binding ${label}${hint}`);
  const text = category === 'middleware' ? `process component ${name} error: HTTP middleware ${type}/${version} has not been registered` : `couldn't find ${nouns[category]} ${type}/${version}`;
  return failure('CREATE_COMPONENT_FAILURE', label, new Error(text + hint));
}

const isOfType = (row: ManifestRow, type: string): boolean => row.type === type.toLowerCase() || (row.aliases?.includes(type.toLowerCase()) ?? false);

/** The row a type and version mean. A type without versions answers to '', v0 and v1. */
export function findRow(manifest: Manifest, type: string, version: string): ManifestRow | undefined {
  const wanted = version.toLowerCase();
  return manifest.find((row) => {
    if (!isOfType(row, type)) return false;
    return row.versions ? row.versions.includes(wanted || (row.defaultVersion ?? 'v1')) : ['', 'v0', 'v1'].includes(wanted);
  });
}

/** `type` and `type/version` compare exactly. Where a list exists a component that names no version goes too, without a word. */
function isAllowed(resource: ComponentResource, deny: readonly string[], log: Logger): boolean {
  if (deny.length === 0) return true;
  if (resource.version === '') return false;
  if (!deny.includes(resource.type) && !deny.includes(`${resource.type}/${resource.version}`)) return true;
  log.scope('dapr.runtime.authorizer').warn(`component '${resource.name}' cannot be loaded because components of type '${componentLabel(resource)}' are not allowed`);
  return false;
}
