// A component type as an adapter file declares it: one definition from which loader, docs, forms and the support matrix come.
import type { Host, RuntimeName } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { MetadataSchema, Properties } from '../../core/metadata.ts';

/** Category of a component: what stands before the first dot of its type. */
export type Block = 'state' | 'pubsub' | 'bindings' | 'secretstores' | 'configuration' | 'lock' | 'crypto' | 'conversation' | 'middleware' | 'nameresolution';

/** What `open()` gets besides its decoded metadata. */
export interface ComponentContext {
  readonly host: Host;
  readonly log: Logger;
  /** `metadata.name` of the component. */
  readonly name: string;
  readonly appId: string;
  /** Environment NAMESPACE, `''` when unset. */
  readonly namespace: string;
  /** All properties as given, for the few that are read by exact name. */
  readonly properties: Properties;
  /** Aborted when initTimeout has passed. */
  readonly signal: AbortSignal;
}

/** Anything that `open()` returns can be closed, once. */
export interface Closable {
  close(): Promise<void>;
  /** What this instance can do where its metadata decides; absent: what the definition says. */
  readonly features?: readonly string[];
}

export interface Definition<Port extends Closable = Closable, M = unknown, F extends string = string> {
  readonly block: Block;
  /** Full type in lower case: `state.redis`. */
  readonly type: string;
  /** Other full types that mean the same: `state.postgres`. */
  readonly aliases?: readonly string[];
  /** Versions registered by name; absent: one unversioned registration that answers to ``, `v0` and `v1`. */
  readonly versions?: readonly string[];
  /** Version taken when the YAML names none; needed with `versions`. */
  readonly defaultVersion?: string;
  readonly status: 'stable' | 'beta' | 'alpha';
  readonly runtimes: readonly RuntimeName[];
  /** Names as the metadata API lists them under `capabilities`. */
  readonly features: readonly F[];
  /** One sentence for the component reference. */
  readonly summary: string;
  readonly metadata: MetadataSchema<M>;
  open(metadata: M, context: ComponentContext): Promise<Port>;
}

// A definition of any port, for code that only loads and closes.
// biome-ignore lint/suspicious/noExplicitAny: the metadata type is known only inside the adapter
export type AnyDefinition = Definition<any, any, string>;

/** One row of the generated manifest: how to find a definition without loading it. */
export interface ManifestRow {
  readonly type: string;
  readonly aliases?: readonly string[];
  readonly versions?: readonly string[];
  readonly defaultVersion?: string;
  /** Absent where this build cannot carry the adapter: the type is known but not available on this runtime. */
  readonly load?: () => Promise<{ default: AnyDefinition }>;
}
export type Manifest = readonly ManifestRow[];
