// What a name resolver must provide (Dapr: components-contrib/nameresolution/nameresolution.go).
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';

/** Who this sidecar is to others. */
export interface Instance {
  appId: string;
  namespace: string;
  /** Address others reach this machine at. */
  address: string;
  /** Port of the sidecar-to-sidecar listener. */
  internalPort: number;
  httpPort: number;
  appPort: number;
}

export interface NameResolver {
  /** `host:port` candidates of the app's sidecars, or base URLs (`https://…`); empty = unknown. May be cached by the caller for cacheMs. */
  resolve(appId: string, namespace: string): Promise<string[]>;
  /** How long the caller may keep an answer; 0 = the resolver caches by itself. */
  readonly cacheMs: number;
  /** Addresses at hand without asking anybody, for resolvers that cache by themselves; a call then need not wait. */
  peek?(appId: string, namespace: string): readonly string[] | undefined;
  /** This address did not answer. */
  failed?(appId: string, namespace: string, address: string): void;
  close(): Promise<void>;
}

/** `configuration` is the free-form map of Configuration `spec.nameResolution.configuration`. */
export interface NameResolverDefinition {
  readonly type: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Registers this instance and returns the resolver. */
  open(configuration: Record<string, unknown>, context: { host: Host; log: Logger; self: Instance }): Promise<NameResolver>;
}
export const defineNameResolver = (definition: NameResolverDefinition): NameResolverDefinition => definition;

/** The generated list of resolvers; without `load` where this build cannot carry one. */
export type NameResolverManifest = readonly { readonly type: string; readonly aliases?: readonly string[]; readonly load?: () => Promise<{ default: NameResolverDefinition }> }[];
