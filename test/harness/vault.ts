// A key/value server with Vault's HTTP API as its reference documents it. Not Vault: no registry has one that installs as a package.
import { randomUUID } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface VaultOptions {
  /** Certificate and key as PEM: the server then speaks TLS. */
  tls?: { cert: string; key: string };
  /** Lifetime of the tokens that a login gives, default 3600 s. */
  leaseSeconds?: number;
}
type Values = Record<string, unknown>;
interface Mount {
  version: 1 | 2;
  /** Path → its versions, first to last; undefined where a version was deleted. */
  secrets: Map<string, (Values | undefined)[]>;
}

/** Mounts `secret` (version 2) and `kv` (version 1) are there; the token `root` may do everything. */
export async function startVault({ tls, leaseSeconds = 3600 }: VaultOptions = {}) {
  const mounts: Record<string, Mount> = { secret: { version: 2, secrets: new Map() }, kv: { version: 1, secrets: new Map() } };
  const tokens = new Set(['root']);
  const roles = { approle: new Map<string, string>(), kubernetes: new Map<string, string>() };
  const requests: { method: string; target: string; token: string | undefined; namespace: string | undefined }[] = [];

  const login = (method: 'approle' | 'kubernetes', body: string): [number, unknown] => {
    const given = JSON.parse(body) as Record<string, string>;
    const [name, proof] = method === 'approle' ? [given.role_id, given.secret_id] : [given.role, given.jwt];
    if (roles[method].get(name ?? '') !== proof) return method === 'approle' ? [400, { errors: ['invalid role or secret ID'] }] : [403, { errors: ['permission denied'] }];
    const client_token = `hvs.${randomUUID()}`;
    tokens.add(client_token);
    return [200, { auth: { client_token, accessor: randomUUID(), policies: ['default'], lease_duration: leaseSeconds, renewable: true } }];
  };
  const list = (mount: Mount, folder: string): [number, unknown] => {
    const keys = new Set<string>();
    for (const path of mount.secrets.keys()) {
      if (!path.startsWith(folder)) continue;
      const [first = '', ...rest] = path.slice(folder.length).split('/');
      keys.add(rest.length > 0 ? `${first}/` : first);
    }
    return keys.size === 0 ? [404, { errors: [] }] : [200, { data: { keys: [...keys].sort() } }];
  };
  const read = (mount: Mount, path: string, version: number): [number, unknown] => {
    const versions = mount.secrets.get(path);
    const at = version === 0 ? (versions?.length ?? 0) : version;
    if (versions === undefined || at > versions.length) return [404, { errors: [] }];
    const values = versions[at - 1];
    if (mount.version === 1) return [200, { data: values }];
    const metadata = { created_time: '2026-01-01T00:00:00Z', custom_metadata: null, deletion_time: values === undefined ? '2026-01-02T00:00:00Z' : '', destroyed: false, version: at };
    return [values === undefined ? 404 : 200, { data: { data: values ?? null, metadata } }];
  };
  const answer = (method: string, target: string, token: string | undefined, body: string): [number, unknown] => {
    const url = new URL(target, 'http://vault');
    const [, name, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
    if (name === 'auth') return method === 'POST' && rest.at(-1) === 'login' ? login(rest[0] === 'kubernetes' ? 'kubernetes' : 'approle', body) : [405, { errors: ['unsupported operation'] }];
    if (token === undefined || !tokens.has(token)) return [403, { errors: ['permission denied'] }];
    const mount = Object.hasOwn(mounts, name ?? '') ? mounts[name as string] : undefined;
    if (mount === undefined || method !== 'GET') return [404, { errors: [`no handler for route "${url.pathname.slice(4)}"`] }];
    const path = (mount.version === 2 ? rest.slice(1) : rest).join('/');
    if (url.searchParams.get('list') === 'true') return mount.version === 1 || rest[0] === 'metadata' ? list(mount, path) : [405, { errors: ['unsupported operation'] }];
    return mount.version === 2 && rest[0] !== 'data' ? [404, { errors: [] }] : read(mount, path, Number(url.searchParams.get('version') ?? 0));
  };

  const listener: RequestListener = async (incoming, outgoing) => {
    let body = '';
    for await (const part of incoming) body += String(part);
    const { method = '', url: target = '' } = incoming;
    const header = (name: string) => incoming.headers[name] as string | undefined;
    requests.push({ method, target, token: header('x-vault-token'), namespace: header('x-vault-namespace') });
    const [status, json] = header('x-vault-request') === 'true' ? answer(method, target, header('x-vault-token'), body) : [412, { errors: ['missing X-Vault-Request'] }];
    outgoing.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(`${JSON.stringify(json)}\n`);
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    address: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    tokens,
    roles,
    /** Writes a secret, a new version of it where the mount has versions; undefined deletes the newest. */
    put: (mount: 'secret' | 'kv', path: string, values: Values | undefined) => {
      const { version, secrets } = mounts[mount] as Mount;
      secrets.set(path, version === 1 ? [values] : [...(secrets.get(path) ?? []), values]);
    },
    stop: async () => {
      await new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };
}
