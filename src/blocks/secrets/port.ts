// What a secret store must provide (Dapr: components-contrib/secretstores/secret_store.go).
import type { CallContext } from '../../core/context.ts';
import type { Closable, Definition } from '../components/definition.ts';

export type SecretFeature = 'MULTIPLE_KEY_VALUES_PER_SECRET';

export interface SecretStore extends Closable {
  /** The entries of one secret, usually one named like the secret. null: nothing at all (the API answers 204). */
  get(name: string, metadata: Record<string, string>, context: CallContext): Promise<Record<string, string> | null>;
  /** Every secret the store shows, each a map as above. */
  bulkGet(metadata: Record<string, string>, context: CallContext): Promise<Record<string, Record<string, string>> | null>;
}

export const defineSecretStore = <M, const F extends SecretFeature = never>(definition: Omit<Definition<SecretStore, M, F>, 'block'>): Definition<SecretStore, M, F> => ({ block: 'secretstores', ...definition });
