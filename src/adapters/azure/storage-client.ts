// Calls to Azure Storage (blobs, queues) over its REST API, signed with the key of the account or under a token of Microsoft Entra ID.
import { fromBase64, toBase64 } from '../../core/base64.ts';
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { headerOf, type Host, type HttpPort, type RawHeaders } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { azureCloud } from './cloud.ts';
import { type EntraCredential, entraCredential } from './entra-credential.ts';
import type { EntraSettings } from './entra-settings.ts';
import { fieldOf } from './storage-xml.ts';

/** The oldest version of the API that knows all we ask for. */
export const storageVersion = '2021-08-06';

export interface StorageAccount {
  name: string;
  /** HMAC key made of the account's key, or who signs in. */
  access: { key: CryptoKey } | { entra: EntraCredential };
  origin: string;
  /** What stands before container or queue: '' at Azure, `/account` at an emulator. */
  base: string;
}

export interface StorageRequest {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Escaped, below the account. */
  path: string;
  query?: Readonly<Record<string, string>>;
  /** Besides the date, the version and the signature. */
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | undefined;
  signal?: AbortSignal | undefined;
}
export interface StorageAnswer {
  status: number;
  headers: RawHeaders;
  body: Uint8Array;
}
/** The service refused; `code` is its own word for why. */
export class StorageFailure extends AdapterError {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(status >= 500 ? 'unavailable' : 'internal', message);
    this.status = status;
    this.code = code;
  }
}

/** Throws where the key is no base64. */
export async function storageKey(text: string): Promise<CryptoKey> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = fromBase64(text);
  } catch (error) {
    throw new Error('invalid shared key credentials with error: decode account key: illegal base64 data', { cause: error });
  }
  return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
}

export const signed = async (key: CryptoKey, text: string): Promise<string> => toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8(text) as Uint8Array<ArrayBuffer>)));

const waits = [800, 2500, 8000];
const passing = new Set([408, 429, 500, 502, 503, 504]);
const scope = 'https://storage.azure.com/.default';

/** Sends a request, again where the service is busy or cannot be reached; rejects with StorageFailure for any status but 2xx. */
export async function storageCall(http: HttpPort, account: StorageAccount, request: StorageRequest, retries = 3): Promise<StorageAnswer> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once(http, account, request);
    } catch (error) {
      const worthIt = error instanceof StorageFailure ? passing.has(error.status) : !(error instanceof AdapterError && error.kind === 'invalid');
      if (!worthIt || attempt >= retries || request.signal?.aborted) throw error;
      await pause(waits[Math.min(attempt, waits.length - 1)] as number, request.signal ?? new AbortController().signal);
    }
  }
}

async function once(http: HttpPort, account: StorageAccount, { method, path, query = {}, headers: given = {}, body, signal }: StorageRequest): Promise<StorageAnswer> {
  const headers: Record<string, string> = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': storageVersion, ...given };
  const escaped = Object.entries(query).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const target = `${account.base}${path}${escaped.length === 0 ? '' : `?${escaped.join('&')}`}`;
  const { access } = account;
  headers.Authorization = 'entra' in access ? `Bearer ${(await access.entra.token(scope)).token}` : `SharedKey ${account.name}:${await signed(access.key, stringToSign(account, method, `${account.base}${path}`, query, headers, body))}`;
  const failed = (why: string, cause?: unknown) => new AdapterError('unavailable', `${method} ${account.origin}${account.base}${path}: ${why}`, cause);
  let answer: StorageAnswer;
  try {
    const response = await http.send({ method, origin: account.origin, path: target, headers: Object.entries(headers).flat(), body: body ?? (method === 'PUT' || method === 'POST' ? new Uint8Array(0) : null), ...(signal ? { signal } : {}) });
    answer = { status: response.status, headers: response.headers, body: (await readBody(response.body)).bytes };
  } catch (error) {
    throw failed(textOf(error), error);
  }
  if (answer.status >= 200 && answer.status <= 299) return answer;
  const xml = textOfBytes(answer.body);
  const code = headerOf(answer.headers, 'x-ms-error-code') ?? fieldOf(xml, 'Code') ?? '';
  const message = fieldOf(xml, 'Message')?.split('\n')[0] ?? '';
  throw new StorageFailure(answer.status, code, `${method} ${account.origin}${account.base}${path}: RESPONSE ${answer.status}${code === '' ? '' : `, ERROR CODE: ${code}`}${message === '' ? '' : `: ${message}`}`);
}

/** Source: Azure Storage's documentation, "Authorize with Shared Key". */
function stringToSign(account: StorageAccount, method: string, path: string, query: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>>, body: Uint8Array | undefined): string {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]));
  const length = body === undefined || body.length === 0 ? '' : String(body.length);
  const usual = ['content-encoding', 'content-language', 'content-length', 'content-md5', 'content-type', 'date', 'if-modified-since', 'if-match', 'if-none-match', 'if-unmodified-since', 'range'];
  const own = [...lower].filter(([name]) => name.startsWith('x-ms-')).sort(([a], [b]) => (a < b ? -1 : 1));
  const parameters = Object.entries(query).map(([name, value]) => [name.toLowerCase(), value] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  return [method, ...usual.map((name) => (name === 'content-length' ? length : (lower.get(name) ?? ''))), ...own.map(([name, value]) => `${name}:${value}`), `/${account.name}${path}`, ...parameters.map(([name, value]) => `${name}:${value}`)].join('\n');
}

/** Origin and base of an account: at the endpoint given, else in the cloud that `azureEnvironment` names. */
export function storageAddress(service: 'blob' | 'queue', account: string, endpoint: string, environment: string): Pick<StorageAccount, 'origin' | 'base'> {
  if (endpoint === '') return { origin: `https://${account}.${service}.${azureCloud(environment).storage}`, base: '' };
  if (!URL.canParse(endpoint)) throw new Error(`failed to parse custom endpoint ${JSON.stringify(endpoint)}`);
  const url = new URL(endpoint);
  return { origin: url.origin, base: `${url.pathname.replace(/\/+$/, '')}/${account}` };
}

/** The account as components name it: with its key, without one by Microsoft Entra ID. */
export async function storageAccount(service: 'blob' | 'queue', named: { accountName: string; accountKey: string; endpoint: string }, entra: EntraSettings, host: Host, log: Logger): Promise<StorageAccount> {
  const { accountName: name, accountKey, endpoint } = named;
  const address = storageAddress(service, name, endpoint, entra.azureEnvironment);
  if (accountKey !== '') return { name, access: { key: await storageKey(accountKey) }, ...address };
  const credential = await entraCredential(entra, host, log).catch((error) => {
    throw new Error(`invalid token credentials with error: ${textOf(error)}`, { cause: error });
  });
  return { name, access: { entra: credential }, ...address };
}
