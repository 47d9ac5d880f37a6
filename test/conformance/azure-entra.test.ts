// Microsoft Entra ID: every way to a token against a contract server of the endpoints, and what the Azure components do with it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { entraCredential } from '../../src/adapters/azure/entra-credential.ts';
import { entraAliases, entraFields } from '../../src/adapters/azure/entra-settings.ts';
import type { Binding, BindingEvent } from '../../src/blocks/bindings/port.ts';
import { background } from '../../src/core/context.ts';
import type { Host } from '../../src/core/host.ts';
import { schema } from '../../src/core/metadata.ts';
import { azuriteAccount, startAzurite } from '../harness/azurite.ts';
import { describeWithServer } from '../harness/describe.ts';
import { rerouted, startEntra } from '../harness/entra.ts';
import { openComponent, testHost, testLog } from './open.ts';

const settings = schema(entraFields, entraAliases);
const [tenantId, clientId, secret] = ['tenant-1', 'client-1', 'a secret & more'];
const storage = 'https://storage.azure.com/.default';

describeWithServer('openssl', 'Microsoft Entra ID', () => {
  let entra: Awaited<ReturnType<typeof startEntra>>;
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-entra-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  beforeAll(async () => {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
    entra = await startEntra([{ tenantId, clientId, secret, certificate: readFileSync(cert, 'utf8'), federated: 'token of the cluster' }]);
  });
  beforeEach(() => {
    entra.requests.length = 0;
    Object.assign(entra.state, { lifetimeSeconds: 3600, away: false, identity: 'there' });
  });
  afterAll(async () => {
    await entra.stop();
    rmSync(folder, { recursive: true });
  });
  const hostOf = (env: Record<string, string> = {}): Host => rerouted(testHost(), { 'https://login.microsoftonline.com': entra.origin, 'http://169.254.169.254': entra.origin }, env);
  const credential = (metadata: Record<string, string>, env: Record<string, string> = {}) => entraCredential(settings.parse(metadata), hostOf(env), testLog);
  const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as { aud: string; sub: string };
  const asked = () => entra.requests.map(({ path }) => path);
  const application = { azureTenantId: tenantId, azureClientId: clientId };

  test('client secret, under all its names; one request for many calls', async () => {
    const spellings: Record<string, string>[] = [{ ...application, azureClientSecret: secret }, { spnTenantId: tenantId, spnClientId: clientId, spnClientSecret: secret }, { tenantid: tenantId, clientID: clientId, CLIENTSECRET: secret, entraIDAuthMethods: 'Creds' }];
    for (const metadata of spellings) {
      entra.requests.length = 0;
      const entraId = await credential(metadata);
      expect(entra.requests).toEqual([]);
      const tokens = await Promise.all(Array.from({ length: 5 }, () => entraId.token(storage)));
      expect([new Set(tokens).size, claims((tokens[0] as { token: string }).token)]).toEqual([1, expect.objectContaining({ aud: 'https://storage.azure.com', sub: clientId })]);
      expect(asked()).toEqual([`/${tenantId}/oauth2/v2.0/token`]);
    }
  });
  test('a token is renewed before it ends; while the service is away the old one serves', async () => {
    entra.state.lifetimeSeconds = 60;
    const entraId = await credential({ ...application, azureClientSecret: secret });
    const first = await entraId.token(storage);
    const second = await entraId.token(storage);
    expect([entra.requests.length, first.token === second.token]).toEqual([2, false]);
    entra.state.away = true;
    expect(await entraId.token(storage)).toEqual(second);
    await expect(entraId.token('https://other/.default')).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining('503: temporarily_unavailable') });
  });
  test('what the service says of a wrong secret is told, the secret is not', async () => {
    const entraId = await credential({ ...application, azureClientSecret: 'wrong secret' });
    const error = (await entraId.token(storage).catch((failure) => failure)) as Error;
    expect(error.message).toBe('failed to acquire a token from Microsoft Entra ID: client secret: https://login.microsoftonline.com answered 401: invalid_client: AADSTS7000215: Invalid client secret provided.');
  });
  test('certificate: PEM in the metadata or a file, PKCS #8 or #1', async () => {
    const pem = readFileSync(cert, 'utf8') + readFileSync(key, 'utf8');
    const both = join(folder, 'both.pem');
    writeFileSync(both, pem);
    const pkcs1 = execFileSync('openssl', ['rsa', '-in', key, '-traditional'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    expect(pkcs1).toContain('BEGIN RSA PRIVATE KEY');
    const ways: Record<string, string>[] = [{ azureCertificate: pem }, { azureCertificateFile: both }, { spnCertificate: pkcs1 + readFileSync(cert, 'utf8') }];
    for (const metadata of ways) {
      const { token } = await (await credential({ ...application, ...metadata, azureAuthMethods: 'clientCertificate' })).token(storage);
      expect(claims(token).sub).toBe(clientId);
    }
    await expect(credential({ ...application, azureCertificateFile: '/none.pem', azureAuthMethods: 'cert' })).rejects.toThrow('failed to read the certificate file (/none.pem)');
  });
  test.each([
    ['as OpenSSL 3 makes it', ['-passout', 'pass:word']],
    ['as daprd can read it', ['-passout', 'pass:wörd', '-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
    ['without a password', ['-passout', 'pass:']],
  ] as [string, string[]][])('certificate: PKCS #12 %s, with a chain', async (_, flags) => {
    const [pfx, other] = [join(folder, 'both.pfx'), join(folder, 'other.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', join(folder, 'other.key'), '-out', other, '-days', '2', '-subj', '/CN=authority'], { stdio: 'ignore' });
    execFileSync('openssl', ['pkcs12', '-export', '-in', cert, '-inkey', key, '-certfile', other, '-out', pfx, ...flags]);
    const azureCertificatePassword = (flags[1] as string).replace('pass:', '');
    const ways: Record<string, string>[] = [{ azureCertificateFile: pfx }, { azureCertificate: readFileSync(pfx).toString('base64') }];
    for (const way of ways) {
      const { token } = await (await credential({ ...application, ...way, azureCertificatePassword, azureAuthMethods: 'cert' })).token(storage);
      expect(claims(token).sub).toBe(clientId);
    }
    await expect(credential({ ...application, azureCertificateFile: pfx, azureCertificatePassword: 'wrong', azureAuthMethods: 'cert' })).rejects.toThrow(/^no suitable token provider for Azure AD; errors: failed to decode pkcs12 certificate while creating spt: certificate is not valid/);
  });
  test('workload identity: the file of the pod, read anew for each token', async () => {
    const file = join(folder, 'federated');
    writeFileSync(file, 'token of the cluster\n');
    const entraId = await credential({ azureAuthMethods: 'wi' }, { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, AZURE_FEDERATED_TOKEN_FILE: file, AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/' });
    expect(claims((await entraId.token(storage)).token).sub).toBe(clientId);
    writeFileSync(file, 'another');
    await expect(entraId.token('https://other/.default')).rejects.toThrow('workload identity');
  });
  test.each([
    ['a virtual machine', {}, '/metadata/identity/oauth2/token'],
    ['App Service, Container Apps', { IDENTITY_ENDPOINT: 'ORIGIN/appservice', IDENTITY_HEADER: 'app-secret' }, '/appservice'],
    ['Cloud Shell', { MSI_ENDPOINT: 'ORIGIN/shell' }, '/shell'],
  ] as [string, Record<string, string>, string][])('managed identity of %s', async (_, env, path) => {
    const given = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace('ORIGIN', entra.origin)]));
    const entraId = await credential({ azureAuthMethods: 'mi' }, given);
    const { token, expires } = await entraId.token(storage);
    expect([claims(token), expires > Date.now() + 3_000_000, asked()]).toEqual([expect.objectContaining({ aud: 'https://storage.azure.com', sub: 'machine' }), true, [path]]);
  });
  test('managed identity of Azure Arc: the key stands in a file of its agent', async () => {
    const host = hostOf({ IDENTITY_ENDPOINT: `${entra.origin}/arc`, IMDS_ENDPOINT: 'http://localhost' });
    const files = { ...(host.files as NonNullable<Host['files']>), read: async (path: string) => Buffer.from(path === '/var/opt/azcmagent/tokens/1.key' ? 'arc-key' : '') };
    const entraId = await entraCredential(settings.parse({ azureAuthMethods: 'mi' }), { ...host, files }, testLog);
    expect(claims((await entraId.token(storage)).token).sub).toBe('machine');
    expect(asked()).toEqual(['/arc', '/arc']);
  });
  test('a user-assigned identity; a machine without one', async () => {
    expect(claims((await (await credential({ azureClientId: 'mine', azureAuthMethods: 'managedidentity' })).token(storage)).token).sub).toBe('mine');
    entra.state.identity = 'none';
    await expect((await credential({})).token(storage)).rejects.toThrow('managed identity: no managed identity: http://169.254.169.254 answered 400: invalid_request: Identity not found');
  });
  test('without a choice they are tried in their order; an application that is refused ends the search', async () => {
    await (await credential({ ...application, azureClientSecret: secret, azureCertificateFile: '/none' })).token(storage);
    await expect((await credential({ ...application, azureClientSecret: 'wrong' })).token(storage)).rejects.toThrow('client secret');
    expect(new Set(asked())).toEqual(new Set([`/${tenantId}/oauth2/v2.0/token`]));
    const nowhere = rerouted(testHost(), { 'http://169.254.169.254': 'http://127.0.0.1:1' });
    await expect((await entraCredential(settings.parse({}), nowhere, testLog)).token(storage)).rejects.toThrow('managed identity: no managed identity');
  });
  test.each([
    ['none', "all Azure auth methods have been disabled with auth method 'None'"],
    ['creds, magic', 'invalid Azure auth method: magic'],
    ['spiffe', 'SPIFFE workload identity is not supported'],
    ['cli', 'the Azure CLI is not supported'],
    ['wi', 'AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are not all set'],
    ['creds', 'no suitable token provider for Azure AD'],
  ])('azureAuthMethods %s is refused', async (azureAuthMethods, words) => {
    await expect(credential({ azureAuthMethods })).rejects.toThrow(words);
  });

  test('blobs and queues are read and written under the token, which Azurite checks', async () => {
    const entraId = { ...application, azureClientSecret: secret };
    const { accountName } = azuriteAccount;
    const blobs = await startAzurite('blob', { cert, key });
    try {
      const metadata = { accountName, containerName: 'entra', endpoint: blobs.endpoint, ...entraId };
      const { port } = await openComponent<Binding>('bindings.azure.blobstorage', metadata, { host: hostOf(), initTimeoutMs: 30_000 });
      const invoke = (operation: string, data = '', wanted: Record<string, string> = {}) => (port.invoke as NonNullable<Binding['invoke']>)({ operation, data: Buffer.from(data), metadata: { blobName: 'b', ...wanted } }, background);
      await invoke('create', '"kept"');
      expect(new TextDecoder().decode((await invoke('get'))?.data)).toBe('kept');
      await expect(invoke('presign', '', { signTTL: '1h' })).rejects.toThrow('ensure the binding is configured with an account key or connection string');
      await expect(openComponent('bindings.azure.blobstorage', { ...metadata, azureClientSecret: 'wrong' }, { host: hostOf(), initTimeoutMs: 30_000 })).rejects.toThrow(/failed to create Azure Storage container entra: .*AADSTS7000215/);
    } finally {
      await blobs.stop();
    }
    const queues = await startAzurite('queue', { cert, key });
    try {
      const { port } = await openComponent<Binding>('bindings.azure.storagequeues', { accountName, queueName: 'entra', queueEndpoint: queues.endpoint, pollingInterval: '100ms', ...entraId }, { host: hostOf(), initTimeoutMs: 30_000 });
      await port.invoke?.({ operation: 'create', data: Buffer.from('hello'), metadata: {} }, background);
      const events: BindingEvent[] = [];
      const reading = await port.read?.(async (event) => void events.push(event) as undefined);
      await expect.poll(() => events.map(({ data }) => new TextDecoder().decode(data))).toEqual(['hello']);
      await reading?.close();
    } finally {
      await queues.stop();
    }
  }, 60_000);
});
