// Secret objects behind the HTTP API of Kubernetes, as its reference documents it: enough for a client that reads. Not Kubernetes itself.
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

interface Options {
  tls: { cert: string; key: string };
  token: string;
  /** Namespace → secret → entries. */
  secrets: Record<string, Record<string, Record<string, Uint8Array | string> | null>>;
}

export async function startKubernetes({ tls, token, secrets }: Options) {
  const status = (code: number, reason: string, message: string) => [code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }] as const;
  const objectOf = (name: string, data: Record<string, Uint8Array | string> | null) => ({
    metadata: { name },
    ...(data === null ? {} : { data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value as string).toString('base64')])) }),
    type: 'Opaque',
  });
  const answer = (target: string, authorization: string | undefined) => {
    if (authorization !== `Bearer ${token}`) return status(401, 'Unauthorized', 'Unauthorized');
    const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/?]+)\/secrets(?:\/([^/?]+))?$/.exec(target) ?? [];
    if (namespace === undefined) return status(404, 'NotFound', 'the server could not find the requested resource');
    const inside = secrets[namespace] ?? {};
    if (name === undefined) return [200, { kind: 'SecretList', apiVersion: 'v1', items: Object.entries(inside).map(([key, data]) => objectOf(key, data)) }] as const;
    const data = Object.hasOwn(inside, name) ? inside[name] : undefined;
    return data === undefined ? status(404, 'NotFound', `secrets "${name}" not found`) : ([200, { kind: 'Secret', apiVersion: 'v1', ...objectOf(name, data) }] as const);
  };
  const targets: string[] = [];
  const server = createServer(tls, (incoming, outgoing) => {
    targets.push(incoming.url ?? '');
    const [code, json] = answer(incoming.url ?? '', incoming.headers.authorization);
    outgoing.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    targets,
    stop: async () => {
      await new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };
}
