// Tokens for brokers that want OAuth2: fetched with the client's secret or with what its key signed, kept until they run out (components-contrib/common/component/kafka/sasl_oauthbearer*.go).
import { readBody } from '../../core/body.ts';
import { fromBase64 } from '../../core/base64.ts';
import type { HttpPort, HttpResponse } from '../../core/host.ts';
import type { KafkaAuth } from './settings.ts';

export type OidcAuth = Extract<KafkaAuth, { endpoint: string }>;
const timeoutMs = 30_000;
/** A token that runs out within this time is not used any more. */
const marginMs = 10_000;

/** Gives the token of the moment. */
export function tokenSource(auth: OidcAuth, http: HttpPort, tls: { ca?: string; verify: boolean }): () => Promise<string> {
  let token = '', until = 0;
  let fetching: Promise<string> | undefined;
  const send = (form: Record<string, string>, authorization?: string): Promise<HttpResponse> => {
    const url = new URL(auth.endpoint);
    const headers = ['Content-Type', 'application/x-www-form-urlencoded', 'Accept', 'application/json', ...(authorization === undefined ? [] : ['Authorization', authorization])];
    return http.send({ method: 'POST', origin: url.origin, path: `${url.pathname}${url.search}`, headers, body: new TextEncoder().encode(new URLSearchParams(form).toString()), signal: AbortSignal.timeout(timeoutMs), insecure: !tls.verify, ...(tls.ca === undefined ? {} : { tls: { ca: tls.ca } }) });
  };
  const ask = async (): Promise<string> => {
    const scope: Record<string, string> = auth.scopes.length > 0 ? { scope: auth.scopes.join(' ') } : {};
    let response: HttpResponse;
    if (auth.type === 'oidc') {
      const basic = `Basic ${btoa(`${encodeURIComponent(auth.client)}:${encodeURIComponent(auth.secret)}`)}`;
      response = await send({ grant_type: 'client_credentials', ...scope }, basic);
      // Some servers want the client in the form: the library of Go finds out in the same way.
      if (response.status >= 400) response = await send({ grant_type: 'client_credentials', ...scope, client_id: auth.client, client_secret: auth.secret });
    } else {
      const assertion = await signAssertion(auth);
      response = await send({ grant_type: 'client_credentials', client_id: auth.client, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion, ...(auth.audience ? { audience: auth.audience } : {}), ...(auth.resource ? { resource: auth.resource } : {}), ...scope });
    }
    const text = new TextDecoder().decode((await readBody(response.body)).bytes);
    if (response.status < 200 || response.status > 299) throw new Error(`token endpoint returned ${response.status}`);
    const { access_token, expires_in } = JSON.parse(text) as { access_token?: unknown; expires_in?: unknown };
    if (typeof access_token !== 'string' || access_token === '') throw new Error('no access_token in response');
    token = access_token;
    until = expires_in === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(expires_in) * 1000;
    return token;
  };
  return () => {
    if (token !== '' && Date.now() < until - marginMs) return Promise.resolve(token);
    fetching ??= ask()
      .catch((error) => { throw new Error(`error generating oauth2 token: ${error instanceof Error ? error.message : String(error)}`, { cause: error }); })
      .finally(() => { fetching = undefined; });
    return fetching;
  };
}

const base64url = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

/** A JWT of one minute, signed RS256, that says who the client is. */
export async function signAssertion(auth: Extract<OidcAuth, { type: 'oidc_private_key_jwt' }>, now = Math.floor(Date.now() / 1000)): Promise<string> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('pkcs8', pkcs8(auth.key), algorithm, false, ['sign']).catch((error) => { throw new Error('client_jwt requires RSA private key', { cause: error }); });
  const part = (value: object) => base64url(new TextEncoder().encode(JSON.stringify(value)));
  const header = { alg: 'RS256', ...(auth.kid ? { kid: auth.kid } : {}), typ: 'JWT' };
  const claims = { aud: auth.audience || auth.endpoint, exp: now + 60, iat: now, iss: auth.client, jti: crypto.randomUUID(), nbf: now, sub: auth.client };
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${base64url(new Uint8Array(await crypto.subtle.sign(algorithm, key, new TextEncoder().encode(signed))))}`;
}

/** The bytes of a key in PEM; the old form `RSA PRIVATE KEY` gets the wrapping that says what it is. */
function pkcs8(text: string): Uint8Array<ArrayBuffer> {
  const parts = /-----BEGIN ((?:RSA )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(text);
  if (parts === null) throw new Error('unable to parse private key');
  const inner = fromBase64((parts[2] as string).replace(/\s+/g, ''));
  if (parts[1] === 'PRIVATE KEY') return inner;
  const sequence = (tag: number, ...contents: Uint8Array[]): Uint8Array<ArrayBuffer> => {
    const length = contents.reduce((sum, content) => sum + content.length, 0);
    const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
    const all = new Uint8Array(head.length + length);
    all.set(head);
    let at = head.length;
    for (const content of contents) {
      all.set(content, at);
      at += content.length;
    }
    return all;
  };
  const rsa = Uint8Array.of(0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0);
  return sequence(0x30, Uint8Array.of(2, 1, 0), rsa, sequence(4, inner));
}
