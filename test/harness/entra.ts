// A contract server of Microsoft Entra ID's token endpoint and of the endpoints by which Azure's machines get tokens, as their documentation describes them. Not the service itself.
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify, SignJWT } from 'jose';
import type { Host } from '../../src/core/host.ts';

const signing = new TextEncoder().encode('nobody checks this, as no service that is not Entra ID can');

export interface Registered {
  tenantId: string;
  clientId: string;
  secret?: string;
  /** PEM. */
  certificate?: string;
  /** A token of somebody else that it trusts: workload identity. */
  federated?: string;
}

/** `state.lifetimes` are of the next tokens; `state.token` is given instead of those it makes; `state.onIssue` sees every token before who asked for it does: what is to take it can be told. */
export async function startEntra(applications: Registered[] = []) {
  const requests: { path: string; fields: Record<string, string>; headers: IncomingMessage['headers'] }[] = [];
  const state = { lifetimeSeconds: 3600, lifetimes: [] as number[], away: false, identity: 'there' as 'there' | 'none', oid: undefined as string | undefined, token: undefined as string | undefined, onIssue: undefined as ((token: string) => Promise<unknown>) | undefined };
  const issue = async (resource: string, subject: string) => {
    const seconds = state.lifetimes.shift() ?? state.lifetimeSeconds;
    const now = Math.floor(Date.now() / 1000);
    const token = state.token ?? await new SignJWT({ nonce: requests.length, ...(state.oid === undefined ? {} : { oid: state.oid }) }).setProtectedHeader({ alg: 'HS256' }).setIssuer('https://sts.windows.net/tenant/').setAudience(resource).setSubject(subject).setIssuedAt(now).setNotBefore(now - 5).setExpirationTime(now + seconds).sign(signing);
    await state.onIssue?.(token);
    return { token_type: 'Bearer', access_token: token, expires_in: seconds };
  };
  const proven = async (fields: Record<string, string>, audience: string): Promise<boolean> => {
    const application = applications.find(({ clientId, tenantId }) => clientId === fields.client_id && audience.includes(`/${tenantId}/`));
    if (application === undefined || fields.grant_type !== 'client_credentials') return false;
    if (fields.client_secret !== undefined) return fields.client_secret === application.secret;
    const { client_assertion: assertion = '' } = fields;
    if (fields.client_assertion_type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') return false;
    if (application.federated !== undefined && assertion === application.federated) return true;
    if (application.certificate === undefined) return false;
    const certificate = new X509Certificate(application.certificate);
    const { payload, protectedHeader } = await jwtVerify(assertion, createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' })), { algorithms: ['PS256'], audience, issuer: application.clientId, subject: application.clientId, requiredClaims: ['exp', 'nbf', 'jti'] });
    return protectedHeader['x5t#S256'] === createHash('sha256').update(certificate.raw).digest('base64url') && payload.jti !== '';
  };
  const answer = async (request: IncomingMessage): Promise<[number, object, Record<string, string>?]> => {
    let text = '';
    for await (const part of request) text += part;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://entra');
    const fields = Object.fromEntries([...searchParams, ...new URLSearchParams(text)]);
    const { headers } = request;
    requests.push({ path: pathname, fields, headers });
    if (state.away) return [503, { error: 'temporarily_unavailable' }];
    const [, tenant] = /^\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(pathname) ?? [];
    if (tenant !== undefined) {
      const good = await proven(fields, `https://login.microsoftonline.com${pathname}`).catch(() => false);
      if (!good) return [401, { error: 'invalid_client', error_description: 'AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1' }];
      return [200, await issue((fields.scope ?? '').replace(/\/\.default$/, ''), fields.client_id as string)];
    }
    const machine = async (allowed: boolean): Promise<[number, object]> => {
      if (!allowed) return [401, { statusCode: 401, message: 'No' }];
      if (state.identity === 'none') return [400, { error: 'invalid_request', error_description: 'Identity not found' }];
      const { expires_in, ...rest } = await issue(fields.resource ?? '', fields.client_id ?? 'machine');
      return [200, { ...rest, expires_on: String(Math.floor(Date.now() / 1000) + expires_in) }];
    };
    if (pathname === '/metadata/identity/oauth2/token') return machine(headers.metadata === 'true' && fields['api-version'] === '2018-02-01');
    if (pathname === '/appservice') return machine(headers['x-identity-header'] === 'app-secret' && fields['api-version'] === '2019-08-01');
    if (pathname === '/shell') return machine(headers.metadata === 'true' && request.method === 'POST');
    if (pathname === '/arc') {
      if (headers.authorization === undefined) return [401, {}, { 'WWW-Authenticate': 'Basic realm=/var/opt/azcmagent/tokens/1.key' }];
      return machine(headers.authorization === 'Basic arc-key' && headers.metadata === 'true');
    }
    return [404, {}];
  };
  const server = createServer(async (request, response) => {
    const [status, body, headers] = await answer(request);
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, requests, state, applications, stop: () => new Promise((resolve) => server.close(resolve)) };
}

/** The same host with some origins elsewhere, the environment given, and certificates nobody checks. */
export const rerouted = (host: Host, origins: Readonly<Record<string, string>>, env: Record<string, string> = {}): Host => ({
  ...host,
  env,
  http: { send: (request) => host.http.send({ ...request, insecure: true, origin: origins[request.origin] ?? request.origin }) },
});
