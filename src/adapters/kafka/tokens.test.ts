import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import type { HttpPort, HttpRequest } from '../../core/host.ts';
import { type OidcAuth, signAssertion, tokenSource } from './tokens.ts';

const client = { endpoint: 'https://idp.example/token?x=1', client: 'me', scopes: ['a', 'b'], extensions: {} };
const secret: OidcAuth = { type: 'oidc', secret: 's&', ...client };
/** An endpoint that keeps what it was asked. */
function endpoint(answer: (request: HttpRequest) => { status: number; body: object }) {
  const requests: { target: string; authorization: string | undefined; form: Record<string, string> }[] = [];
  const http: HttpPort = {
    send: async (request) => {
      const at = request.headers.indexOf('Authorization');
      requests.push({ target: `${request.origin}${request.path}`, authorization: at < 0 ? undefined : request.headers[at + 1], form: Object.fromEntries(new URLSearchParams(new TextDecoder().decode(request.body as Uint8Array))) });
      const { status, body } = answer(request);
      return { status, headers: [], body: new TextEncoder().encode(JSON.stringify(body)) };
    },
  };
  return { http, requests };
}

test('asks once for all and keeps the token while it is good', async () => {
  const { http, requests } = endpoint(() => ({ status: 200, body: { access_token: 't', expires_in: 3600 } }));
  const token = tokenSource(secret, http, { verify: true });
  expect(await Promise.all([token(), token()])).toEqual(['t', 't']);
  expect(await token()).toBe('t');
  expect(requests).toEqual([{ target: 'https://idp.example/token?x=1', authorization: `Basic ${btoa('me:s%26')}`, form: { grant_type: 'client_credentials', scope: 'a b' } }]);
});
test('a token that runs out soon is not used again', async () => {
  let n = 0;
  const token = tokenSource(secret, endpoint(() => ({ status: 200, body: { access_token: `t${++n}`, expires_in: 5 } })).http, { verify: true });
  expect([await token(), await token()]).toEqual(['t1', 't2']);
});
test('a server that wants the client in the form gets it there', async () => {
  const { http, requests } = endpoint((request) => (request.headers.includes('Authorization') ? { status: 401, body: {} } : { status: 200, body: { access_token: 't' } }));
  expect(await tokenSource(secret, http, { verify: true })()).toBe('t');
  expect(requests[1]).toMatchObject({ authorization: undefined, form: { client_id: 'me', client_secret: 's&' } });
});
test('an endpoint that refuses, or gives no token, is an error, and asked again the next time', async () => {
  let status = 500;
  const { http, requests } = endpoint(() => ({ status, body: {} }));
  const token = tokenSource(secret, http, { verify: true });
  await expect(token()).rejects.toThrow('error generating oauth2 token: token endpoint returned 500');
  status = 200;
  await expect(token()).rejects.toThrow('no access_token in response');
  expect(requests).toHaveLength(3);
});

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
test.each(['pkcs8', 'pkcs1'] as const)('an assertion signed with a key in %s', async (type) => {
  const auth: OidcAuth = { type: 'oidc_private_key_jwt', key: pair.privateKey.export({ type, format: 'pem' }) as string, audience: '', resource: 'r', kid: 'k1', ...client };
  const [head, claims, signature] = (await signAssertion(auth, 1_700_000_000)).split('.') as [string, string, string];
  const plain = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  expect(plain(head)).toEqual({ alg: 'RS256', kid: 'k1', typ: 'JWT' });
  expect(plain(claims)).toEqual({ aud: client.endpoint, exp: 1_700_000_060, iat: 1_700_000_000, nbf: 1_700_000_000, iss: 'me', sub: 'me', jti: expect.any(String) });
  expect(verify('sha256', Buffer.from(`${head}.${claims}`), pair.publicKey, Buffer.from(signature, 'base64url'))).toBe(true);

  const { http, requests } = endpoint(() => ({ status: 200, body: { access_token: 't', expires_in: 60 } }));
  expect(await tokenSource({ ...auth, audience: 'aud' }, http, { verify: true })()).toBe('t');
  expect(requests[0]?.form).toMatchObject({ client_id: 'me', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', audience: 'aud', resource: 'r', scope: 'a b' });
});
test('another key than RSA is refused', async () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  await expect(signAssertion({ type: 'oidc_private_key_jwt', key, audience: '', resource: '', kid: '', ...client })).rejects.toThrow('client_jwt requires RSA private key');
});
