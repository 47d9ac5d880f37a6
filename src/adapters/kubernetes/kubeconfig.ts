// A kubeconfig file: which cluster its current context means, and how to prove who asks.
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host, HttpRequest } from '../../core/host.ts';
import { readTextFile } from '../../core/text-file.ts';

export interface ClusterAccess {
  /** Scheme, host and port of the API server. */
  origin: string;
  /** What stands before /api, usually nothing. */
  base: string;
  token?: string;
  /** Goes before `token`. */
  tokenFile?: string;
  /** Credentials for basic authentication, encoded. */
  basic?: string;
  security: Pick<HttpRequest, 'tls' | 'insecure'>;
}

type Named<K extends string> = { readonly [key in K]?: Readonly<Record<string, unknown>> | null } & { readonly name?: string };
interface Kubeconfig {
  'current-context'?: string;
  contexts?: Named<'context'>[];
  clusters?: Named<'cluster'>[];
  users?: Named<'user'>[];
}

export async function readKubeconfig(host: Host, path: string): Promise<ClusterAccess> {
  const { parse } = await import('yaml');
  let config: Kubeconfig | null;
  try {
    config = parse(await readTextFile(host.files, path)) as Kubeconfig | null;
  } catch (error) {
    throw new Error(`cannot read the kubeconfig: ${textOf(error)}`, { cause: error });
  }
  const current = config?.['current-context'] ?? '';
  const context = entry(config?.contexts, 'context', current);
  if (context === undefined) throw new Error(`invalid configuration: context was not found for specified context: ${current}`);
  const cluster = entry(config?.clusters, 'cluster', textIn(context, 'cluster')) ?? {};
  const user = entry(config?.users, 'user', textIn(context, 'user')) ?? {};
  const server = textIn(cluster, 'server');
  if (!URL.canParse(server) || !/^https?:/.test(server)) throw new Error(`invalid configuration: no server of the context ${current}`);
  for (const method of ['exec', 'auth-provider']) if (user[method]) throw new Error(`kubeconfig: users with ${method} are not supported, use a token or a client certificate`);

  // Relative paths start in the folder of the kubeconfig.
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
  const located = (file: string) => (file === '' || file.startsWith('/') ? file : folder + file);
  const pem = async (from: Readonly<Record<string, unknown>>, name: string): Promise<string | undefined> => {
    const data = textIn(from, `${name}-data`);
    if (data !== '') return textOfBytes(fromBase64(data.replace(/\s/g, '')));
    const file = located(textIn(from, name));
    return file === '' ? undefined : readTextFile(host.files, file);
  };
  const [ca, cert, key] = [await pem(cluster, 'certificate-authority'), await pem(user, 'client-certificate'), await pem(user, 'client-key')];
  const servername = textIn(cluster, 'tls-server-name');
  const tls = { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}), ...(servername ? { servername } : {}) };
  const url = new URL(server);
  const tokenFile = located(textIn(user, 'tokenFile'));
  const username = textIn(user, 'username');
  return {
    origin: url.origin,
    base: url.pathname.replace(/\/+$/, ''),
    ...(textIn(user, 'token') ? { token: textIn(user, 'token') } : {}),
    ...(tokenFile ? { tokenFile } : {}),
    ...(username ? { basic: toBase64(utf8(`${username}:${textIn(user, 'password')}`)) } : {}),
    security: { ...(cluster['insecure-skip-tls-verify'] === true ? { insecure: true } : {}), ...(Object.keys(tls).length > 0 ? { tls } : {}) },
  };
}

function entry<K extends string>(list: readonly Named<K>[] | undefined, kind: K, name: string): Readonly<Record<string, unknown>> | undefined {
  return list?.find((item) => item?.name === name)?.[kind] ?? undefined;
}
const textIn = (from: Readonly<Record<string, unknown>>, name: string): string => {
  const value = from[name];
  return value === undefined || value === null ? '' : String(value);
};
