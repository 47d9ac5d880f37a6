// The configuration building block: reading items and hearing of changes (Dapr: pkg/api/http/http.go, pkg/api/grpc/grpc.go).
import { background, type CallContext } from '../../core/context.ts';
import { fail, textOf } from '../../core/errors.ts';
import type { ComponentStore } from '../components/store.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import type { ConfigurationHandler, ConfigurationItems, ConfigurationRequest, ConfigurationStore } from './port.ts';

/** A store that exists, by its name. */
export interface NamedConfigurationStore {
  readonly name: string;
  get(request: ConfigurationRequest, context: CallContext): Promise<ConfigurationItems>;
  /** The subscription outlives the call; it ends by unsubscribe, or with the component. Returns its id. */
  subscribe(request: ConfigurationRequest, handler: ConfigurationHandler): Promise<string>;
  /** Rejects with the row `configurationUnsubscribe`, which HTTP spells in a form of its own. */
  unsubscribe(id: string): Promise<void>;
}
export interface ConfigurationBlock {
  /** Throws where there is no such store, or none at all. */
  store(name: string): NamedConfigurationStore;
}

export function createConfigurationBlock({ components, resiliency }: { components: ComponentStore; resiliency?: Resiliency }): ConfigurationBlock {
  const named = (store: string, port: ConfigurationStore): NamedConfigurationStore => {
    const policy = resiliency?.outbound(store, 'Configuration');
    // as Go prints a slice
    const listed = (keys: readonly string[]) => `[${keys.join(' ')}]`;
    return {
      name: store,
      get: async (request, context) => {
        try {
          return await (policy ? policy.run(context, (limited) => port.get(request, limited)) : port.get(request, context));
        } catch (error) {
          throw fail('configurationGet', { keys: listed(request.keys), store, error: textOf(error) }, { cause: error });
        }
      },
      subscribe: async (request, handler) => {
        try {
          // one that comes too late would deliver to nobody who knows its id
          const forget = (id: string) => void port.unsubscribe(id).catch(() => undefined);
          return await (policy ? policy.run(background, () => port.subscribe(request, handler), { dispose: forget }) : port.subscribe(request, handler));
        } catch (error) {
          throw fail('configurationSubscribe', { keys: listed(request.keys), store, error: textOf(error) }, { cause: error });
        }
      },
      unsubscribe: async (id) => {
        try {
          await (policy ? policy.run(background, () => port.unsubscribe(id)) : port.unsubscribe(id));
        } catch (error) {
          throw fail('configurationUnsubscribe', { id, error: textOf(error) }, { cause: error });
        }
      },
    };
  };
  return {
    store: (name) => {
      if (components.configuration.size === 0) throw fail('configurationStoreNotConfigured');
      const loaded = components.configuration.get(name);
      if (loaded === undefined) throw fail('configurationStoreNotFound', { store: name });
      return named(name, loaded.port);
    },
  };
}
