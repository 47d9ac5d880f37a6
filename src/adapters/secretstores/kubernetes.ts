// secretstores.kubernetes: Secret objects of a Kubernetes namespace.
import { fromBase64 } from '../../core/base64.ts';
import { AdapterError } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { field, schema } from '../../core/metadata.ts';
import { defineSecretStore } from '../../blocks/secrets/port.ts';
import { connectKubernetes } from '../kubernetes/client.ts';

interface SecretObject {
  readonly metadata?: { readonly name?: string };
  readonly data?: Readonly<Record<string, string>> | null;
}

export default defineSecretStore({
  type: 'secretstores.kubernetes',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: [],
  summary: 'Secret objects of a Kubernetes namespace, read with the service account of the pod or a kubeconfig.',
  metadata: schema({
    defaultNamespace: field.text().default('').describe('Namespace of the secrets where neither the request nor NAMESPACE of the environment names one'),
    kubeconfigPath: field.text().default('').describe('Kubeconfig to use outside of a pod; default: KUBECONFIG of the environment, then ~/.kube/config'),
  }),
  open: async ({ defaultNamespace, kubeconfigPath }, { host }) => {
    const client = await connectKubernetes(host, kubeconfigPath);
    const secretsOf = (metadata: Record<string, string>): string => {
      const namespace = metadata.namespace || host.env.NAMESPACE || defaultNamespace;
      if (namespace === '') throw new AdapterError('invalid', 'namespace is missing on metadata and NAMESPACE env variable, and no default namespace is set');
      return `/api/v1/namespaces/${segment(namespace)}/secrets`;
    };
    return {
      get: async (name, metadata, { signal }) => entriesOf((await client.get(`${secretsOf(metadata)}/${segment(name)}`, signal)) as SecretObject),
      bulkGet: async (metadata, { signal }) => {
        const { items } = (await client.get(secretsOf(metadata), signal)) as { items?: readonly SecretObject[] | null };
        return Object.fromEntries((items ?? []).map((secret) => [secret.metadata?.name ?? '', entriesOf(secret)]));
      },
      close: async () => undefined,
    };
  },
});

const entriesOf = ({ data }: SecretObject): Record<string, string> => Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, textOfBytes(fromBase64(value))]));

/** One name in a path; those that would be another path are refused, as client-go does. */
function segment(name: string): string {
  const wrong = name === '' ? 'resource name may not be empty' : name === '.' || name === '..' ? `invalid resource name ${JSON.stringify(name)}: [may not be '${name}']` : /[/%]/.test(name) ? `invalid resource name ${JSON.stringify(name)}: [may not contain '${name.includes('/') ? '/' : '%'}']` : undefined;
  if (wrong !== undefined) throw new AdapterError('invalid', wrong);
  return encodeURIComponent(name);
}
