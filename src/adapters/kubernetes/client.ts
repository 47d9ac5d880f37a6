// Calls to the API server of Kubernetes: from inside a pod with its service account, else as a kubeconfig says.
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import { type Host, headerOf, type HttpRequest, type HttpResponse } from '../../core/host.ts';
import { readTextFile } from '../../core/text-file.ts';
import { type ClusterAccess, readKubeconfig } from './kubeconfig.ts';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The token of a pod is replaced about every hour; client-go looks at the file every minute, too. */
const tokenLifeMs = 60_000;

export interface KubernetesClient {
  /** `path` begins with /api or /apis, already escaped. Resolves with the decoded answer, rejects with the server's message. */
  get(path: string, signal: AbortSignal | undefined): Promise<unknown>;
  /** A watch: the decoded lines of an answer that goes on until the server ends it or the signal aborts. Rejects like get. */
  watch(path: string, signal: AbortSignal): AsyncIterable<unknown>;
}

/** `kubeconfigPath`: '' means KUBECONFIG of the environment, else ~/.kube/config; looked at only outside of a pod. */
export async function connectKubernetes(host: Host, kubeconfigPath: string): Promise<KubernetesClient> {
  const access = (await inCluster(host)) ?? (await readKubeconfig(host, kubeconfigPath || host.env.KUBECONFIG || defaultKubeconfig(host)));
  let token: { text: string; until: number } | undefined;
  const bearer = async (): Promise<string> => {
    if (access.tokenFile === undefined) return access.token ?? '';
    if (token === undefined || token.until <= Date.now()) token = { text: (await readTextFile(host.files, access.tokenFile)).trim(), until: Date.now() + tokenLifeMs };
    return token.text;
  };
  const authorization = async (): Promise<string[]> => {
    const text = await bearer();
    if (text !== '') return ['Authorization', `Bearer ${text}`];
    return access.basic === undefined ? [] : ['Authorization', `Basic ${access.basic}`];
  };
  const requestFor = async (path: string, signal: AbortSignal | undefined): Promise<HttpRequest> => ({ method: 'GET', origin: access.origin, path: access.base + path, headers: ['Accept', 'application/json', ...(await authorization())], ...access.security, ...(signal ? { signal } : {}) });
  const unreached = (path: string, error: unknown) => new AdapterError('unavailable', `Get ${JSON.stringify(access.origin + access.base + path)}: ${textOf(error)}`, error);
  const refused = (status: number, text: string) => new AdapterError('internal', messageOf(text) ?? `the server answered with status ${status}`);
  return {
    watch: async function* (path, signal) {
      const response = await host.http.send(await requestFor(path, signal)).catch((error) => {
        throw unreached(path, error);
      });
      if (response.status !== 200) throw refused(response.status, textOfBytes((await readBody(response.body)).bytes));
      try {
        for await (const line of linesOf(response.body)) yield JSON.parse(line);
      } catch (error) {
        throw unreached(path, error);
      }
    },
    get: async (path, signal) => {
      const request = await requestFor(path, signal);
      let status: number;
      let text: string;
      try {
        const response = await host.http.send(request);
        status = response.status;
        text = textOfBytes((await readBody(response.body)).bytes);
        if (status === 200 && !/json/.test(headerOf(response.headers, 'content-type') ?? 'json')) throw new Error('the answer is no JSON');
      } catch (error) {
        throw unreached(path, error);
      }
      if (status !== 200) throw refused(status, text);
      return JSON.parse(text);
    },
  };
}

/** Lines that are not empty, as they come. */
async function* linesOf(body: HttpResponse['body']): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  const split = function* (text: string) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) if (line.trim() !== '') yield line;
  };
  if (body instanceof Uint8Array) yield* split(decoder.decode(body));
  else if (body !== null) {
    const reader = body.getReader();
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) yield* split(decoder.decode(part.value, { stream: true }));
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }
  if (rest.trim() !== '') yield rest;
}

/** Undefined outside of a pod. */
async function inCluster(host: Host): Promise<ClusterAccess | undefined> {
  const { KUBERNETES_SERVICE_HOST: address, KUBERNETES_SERVICE_PORT: port } = host.env;
  if (!address || !port || host.files === undefined) return undefined;
  const token = await readTextFile(host.files, `${account}/token`).catch(() => undefined);
  if (token === undefined) return undefined;
  const ca = await readTextFile(host.files, `${account}/ca.crt`).catch(() => undefined);
  return { origin: `https://${address.includes(':') ? `[${address}]` : address}:${port}`, base: '', tokenFile: `${account}/token`, security: ca === undefined ? {} : { tls: { ca } } };
}

function defaultKubeconfig({ env }: Host): string {
  if (!env.HOME) throw new Error('unable to load in-cluster configuration, and neither KUBECONFIG nor HOME is set');
  return `${env.HOME}/.kube/config`;
}

/** The message of a Status object. */
function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' && message !== '' ? message : undefined;
  } catch {
    return undefined;
  }
}
