// Calls to a Vault server: its address and certificates, and the four ways to a token (given, in a file, AppRole, Kubernetes).
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { parseFirst, textOfBytes, utf8 } from '../../core/go-json.ts';
import type { FilesPort, Host, HttpRequest } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { field, MetadataError } from '../../core/metadata.ts';
import { readTextFile } from '../../core/text-file.ts';
import { keysOfList } from './answers.ts';

const kubernetesToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export const vaultFields = {
  vaultAddr: field.text().default('').describe('Address of the server; default: https://127.0.0.1:8200'),
  vaultToken: field.text().default('').describe('Token to call with. One of vaultToken, vaultTokenMountPath, vaultRoleID or vaultKubernetesRole is needed'),
  vaultTokenMountPath: field.text().default('').describe('File with the token; read when the sidecar starts, and again when the server refuses the token (Vault Agent renews such files)'),
  vaultRoleID: field.text().default('').describe('Role id for the AppRole login. Not known to Dapr, as the following fields down to vaultNamespace'),
  vaultSecretID: field.text().default('').describe('Secret id for the AppRole login; empty where the role needs none'),
  vaultKubernetesRole: field.text().default('').describe('Role for the login with the service account of the pod'),
  vaultKubernetesTokenPath: field.text().default(kubernetesToken).describe('File with the service account token'),
  vaultAuthMountPath: field.text().default('').describe('Where the login method is mounted; default: approle or kubernetes'),
  vaultNamespace: field.text().default('').describe('Namespace of Vault Enterprise or OpenBao'),
  caPem: field.text().default('').describe('Certificates to trust as PEM text; goes before caPath and caCert'),
  caPath: field.text().default('').describe('Folder with certificates to trust; goes before caCert'),
  caCert: field.text().default('').describe('File with certificates to trust'),
  skipVerify: field.text().default('').describe('true: the certificate of the server is not checked'),
  tlsServerName: field.text().default('').describe('Name the certificate of the server must have'),
};
type Fields = { readonly [K in keyof typeof vaultFields]: string };

export interface VaultAnswer {
  status: number;
  text: string;
}
export interface Vault {
  /** `path` begins with /v1/. Rejects where no answer came. */
  get(path: string, signal: AbortSignal | undefined): Promise<VaultAnswer>;
  /** Names in a folder; rejects with Dapr's words where the answer is none. */
  list(path: string, signal: AbortSignal | undefined): Promise<string[]>;
  close(): Promise<void>;
}

/** No such secret, or no such version of it. */
export class SecretMissing extends AdapterError {
  constructor(name: string) {
    super('invalid', `getSecret ${name} failed secret key or version not exist`);
  }
}

export async function connectVault(metadata: Fields, { host, log }: { host: Host; log: Logger }): Promise<Vault> {
  const { origin, base } = addressOf(metadata.vaultAddr || 'https://127.0.0.1:8200');
  const trust = await trustOf(metadata, host, log);
  const namespace = metadata.vaultNamespace === '' ? [] : ['X-Vault-Namespace', metadata.vaultNamespace];
  const send = async (request: Pick<HttpRequest, 'method' | 'path' | 'headers' | 'body'>, signal: AbortSignal | undefined): Promise<VaultAnswer> => {
    const headers = [...request.headers, 'X-Vault-Request', 'true', ...namespace];
    // A standby node answers with a redirect to the active one.
    const response = await host.http.send({ ...request, headers, origin, path: base + request.path, followRedirects: true, ...trust, ...(signal ? { signal } : {}) });
    return { status: response.status, text: textOfBytes((await readBody(response.body)).bytes) };
  };
  const tokens = await tokensOf(metadata, host, send);
  const get = async (path: string, signal: AbortSignal | undefined): Promise<VaultAnswer> => {
    const attempt = async (token: string) => send({ method: 'GET', path, headers: ['X-Vault-Token', token] }, signal);
    const token = await tokens.current();
    const answer = await attempt(token);
    if (answer.status !== 403) return answer;
    // Refused: perhaps this token has run out and there is another by now.
    const next = await tokens.after(token).catch(() => token);
    return next === token ? answer : attempt(next);
  };
  return {
    get,
    list: async (path, signal) => {
      // Vault's LIST, in the form that every HTTP client and proxy lets through.
      const answer = await get(`${path}?list=true`, signal).catch((error) => {
        throw new AdapterError('unavailable', `couldn't get secret: ${textOf(error)}`, error);
      });
      if (answer.status !== 200) throw new AdapterError('internal', `list keys couldn't get successful response, status code: ${answer.status}, response ${answer.text}`);
      return keysOfList(answer.text);
    },
    close: async () => undefined,
  };
}

interface Tokens {
  current(): Promise<string>;
  /** One to try after `refused`; the same one where there is no other. */
  after(refused: string): Promise<string>;
}
type Send = (request: Pick<HttpRequest, 'method' | 'path' | 'headers' | 'body'>, signal: AbortSignal | undefined) => Promise<VaultAnswer>;

async function tokensOf(metadata: Fields, host: Host, send: Send): Promise<Tokens> {
  const { vaultToken, vaultTokenMountPath, vaultRoleID, vaultKubernetesRole } = metadata;
  const given = [vaultToken, vaultTokenMountPath, vaultRoleID, vaultKubernetesRole].filter((value) => value !== '').length;
  if (given === 0) throw new MetadataError('token mount path and token not set');
  if (vaultToken !== '' && vaultTokenMountPath !== '') throw new MetadataError('token mount path and token both set');
  if (given > 1) throw new MetadataError('only one of vaultToken, vaultTokenMountPath, vaultRoleID and vaultKubernetesRole can be set');
  if (vaultToken !== '') return { current: async () => vaultToken, after: async () => vaultToken };
  if (vaultTokenMountPath !== '') {
    const read = async () => (await readTextFile(host.files, vaultTokenMountPath)).trim();
    let token = await read().catch((error) => {
      throw new Error(`couldn't read vault token from mount path ${vaultTokenMountPath} err: ${textOf(error)}`, { cause: error });
    });
    return { current: async () => token, after: async () => (token = await read()) };
  }
  const mount = (metadata.vaultAuthMountPath || (vaultRoleID !== '' ? 'approle' : 'kubernetes')).replace(/^\/+|\/+$/g, '');
  return loggedIn(async () => {
    // The pod's token is renewed by Kubernetes: read anew for each login.
    const body = vaultRoleID !== '' ? { role_id: vaultRoleID, ...(metadata.vaultSecretID === '' ? {} : { secret_id: metadata.vaultSecretID }) } : { role: vaultKubernetesRole, jwt: (await readTextFile(host.files, metadata.vaultKubernetesTokenPath)).trim() };
    return send({ method: 'POST', path: `/v1/auth/${mount}/login`, headers: ['Content-Type', 'application/json'], body: utf8(JSON.stringify(body)) }, undefined);
  });
}

/** Logs in when a token is first needed, and again when nine tenths of its time are over or it is refused. */
function loggedIn(login: () => Promise<VaultAnswer>): Tokens {
  let token: { text: string; until: number } | undefined;
  let running: Promise<string> | undefined;
  const renew = async (): Promise<string> => {
    const { status, text } = await login();
    if (status !== 200) throw new AdapterError('internal', `vault login failed, status code ${status}, body ${text}`);
    const { auth } = parseFirst(text) as { auth?: { client_token?: string; lease_duration?: number } | null };
    if (typeof auth?.client_token !== 'string') throw new AdapterError('internal', 'vault login failed: no token in the answer');
    token = { text: auth.client_token, until: auth.lease_duration ? Date.now() + auth.lease_duration * 900 : Number.POSITIVE_INFINITY };
    return token.text;
  };
  const once = () => (running ??= renew().finally(() => { running = undefined; }));
  return {
    current: async () => (token !== undefined && token.until > Date.now() ? token.text : once()),
    after: async (refused) => (token !== undefined && token.text !== refused ? token.text : once()),
  };
}

function addressOf(address: string): { origin: string; base: string } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new MetadataError(`vaultAddr must be an http or https URL: ${address}`);
  return { origin: url.origin, base: url.pathname.replace(/\/+$/, '') };
}

async function trustOf({ caPem, caPath, caCert, skipVerify, tlsServerName }: Fields, host: Host, log: Logger): Promise<Pick<HttpRequest, 'tls' | 'insecure'>> {
  if (skipVerify === 'true') {
    log.info("hashicorp vault: you are using 'skipVerify' to skip server config verify which is unsafe!");
    return { insecure: true };
  }
  const ca = caPem !== '' ? caPem : caPath !== '' ? await certificatesIn(host.files, caPath) : caCert !== '' ? await readCertificate(host.files, caCert) : undefined;
  if (ca !== undefined && !/-----BEGIN CERTIFICATE-----/.test(ca)) throw unusable("couldn't read PEM");
  if (ca === undefined && tlsServerName === '') return {};
  return { tls: { ...(ca === undefined ? {} : { ca }), ...(tlsServerName === '' ? {} : { servername: tlsServerName }) } };
}
const unusable = (why: string) => new Error(`couldn't create client using config: ${why}`);

async function readCertificate(files: FilesPort | undefined, path: string): Promise<string> {
  return readTextFile(files, path).catch((error) => {
    throw unusable(`couldn't read CA file from disk: ${textOf(error)}`);
  });
}

/** All of them, those of folders inside too. */
async function certificatesIn(files: FilesPort | undefined, folder: string): Promise<string> {
  const pems: string[] = [];
  for (const { name, kind } of (await files?.list(folder)) ?? []) {
    if (kind === 'directory') pems.push(await certificatesIn(files, `${folder}/${name}`));
    else pems.push(await readCertificate(files, `${folder}/${name}`));
  }
  return pems.join('\n');
}
