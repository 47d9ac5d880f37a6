// secretstores.kubernetes against a server with the API of Kubernetes: kubeconfig, namespaces, several entries.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SecretStore } from '../../src/blocks/secrets/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startKubernetes } from '../harness/kubernetes.ts';
import { openComponent } from './open.ts';
import { describeSecretStore } from './secretstores.ts';

const type = 'secretstores.kubernetes';

/** A server for 127.0.0.1 and a kubeconfig that leads to it. */
async function cluster(secrets: Parameters<typeof startKubernetes>[0]['secrets']) {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-kubernetes-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'ca.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=kubernetes', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
  const server = await startKubernetes({ tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }, token: 'sesame', secrets });
  const kubeconfig = (user: string, trust = 'certificate-authority: ca.pem') => {
    const path = join(folder, `config-${Math.random()}`);
    writeFileSync(path, `apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- name: there\n  context: {cluster: none, user: me}\n- name: here\n  context: {cluster: local, user: me}\nclusters:\n- name: local\n  cluster: {server: "${server.url}", ${trust}}\nusers:\n- name: me\n  user: ${user}\n`);
    return path;
  };
  writeFileSync(join(folder, 'token'), 'sesame\n');
  const stop = async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  };
  return { server, kubeconfig, stop, ca: readFileSync(cert).toString('base64') };
}

// certificates are made with it
describeWithServer('openssl', 'suite', () => {
  describeSecretStore({
    type,
    start: async () => {
      const { kubeconfig, stop } = await cluster({ apps: { redis: { redis: 'ü<secret>' }, Empty: { Empty: '' } }, other: { hidden: { hidden: 'x' } } });
      return { metadata: { kubeconfigPath: kubeconfig('{token: sesame}'), defaultNamespace: 'apps' }, secrets: { redis: { redis: 'ü<secret>' }, Empty: { Empty: '' } }, stop };
    },
    operations: ['bulk'],
    quirks: { missing: /^secrets "not-there" not found$/ },
  });
});

describeWithServer('openssl', type, () => {
  let local: Awaited<ReturnType<typeof cluster>>;
  beforeAll(async () => {
    local = await cluster({ apps: { both: { user: 'u', password: 'p' }, none: null }, other: { there: { k: 'v' } } });
  });
  afterAll(() => local.stop());
  const open = async (metadata: Record<string, string>) => (await openComponent<SecretStore>(type, metadata)).port;

  test('a secret has all its entries, and one without data has none', async () => {
    const store = await open({ kubeconfigPath: local.kubeconfig('{tokenFile: token}'), defaultNamespace: 'apps' });
    expect(await store.get('both', {}, background)).toEqual({ user: 'u', password: 'p' });
    expect(await store.bulkGet({}, background)).toEqual({ both: { user: 'u', password: 'p' }, none: {} });
  });
  test('the namespace: of the request, of the environment, the default, else an error', async () => {
    const kubeconfigPath = local.kubeconfig('{token: sesame}', `certificate-authority-data: ${local.ca}`);
    const store = await open({ kubeconfigPath, defaultNamespace: 'apps' });
    expect(await store.get('there', { namespace: 'other' }, background)).toEqual({ k: 'v' });
    process.env.NAMESPACE = 'other';
    try {
      expect(await store.get('there', {}, background)).toEqual({ k: 'v' });
      expect(await store.get('both', { namespace: 'apps' }, background)).toEqual({ user: 'u', password: 'p' });
    } finally {
      delete process.env.NAMESPACE;
    }
    await expect((await open({ kubeconfigPath })).get('both', {}, background)).rejects.toThrow('namespace is missing on metadata and NAMESPACE env variable, and no default namespace is set');
  });
  test('what the server refuses is said in its words, names that are paths are not asked for', async () => {
    const store = await open({ kubeconfigPath: local.kubeconfig('{token: wrong}'), defaultNamespace: 'apps' });
    await expect(store.get('both', {}, background)).rejects.toThrow(/^Unauthorized$/);
    const seen = local.server.targets.length;
    for (const name of ['a/b', '..', '', 'a%2Fb']) await expect(store.get(name, {}, background)).rejects.toThrow(/resource name/);
    await expect(store.get('both', { namespace: '../x' }, background)).rejects.toThrow(/resource name/);
    expect(local.server.targets).toHaveLength(seen);
  });
  test('the certificate of the server is checked', async () => {
    await expect((await open({ kubeconfigPath: local.kubeconfig('{token: sesame}', 'x: y'), defaultNamespace: 'apps' })).get('both', {}, background)).rejects.toThrow(/certificate/);
    const careless = await open({ kubeconfigPath: local.kubeconfig('{token: sesame}', 'insecure-skip-tls-verify: true'), defaultNamespace: 'apps' });
    expect(await careless.get('both', {}, background)).toEqual({ user: 'u', password: 'p' });
  });
  test('what cannot be used is refused at load', async () => {
    await expect(open({ kubeconfigPath: '/none/config' })).rejects.toThrow(/cannot read the kubeconfig.*\/none\/config/);
    await expect(open({ kubeconfigPath: local.kubeconfig('{exec: {command: aws}}') })).rejects.toThrow('users with exec are not supported');
  });
});
