// Which encryption keys the metadata of a state store names, and what becomes of a store whose key is missing (Dapr: pkg/encryption).
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { ComponentResource } from '../resources/kinds.ts';
import type { ResolvedItem } from '../resources/values.ts';
import type { SecretStore } from '../secrets/port.ts';
import { createStateEncryption, type EncryptionKey, refusingEncryption, type StateEncryption } from './encryption.ts';

const prefix = 'failed to extract encryption key: failed to extract encryption key';

/**
 * `items` are the resource's metadata with their values, in the same order. undefined where neither key is asked for.
 *
 * A store that asks for encryption never keeps plain text. Throws where the key cannot be had, with one exception: daprd goes on where
 * the secret is there but lacks the entry, so such a store loads, but refuses every value.
 */
export async function stateEncryptionOf(resource: ComponentResource, items: readonly ResolvedItem[], secretStore: SecretStore | undefined, log: Logger): Promise<StateEncryption | undefined> {
  const find = (name: string) => keyOf(resource, items, name, secretStore);
  const primary = await find('primaryEncryptionKey');
  const secondary = await find('secondaryEncryptionKey');
  if (primary === undefined) {
    if (secondary === undefined) return undefined;
    throw new Error('secondaryEncryptionKey without primaryEncryptionKey: nothing would be encrypted');
  }
  for (const key of [primary, secondary]) if (key !== undefined && 'missing' in key) log.error(`State store ${resource.name}: ${key.missing}`);
  if ('missing' in primary) return refusingEncryption(resource.name, primary.missing);
  if (primary.name === '') log.warn(`State store ${resource.name}: its encryption key comes from no secret, so daprd cannot read what is written; use secretKeyRef`);
  const encryption = await createStateEncryption(resource.name, secondary === undefined || 'missing' in secondary ? [primary] : [primary, secondary]);
  log.info(`Automatic encryption enabled for state store ${resource.name}`);
  log.info('WARNING: one key is good for about 4 billion writes; change it before, and keep the old one as secondaryEncryptionKey');
  return encryption;
}

async function keyOf(resource: ComponentResource, items: readonly ResolvedItem[], name: string, secretStore: SecretStore | undefined): Promise<EncryptionKey | { missing: string } | undefined> {
  const at = resource.metadata.findLastIndex((item) => item.name.toLowerCase() === name.toLowerCase());
  const reference = resource.metadata[at]?.secretKeyRef;
  const hex = items[at]?.value;
  if (hex === undefined) return undefined;
  if (hex !== '') return { name: reference?.name ?? '', hex };
  // Nothing came of it: why?
  if (reference === undefined || reference.name === '') throw new Error(`${prefix}: ${name} is empty and its secretKeyRef names no secret`);
  if (secretStore === undefined) throw new Error(`${prefix}: ${name} names the secret ${reference.name}, but auth.secretStore names no loaded secret store`);
  let secret: Record<string, string> | null;
  try {
    secret = await secretStore.get(reference.name, { namespace: resource.namespace }, background);
  } catch (error) {
    throw new Error(`${prefix}: ${textOf(error)}`, { cause: error });
  }
  const entry = reference.key || reference.name;
  if (secret?.[entry] !== undefined) throw new Error(`${prefix}: encryption key cannot be empty`);
  return { missing: `the secret ${reference.name} has no entry ${entry} for ${name}` };
}
