// The open components of a sidecar, by building block and name, in load order.
import type { Properties } from '../../core/metadata.ts';
import type { Binding } from '../bindings/port.ts';
import type { ConfigurationStore } from '../configuration/port.ts';
import type { LockStore } from '../lock/port.ts';
import type { HttpMiddleware } from '../middleware/port.ts';
import type { PubSub } from '../pubsub/port.ts';
import type { ComponentResource } from '../resources/kinds.ts';
import type { SecretStore } from '../secrets/port.ts';
import type { StateEncryption } from '../state/encryption.ts';
import type { StateStore } from '../state/port.ts';
import type { Block, Closable } from './definition.ts';

export interface Loaded<Port extends Closable = Closable> {
  readonly name: string;
  /** As written in the YAML. */
  readonly type: string;
  readonly version: string;
  readonly block: Block;
  /** As `capabilities` of the metadata API lists them. */
  readonly features: readonly string[];
  /** Resolved metadata. */
  readonly properties: Properties;
  readonly port: Port;
  /** What it was opened from. */
  readonly resource?: ComponentResource;
  /** State stores whose metadata asks for encryption at rest. */
  readonly encryption?: StateEncryption;
}

export interface ComponentStore {
  readonly state: ReadonlyMap<string, Loaded<StateStore>>;
  readonly secretstores: ReadonlyMap<string, Loaded<SecretStore>>;
  readonly pubsub: ReadonlyMap<string, Loaded<PubSub>>;
  readonly bindings: ReadonlyMap<string, Loaded<Binding>>;
  readonly lock: ReadonlyMap<string, Loaded<LockStore>>;
  readonly configuration: ReadonlyMap<string, Loaded<ConfigurationStore>>;
  readonly middleware: ReadonlyMap<string, Loaded<HttpMiddleware>>;
  add(component: Loaded): void;
  remove(name: string): void;
  /** Load order. */
  all(): readonly Loaded[];
  /** Another number after each addition and removal: what was looked up under the same number is what is there. */
  readonly generation: number;
}

export function createComponentStore(): ComponentStore {
  const maps = { state: new Map(), secretstores: new Map(), pubsub: new Map(), bindings: new Map(), lock: new Map(), configuration: new Map(), middleware: new Map() } as Partial<Record<Block, Map<string, Loaded<never>>>>;
  const order: Loaded[] = [];
  let generation = 0;
  return {
    ...(maps as unknown as Pick<ComponentStore, 'state' | 'secretstores' | 'pubsub' | 'bindings' | 'lock' | 'configuration' | 'middleware'>),
    add: (component) => {
      maps[component.block]?.set(component.name, component as Loaded<never>);
      order.push(component);
      generation++;
    },
    remove: (name) => {
      const at = order.findIndex((c) => c.name === name);
      if (at < 0) return;
      const [gone] = order.splice(at, 1);
      maps[gone!.block]?.delete(name);
      generation++;
    },
    all: () => order,
    get generation() { return generation; },
  };
}
