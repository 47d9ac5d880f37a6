// Google Cloud Storage over its JSON API: the calls bindings.gcp.bucket makes.
import { fromBase64 } from '../../core/base64.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import { type GoogleTokens, googleTokens, type ServiceAccountKey } from './credentials.ts';

const scope = 'https://www.googleapis.com/auth/devstorage.full_control https://www.googleapis.com/auth/cloud-platform';
const google = 'https://storage.googleapis.com';

/** An object as the API describes it. */
export type StoredObject = Readonly<Record<string, unknown>> & { readonly name?: string };
export interface GoogleStorage {
  upload(bucket: string, name: string, data: Uint8Array, contentType: string, signal: AbortSignal | undefined): Promise<void>;
  download(bucket: string, name: string, signal: AbortSignal | undefined): Promise<Uint8Array>;
  remove(bucket: string, name: string, signal: AbortSignal | undefined): Promise<void>;
  page(bucket: string, query: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<{ items?: StoredObject[]; prefixes?: string[]; nextPageToken?: string }>;
  copy(from: { bucket: string; name: string }, to: { bucket: string; name: string }, signal: AbortSignal | undefined): Promise<void>;
}
export class GoogleFailure extends AdapterError {
  readonly status: number;
  constructor(status: number, message: string) {
    super(status >= 500 || status === 429 ? 'unavailable' : 'internal', message);
    this.status = status;
  }
}

/** STORAGE_EMULATOR_HOST of the environment takes the place of Google, without credentials. */
export async function googleStorage(host: Host, key: ServiceAccountKey | undefined): Promise<GoogleStorage> {
  const emulator = host.env.STORAGE_EMULATOR_HOST;
  const origin = emulator ? new URL(emulator.includes('://') ? emulator : `http://${emulator}`).origin : google;
  const authorization: GoogleTokens | undefined = emulator ? undefined : await googleTokens(host, key, scope);

  const call = async (method: string, path: string, query: Readonly<Record<string, string>>, signal: AbortSignal | undefined, body?: { data: Uint8Array; type: string }): Promise<Uint8Array> => {
    const headers = [...(authorization ? ['Authorization', await authorization()] : []), ...(body === undefined || body.type === '' ? [] : ['Content-Type', body.type])];
    const text = new URLSearchParams(query).toString();
    let status: number;
    let bytes: Uint8Array;
    try {
      const response = await host.http.send({ method, origin, path: text === '' ? path : `${path}?${text}`, headers, body: body?.data ?? (method === 'POST' ? new Uint8Array(0) : null), ...(signal ? { signal } : {}) });
      status = response.status;
      bytes = (await readBody(response.body)).bytes;
    } catch (error) {
      throw new AdapterError('unavailable', `${method} ${JSON.stringify(origin + path)}: ${textOf(error)}`, error);
    }
    if (status < 200 || status > 299) throw new GoogleFailure(status, `googleapi: Error ${status}: ${reasonOf(textOfBytes(bytes))}`);
    return bytes;
  };
  const segment = (text: string) => encodeURIComponent(text.toWellFormed());
  const pathOf = (bucket: string, name: string) => `/storage/v1/b/${segment(bucket)}/o/${segment(name)}`;
  const json = (bytes: Uint8Array): unknown => (bytes.length === 0 ? {} : JSON.parse(textOfBytes(bytes)));
  return {
    upload: async (bucket, name, data, type, signal) => void (await call('POST', `/upload/storage/v1/b/${segment(bucket)}/o`, { name, projection: 'full', uploadType: 'media' }, signal, { data, type })),
    download: (bucket, name, signal) => call('GET', pathOf(bucket, name), { alt: 'media' }, signal),
    remove: async (bucket, name, signal) => void (await call('DELETE', pathOf(bucket, name), {}, signal)),
    page: async (bucket, query, signal) => json(await call('GET', `/storage/v1/b/${segment(bucket)}/o`, { projection: 'full', ...query }, signal)) as { items?: StoredObject[] },
    copy: async (from, to, signal) => {
      // a large object is copied in several calls
      let rewriteToken = '';
      do {
        const answer = json(await call('POST', `${pathOf(from.bucket, from.name)}/rewriteTo/b/${segment(to.bucket)}/o/${segment(to.name)}`, rewriteToken === '' ? {} : { rewriteToken }, signal)) as { done?: boolean; rewriteToken?: string };
        rewriteToken = answer.done === false ? (answer.rewriteToken ?? '') : '';
      } while (rewriteToken !== '');
    },
  };
}

/** The message of the API's own error, else the beginning of what came. */
function reasonOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    if (error?.message) return error.message;
  } catch {
    // not every refusal is JSON
  }
  return text.slice(0, 200);
}

/** An address that lets whoever has it read the object for so many seconds. Source: Google's documentation, "V4 signing process with your own program". */
export async function signedUrl(key: ServiceAccountKey, bucket: string, name: string, seconds: number, now: Date): Promise<string> {
  const strict = (text: string) => encodeURIComponent(text.toWellFormed()).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const path = `/${bucket}/${name.split('/').map(strict).join('/')}`;
  const date = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const credentialScope = `${date.slice(0, 8)}/auto/storage/goog4_request`;
  const query = Object.entries({ 'X-Goog-Algorithm': 'GOOG4-RSA-SHA256', 'X-Goog-Credential': `${key.clientEmail}/${credentialScope}`, 'X-Goog-Date': date, 'X-Goog-Expires': String(seconds), 'X-Goog-SignedHeaders': 'host' }).map(([field, value]) => `${field}=${strict(value)}`).join('&');
  const hex = (bytes: ArrayBuffer) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const hash = await crypto.subtle.digest('SHA-256', utf8(['GET', path, query, 'host:storage.googleapis.com', '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')) as Uint8Array<ArrayBuffer>);
  const der = fromBase64(key.privateKey.replace(/-----[^-]+-----|\s/g, ''));
  const signer = await crypto.subtle.importKey('pkcs8', der, { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']);
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', signer, utf8(['GOOG4-RSA-SHA256', date, credentialScope, hex(hash)].join('\n')) as Uint8Array<ArrayBuffer>);
  return `${google}${path}?${query}&X-Goog-Signature=${hex(signature)}`;
}
