// A URL that carries its own signature: AWS's Signature Version 4 in the query (docs.aws.amazon.com, "Authenticating requests: using query parameters").
import type { AwsCredentials } from './settings.ts';

export interface UrlToSign {
  /** Without a scheme; the URL's is https. */
  host: string;
  /** Begins with `/`, already escaped. */
  path: string;
  query: Readonly<Record<string, string>>;
  /** AWS's name for it in signatures: `kafka-cluster`. */
  service: string;
  region: string;
  expiresSeconds: number;
  /** SHA-256 of the body in hex; default: that of no body. */
  payload?: string;
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (bytes: ArrayBuffer | Uint8Array): string => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
const emptyPayload = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const escaped = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

/** A GET. Good for `expiresSeconds` from `now`, which is milliseconds since 1970. */
export async function presignedUrl({ host, path, query, service, region, expiresSeconds, payload = emptyPayload }: UrlToSign, credentials: AwsCredentials, now: number): Promise<string> {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const all: Record<string, string> = {
    ...query,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(expiresSeconds),
    ...(credentials.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': credentials.sessionToken }),
    'X-Amz-SignedHeaders': 'host',
  };
  const canonicalQuery = Object.keys(all).sort().map((name) => `${escaped(name)}=${escaped(all[name] as string)}`).join('&');
  const request = ['GET', path, canonicalQuery, `host:${host}`, '', 'host', payload].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', time, scope, hex(await crypto.subtle.digest('SHA-256', utf8(request)))].join('\n');
  let key: Uint8Array<ArrayBuffer> = utf8(`AWS4${credentials.secretAccessKey}`);
  for (const part of scope.split('/')) key = await hmac(key, part);
  return `https://${host}${path}?${canonicalQuery}&X-Amz-Signature=${hex(await hmac(key, toSign))}`;
}

async function hmac(key: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, utf8(text)));
}
