// Access tokens of Google Cloud: from a service account's key, or from what the environment offers (Application Default Credentials).
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import { readTextFile } from '../../core/text-file.ts';

export interface ServiceAccountKey {
  clientEmail: string;
  /** PKCS #8 as PEM. */
  privateKey: string;
  privateKeyId: string;
  /** '' for Google's own. */
  tokenUri: string;
}
/** Value of the Authorization header; asked for anew shortly before it ends. Rejects with AdapterError. */
export type GoogleTokens = () => Promise<string>;

interface Answer {
  access_token?: string;
  expires_in?: number;
  error?: string;
  error_description?: string;
}
type Ask = () => Promise<Answer>;

const googleTokenUri = 'https://oauth2.googleapis.com/token';
/** A token is replaced when so little of its time is left. */
const marginMs = 225_000;
const noCredentials = 'google: could not find default credentials. See https://cloud.google.com/docs/authentication/external/set-up-adc for more information';

/** Without a key: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server, in this order. Rejects where there is none of them. */
export async function googleTokens(host: Host, key: ServiceAccountKey | undefined, scope: string): Promise<GoogleTokens> {
  const ask = key === undefined ? await defaultCredentials(host, scope) : signedBy(host, key, scope);
  let current: { header: string; until: number } | undefined;
  let running: Promise<string> | undefined;
  const renew = async (): Promise<string> => {
    const { access_token, expires_in = 3600, error, error_description } = await ask().catch((failure) => {
      throw new AdapterError('unavailable', `oauth2: cannot fetch token: ${textOf(failure)}`, failure);
    });
    if (access_token === undefined) throw new AdapterError('invalid', `oauth2: cannot fetch token: ${[error, error_description].filter(Boolean).join(': ') || 'server response missing access_token'}`);
    current = { header: `Bearer ${access_token}`, until: Date.now() + Math.max(expires_in * 1000 - marginMs, expires_in * 500) };
    return current.header;
  };
  return async () => {
    if (current !== undefined && Date.now() < current.until) return current.header;
    running ??= renew().finally(() => {
      running = undefined;
    });
    return running;
  };
}

async function fetchJson(host: Host, url: string, request: { method: 'GET' | 'POST'; headers: string[]; form?: Record<string, string> }): Promise<Answer> {
  const { origin, pathname, search } = new URL(url);
  const { method, form } = request;
  const headers = [...request.headers, ...(form ? ['Content-Type', 'application/x-www-form-urlencoded'] : [])];
  const { status, body } = await host.http.send({ method, origin, path: pathname + search, headers, body: form ? utf8(new URLSearchParams(form).toString()) : null, signal: AbortSignal.timeout(30_000) });
  const text = textOfBytes((await readBody(body)).bytes);
  // A refusal of this caller is JSON as well; anything else is trouble of the service.
  if (status >= 500) throw new Error(`${status} ${text}`);
  try {
    return JSON.parse(text) as Answer;
  } catch (error) {
    throw new Error(`${status} ${text.slice(0, 200)}`, { cause: error });
  }
}

function signedBy(host: Host, key: ServiceAccountKey, scope: string): Ask {
  const tokenUri = key.tokenUri || googleTokenUri;
  return async () => {
    const { importPKCS8, SignJWT } = await import('jose');
    const assertion = await new SignJWT({ scope })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(key.privateKeyId === '' ? {} : { kid: key.privateKeyId }) })
      .setIssuer(key.clientEmail).setAudience(tokenUri).setIssuedAt().setExpirationTime('1h')
      .sign(await importPKCS8(key.privateKey, 'RS256'));
    return fetchJson(host, tokenUri, { method: 'POST', headers: [], form: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion } });
  };
}

async function defaultCredentials(host: Host, scope: string): Promise<Ask> {
  const { env, files } = host;
  const path = env.GOOGLE_APPLICATION_CREDENTIALS;
  if (path) return fromFile(host, path, await readTextFile(files, path), scope);
  const gcloud = `${env.CLOUDSDK_CONFIG || `${env.HOME ?? ''}/.config/gcloud`}/application_default_credentials.json`;
  const found = files === undefined ? undefined : await readTextFile(files, gcloud).catch(() => undefined);
  if (found !== undefined) return fromFile(host, gcloud, found, scope);
  const metadataServer = `http://${env.GCE_METADATA_HOST || 'metadata.google.internal'}`;
  const ask = () => fetchJson(host, `${metadataServer}/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(scope)}`, { method: 'GET', headers: ['Metadata-Flavor', 'Google'] });
  // It answers at once where there is one.
  const there = await host.http.send({ method: 'GET', origin: metadataServer, path: '/', headers: ['Metadata-Flavor', 'Google'], signal: AbortSignal.timeout(1000) }).catch(() => undefined);
  await readBody(there?.body ?? null).catch(() => undefined);
  if (there === undefined) throw new Error(noCredentials);
  return ask;
}

function fromFile(host: Host, path: string, text: string, scope: string): Ask {
  const file = JSON.parse(text) as Record<string, string | undefined>;
  switch (file.type) {
    case 'service_account':
      return signedBy(host, { clientEmail: file.client_email ?? '', privateKey: file.private_key ?? '', privateKeyId: file.private_key_id ?? '', tokenUri: file.token_uri ?? '' }, scope);
    case 'authorized_user':
      return () => fetchJson(host, googleTokenUri, { method: 'POST', headers: [], form: { grant_type: 'refresh_token', client_id: file.client_id ?? '', client_secret: file.client_secret ?? '', refresh_token: file.refresh_token ?? '' } });
    default:
      throw new Error(`google: credentials of the type ${JSON.stringify(file.type ?? '')} in ${path} are not supported; service_account and authorized_user are`);
  }
}
