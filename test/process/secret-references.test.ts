// Components whose metadata are secrets of other components: each waits for its store, on every host.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startVault } from '../harness/vault.ts';
import { capabilities, type HostName, startHost } from '../runtimes/hosts.ts';

const component = (name: string, type: string, metadata: object[], secretStore?: string) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata }, ...(secretStore === undefined ? {} : { auth: { secretStore } }) });

describe('secretKeyRef through secretstores.hashicorp.vault', () => {
  let vault: Awaited<ReturnType<typeof startVault>>;
  beforeAll(async () => {
    vault = await startVault();
    vault.put('secret', 'dapr/settings', { prefix: 'FROM_VAULT_', other: 'x' });
  });
  afterAll(() => vault.stop());

  // The environment gives Vault's token, Vault gives the prefix of another store: three in a row, named in the wrong order.
  test.each(Object.keys(capabilities) as HostName[])('%s', async (name) => {
    const host = await startHost(name, {
      env: { VAULT_TOKEN_FOR_TEST: 'root', FROM_VAULT_COLOUR: 'blue' },
      resources: [
        component('a-last', 'secretstores.local.env', [{ name: 'prefix', secretKeyRef: { name: 'settings', key: 'prefix' } }], 'b-vault'),
        component('b-vault', 'secretstores.hashicorp.vault', [{ name: 'vaultAddr', value: vault.address }, { name: 'vaultToken', secretKeyRef: { name: 'VAULT_TOKEN_FOR_TEST', key: 'VAULT_TOKEN_FOR_TEST' } }], 'c-environment'),
        component('c-environment', 'secretstores.local.env', []),
      ].join('\n---\n'),
    });
    try {
      const secret = async (store: string, key: string) => (await fetch(`${host.http}/v1.0/secrets/${store}/${key}`)).json();
      expect(await secret('a-last', 'COLOUR')).toEqual({ COLOUR: 'blue' });
      expect(await secret('b-vault', 'settings')).toEqual({ other: 'x', prefix: 'FROM_VAULT_' });
      expect(await secret('b-vault', 'bulk')).toEqual({ settings: { other: 'x', prefix: 'FROM_VAULT_' } });
    } finally {
      await host.stop();
    }
  });
});
