// What a configuration store must provide (Dapr: components-contrib/configuration/store.go).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';

export interface ConfigurationItem {
  value: string;
  /** '' where the store knows none. */
  version: string;
  metadata: Record<string, string>;
}
/** By key. A key that is gone may come as an item of nothing but empty fields. */
export type ConfigurationItems = ReadonlyMap<string, ConfigurationItem>;

export interface ConfigurationRequest {
  /** Empty: all keys. */
  keys: readonly string[];
  metadata: Record<string, string>;
}
export interface ConfigurationEvent {
  /** Of the subscription. */
  id: string;
  items: ConfigurationItems;
}
/** Called one event after the other per key; a rejection is logged and the event is gone. */
export type ConfigurationHandler = (event: ConfigurationEvent) => Promise<void>;

/** All methods throw AdapterError. */
export interface ConfigurationStore extends Closable {
  /** What there is of the keys; those without an item are left out. */
  get(request: ConfigurationRequest, context: CallContext): Promise<ConfigurationItems>;
  /** From when it resolves, changes come to the handler until unsubscribe or close. Returns the id of the subscription. */
  subscribe(request: ConfigurationRequest, handler: ConfigurationHandler): Promise<string>;
  /** Rejects where there is no such subscription. */
  unsubscribe(id: string): Promise<void>;
  ping?(context: CallContext): Promise<void>;
}

export const defineConfigurationStore = <M, P extends ConfigurationStore>(definition: Omit<Definition<P, M, never>, 'block' | 'features'>): Definition<P, M, never> => ({ block: 'configuration', features: [], ...definition });
