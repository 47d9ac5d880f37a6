// The secrets building block: reading secrets under the Configuration's scopes (Dapr: pkg/api/universal/secrets.go).
import type { CallContext } from '../../core/context.ts';
import { fail, textOf } from '../../core/errors.ts';
import { goQuote } from '../../core/go-quote.ts';
import type { ComponentStore } from '../components/store.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import type { SecretScope } from '../resources/kinds.ts';

export interface SecretsBlock {
  /** null: the store has no data at all (204). */
  get(store: string, key: string, metadata: Record<string, string>, context: CallContext): Promise<Record<string, string> | null>;
  bulkGet(store: string, metadata: Record<string, string>, context: CallContext): Promise<Record<string, Record<string, string>> | null>;
}

/** A non-empty allow list decides alone, then the deny list, then the default. Names compare exactly. */
function allowedBy(scope: SecretScope | undefined, key: string): boolean {
  if (scope === undefined) return true;
  if (scope.allowedSecrets.length > 0) return scope.allowedSecrets.includes(key);
  return !scope.deniedSecrets.includes(key) && scope.defaultAccess === 'allow';
}

export function createSecretsBlock(options: { components: ComponentStore; scopes: readonly SecretScope[]; resiliency?: Resiliency }): SecretsBlock {
  const { components, resiliency } = options;
  const scopes = new Map(options.scopes.map((s) => [s.storeName, s]));
  const port = (store: string) => {
    const loaded = components.secretstores.get(store);
    if (loaded) return loaded.port;
    throw components.secretstores.size === 0 ? fail('secretStoresNotConfigured') : fail('secretStoreNotFound', { store });
  };
  return {
    get: async (store, key, metadata, context) => {
      const secrets = port(store);
      if (!allowedBy(scopes.get(store), key)) throw fail('secretDenied', { key: goQuote(key), store: goQuote(store) });
      try {
        const policy = resiliency?.outbound(store, 'Secretstore');
        return await (policy ? policy.run(context, (limited) => secrets.get(key, metadata, limited)) : secrets.get(key, metadata, context));
      } catch (error) {
        throw fail('secretGet', { key, store, error: textOf(error) }, { cause: error });
      }
    },
    bulkGet: async (store, metadata, context) => {
      const secrets = port(store);
      const scope = scopes.get(store);
      try {
        const policy = resiliency?.outbound(store, 'Secretstore');
        const all = await (policy ? policy.run(context, (limited) => secrets.bulkGet(metadata, limited)) : secrets.bulkGet(metadata, context));
        return all === null ? null : Object.fromEntries(Object.entries(all).filter(([key]) => allowedBy(scope, key)));
      } catch (error) {
        throw fail('secretBulkGet', { store, error: textOf(error) }, { cause: error });
      }
    },
  };
}
