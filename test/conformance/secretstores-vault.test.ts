// secretstores.hashicorp.vault against a server with Vault's API: engines, ways to a token, certificates, names that could do harm.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SecretStore } from '../../src/blocks/secrets/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startVault } from '../harness/vault.ts';
import { openComponent } from './open.ts';
import { describeSecretStore, type SecretStoreRow } from './secretstores.ts';

const type = 'secretstores.hashicorp.vault';
const missing = /getSecret not-there failed secret key or version not exist/;
const row = (title: string, metadata: Record<string, string>, fill: (vault: Awaited<ReturnType<typeof startVault>>) => void, secrets: Record<string, Record<string, string>>): SecretStoreRow => ({
  type,
  title: `${type}, ${title}`,
  start: async () => {
    const vault = await startVault();
    fill(vault);
    return { metadata: { vaultAddr: vault.address, vaultToken: 'root', ...metadata }, secrets, stop: () => vault.stop() };
  },
  operations: metadata.vaultValueType === 'text' ? ['bulk'] : ['bulk', 'multipleValues'],
  quirks: { missing },
});

describeSecretStore(
  row('engine version 2', {}, (vault) => {
    vault.put('secret', 'dapr/Database', { user: 'u', password: 'old' });
    vault.put('secret', 'dapr/Database', { user: 'u', password: 'ü<&>' });
    vault.put('secret', 'dapr/folder/deep/one', { one: '1' });
    vault.put('secret', 'dapr/with blank+plus', { x: 'y' });
    vault.put('secret', 'elsewhere', { not: 'ours' });
  }, { Database: { user: 'u', password: 'ü<&>' }, 'folder/deep/one': { one: '1' }, 'with blank+plus': { x: 'y' } }),
);
describeSecretStore(
  row('as text', { vaultValueType: 'text', vaultKVPrefix: '/apps/one/' }, (vault) => {
    vault.put('secret', 'apps/one/Both', { b: 1, a: ['<'] });
    vault.put('secret', 'apps/one/plain', { value: 'v' });
  }, { Both: { Both: '{"a":["\\u003c"],"b":1}' }, plain: { plain: '{"value":"v"}' } }),
);
describeSecretStore(row('engine version 1', { enginePath: 'kv', engineVersion: '1', vaultKVUsePrefix: 'false' }, (vault) => {
  vault.put('kv', 'Top', { a: '1' });
  vault.put('kv', 'folder/in', { b: '2' });
}, { Top: { a: '1' }, 'folder/in': { b: '2' } }));

describe(type, () => {
  let vault: Awaited<ReturnType<typeof startVault>>;
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-vault-'));
  beforeAll(async () => {
    vault = await startVault();
    vault.put('secret', 'dapr/one', { v: 'first' });
    vault.put('secret', 'dapr/one', { v: 'second' });
    vault.put('secret', 'dapr/gone', { v: 'x' });
    vault.put('secret', 'dapr/gone', undefined);
    vault.put('secret', 'dapr/odd', { number: 1.5, big: 12345678901234567890n.toString(), flag: true, none: null, deep: { b: 1, a: '<' } });
    vault.put('secret', 'outside', { v: 'not for this app' });
  });
  afterAll(async () => {
    await vault.stop();
    rmSync(folder, { recursive: true });
  });
  const open = async (metadata: Record<string, string> = { vaultToken: 'root' }) => (await openComponent<SecretStore>(type, { vaultAddr: vault.address, ...metadata })).port;

  test('a version is asked for by number', async () => {
    const store = await open();
    expect(await store.get('one', { version_id: '1' }, background)).toEqual({ v: 'first' });
    expect(await store.get('one', {}, background)).toEqual({ v: 'second' });
    await expect(store.get('one', { version_id: '3' }, background)).rejects.toThrow('getSecret one failed secret key or version not exist');
    await expect(store.get('gone', {}, background)).rejects.toThrow('getSecret gone failed');
  });
  test('bulk leaves out what has no such version', async () => {
    const store = await open();
    expect(Object.keys((await store.bulkGet({}, background)) ?? {})).toEqual(['odd', 'one']);
    expect(await store.bulkGet({ version_id: '1' }, background)).toMatchObject({ one: { v: 'first' }, gone: { v: 'x' } });
  });
  test('values that are no texts are their JSON', async () => {
    expect(await (await open()).get('odd', {}, background)).toEqual({ number: '1.5', big: '12345678901234567890', flag: 'true', none: '', deep: '{"a":"\\u003c","b":1}' });
  });
  test('no name leads out of the folder', async () => {
    const store = await open();
    for (const name of ['../outside', 'x/../../outside', './one', '..']) await expect(store.get(name, {}, background)).rejects.toThrow('secret key or version not exist');
    await expect(store.get('one?version=1', {}, background)).rejects.toThrow('secret key or version not exist');
    await expect(store.get('one#', {}, background)).rejects.toThrow('secret key or version not exist');
    expect(vault.requests.at(-1)?.target).toBe('/v1/secret/data/dapr/one%23?version=0');
  });

  test('a token in a file is read again when it is refused', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, ' old \n');
    vault.tokens.add('old');
    const store = await open({ vaultTokenMountPath: file });
    expect(await store.get('one', {}, background)).toEqual({ v: 'second' });
    vault.tokens.delete('old');
    await expect(store.get('one', {}, background)).rejects.toThrow('status code 403, body {"errors":["permission denied"]}');
    writeFileSync(file, 'new');
    vault.tokens.add('new');
    expect(await store.get('one', {}, background)).toEqual({ v: 'second' });
  });
  test('AppRole logs in once, and again when its token is over', async () => {
    vault.roles.approle.set('role', 'secret');
    const store = await open({ vaultRoleID: 'role', vaultSecretID: 'secret', vaultNamespace: 'team' });
    const before = vault.requests.length;
    await Promise.all([store.get('one', {}, background), store.get('odd', {}, background)]);
    const seen = vault.requests.slice(before);
    expect(seen.map(({ method, target }) => `${method} ${target.split('?')[0]}`).sort()).toEqual(['GET /v1/secret/data/dapr/odd', 'GET /v1/secret/data/dapr/one', 'POST /v1/auth/approle/login']);
    expect(seen.map(({ namespace }) => namespace)).toEqual(['team', 'team', 'team']);
    vault.tokens.delete(vault.requests.at(-1)?.token as string);
    expect(await store.get('one', {}, background)).toEqual({ v: 'second' });
    await expect((await open({ vaultRoleID: 'role', vaultSecretID: 'wrong' })).get('one', {}, background)).rejects.toThrow('vault login failed, status code 400, body {"errors":["invalid role or secret ID"]}');
  });
  test('Kubernetes logs in with the token of the pod as it is now', async () => {
    const file = join(folder, 'jwt');
    writeFileSync(file, 'pod-token\n');
    vault.roles.kubernetes.set('app', 'pod-token');
    const store = await open({ vaultKubernetesRole: 'app', vaultKubernetesTokenPath: file, vaultAuthMountPath: 'kubernetes' });
    expect(await store.get('one', {}, background)).toEqual({ v: 'second' });
  });

  test.each([
    [{}, 'token mount path and token not set'],
    [{ vaultToken: 'a', vaultTokenMountPath: 'b' }, 'token mount path and token both set'],
    [{ vaultToken: 'a', vaultRoleID: 'b' }, 'only one of vaultToken'],
    [{ vaultTokenMountPath: '/none/token' }, "couldn't read vault token from mount path /none/token err:"],
    [{ vaultToken: 'a', vaultValueType: 'list' }, 'vault init error, invalid value type list, accepted values are map or text'],
    [{ vaultToken: 'a', engineVersion: '3' }, 'invalid engineVersion 3'],
    [{ vaultToken: 'a', vaultAddr: 'vault:8200' }, 'vaultAddr must be an http or https URL'],
    [{ vaultToken: 'a', caCert: '/none.pem' }, "couldn't create client using config: couldn't read CA file from disk"],
    [{ vaultToken: 'a', caPem: 'none' }, "couldn't create client using config: couldn't read PEM"],
  ] as [Record<string, string>, string][])('%j is refused', async (metadata, message) => {
    await expect(open(metadata)).rejects.toThrow(message);
  });
  test('a server that is not there', async () => {
    await expect((await open({ vaultAddr: 'http://127.0.0.1:1', vaultToken: 'a' })).get('one', {}, background)).rejects.toThrow("couldn't get secret: dial tcp 127.0.0.1:1: connect: connection refused");
  });
});

describeWithServer('openssl', `${type} over TLS`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-vault-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('the certificate is checked against what is trusted, under the name that is given', async () => {
    const make = (name: string, ...more: string[]) => {
      const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', `/CN=${name}`, ...more], { stdio: 'ignore' });
      return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8'), path: cert };
    };
    const own = make('vault.test', '-addext', 'subjectAltName=DNS:vault.test');
    const secure = await startVault({ tls: own });
    secure.put('secret', 'dapr/one', { v: 'over TLS' });
    const ask = async (metadata: Record<string, string>) => (await openComponent<SecretStore>(type, { vaultAddr: secure.address, vaultToken: 'root', ...metadata })).port.get('one', {}, background);
    await expect(ask({})).rejects.toThrow(/couldn't get secret: tls: failed to verify certificate/);
    await expect(ask({ caCert: own.path })).rejects.toThrow(/couldn't get secret: .*127\.0\.0\.1/); // another name
    expect(await ask({ caCert: own.path, tlsServerName: 'vault.test' })).toEqual({ v: 'over TLS' });
    expect(await ask({ caPem: own.cert, caPath: '/none', tlsServerName: 'vault.test' })).toEqual({ v: 'over TLS' });
    const trusted = mkdtempSync(join(folder, 'ca-'));
    writeFileSync(join(trusted, 'a.pem'), make('other').cert);
    writeFileSync(join(trusted, 'b.pem'), own.cert);
    expect(await ask({ caPath: trusted, caCert: '/none', tlsServerName: 'vault.test' })).toEqual({ v: 'over TLS' });
    expect(await ask({ skipVerify: 'true' })).toEqual({ v: 'over TLS' });
    await expect(ask({ skipVerify: 'True' })).rejects.toThrow(/certificate/); // only the exact word, as in Dapr
    await secure.stop();
  });
});
