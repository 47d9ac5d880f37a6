// Tokens of the identity that Azure gives a machine: virtual machines, App Service and Container Apps, Arc, Cloud Shell.
import { readBody } from '../../core/body.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import { headerOf, type Host, type HttpRequest } from '../../core/host.ts';
import { pause } from '../../core/pause.ts';
import { type AccessToken, askForToken, NotHere, TokenRefused, type TokenSource } from './entra-token.ts';

const metadataService = 'http://169.254.169.254';
/** Where nothing answers there is no such service: asking must not hold up the others. */
const firstAnswerMs = 1000;
const pausesMs = [1000, 2000, 4000];

/** `clientId`: of a user-assigned identity; '' for the machine's own. */
export function managedIdentity(host: Host, clientId: string): TokenSource {
  const { env } = host;
  const from = (url: string, query: Record<string, string>): Pick<HttpRequest, 'origin' | 'path'> => {
    const { origin, pathname, searchParams } = new URL(url);
    for (const [name, value] of Object.entries(query)) searchParams.set(name, value);
    return { origin, path: `${pathname}?${searchParams}` };
  };
  const own: Record<string, string> = clientId === '' ? {} : { client_id: clientId };
  const resourceOf = (scope: string) => scope.replace(/\/\.default$/, '');
  const of = (ask: (resource: string) => Promise<AccessToken>): TokenSource => ({ name: 'managed identity', ask: (scope) => ask(resourceOf(scope)) });

  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: secret, MSI_ENDPOINT: shell } = env;
  if (endpoint && secret) {
    // Service Fabric's address proves itself by a thumbprint that no HTTP client here checks.
    if (env.IDENTITY_SERVER_THUMBPRINT) return of(async () => { throw new Error('managed identity of Service Fabric is not supported'); });
    return of((resource) => askForToken(host, { method: 'GET', ...from(endpoint, { 'api-version': '2019-08-01', resource, ...own }), headers: ['X-IDENTITY-HEADER', secret] }));
  }
  if (endpoint && env.IMDS_ENDPOINT) return of((resource) => askArc(host, from(endpoint, { 'api-version': '2020-06-01', resource })));
  if (shell) return of((resource) => askForToken(host, { method: 'POST', ...from(shell, {}), headers: ['Metadata', 'true', 'Content-Type', 'application/x-www-form-urlencoded'], body: utf8(new URLSearchParams({ resource }).toString()) }));

  let answered = false;
  return of(async (resource) => {
    const url = `${(env.AZURE_POD_IDENTITY_AUTHORITY_HOST || metadataService).replace(/\/+$/, '')}/metadata/identity/oauth2/token`;
    const request = { method: 'GET', ...from(url, { 'api-version': '2018-02-01', resource, ...own }), headers: ['Metadata', 'true'] };
    for (let tries = 0; ; tries++) {
      try {
        const token = await askForToken(host, { ...request, ...(answered ? {} : { signal: AbortSignal.timeout(firstAnswerMs) }) });
        answered = true;
        return token;
      } catch (error) {
        if (!(error instanceof TokenRefused)) throw answered ? error : new NotHere(`no managed identity: ${textOf(error)}`);
        answered = true;
        const { status } = error;
        // 400: the machine has no identity (or not this one); 403: a proxy stands in between.
        if (status === 400 || status === 403) throw clientId === '' ? new NotHere(`no managed identity: ${textOf(error)}`) : error;
        const wait = pausesMs[tries];
        if (wait === undefined || !(status === 404 || status === 410 || status === 429 || status >= 500)) throw error;
        await pause(wait, new AbortController().signal);
      }
    }
  });
}

/** Arc answers only to who can read a file of the machine's administrators. */
async function askArc(host: Host, at: Pick<HttpRequest, 'origin' | 'path'>): Promise<AccessToken> {
  const request = { method: 'GET', ...at, headers: ['Metadata', 'true'] };
  const { status, headers, body } = await host.http.send({ ...request, signal: AbortSignal.timeout(30_000) });
  await readBody(body);
  const [, path] = /^Basic realm=(.+)$/i.exec(headerOf(headers, 'www-authenticate') ?? '') ?? [];
  if (status !== 401 || path === undefined) throw new Error(`managed identity of Azure Arc: an answer of ${status} without a challenge`);
  const isPlain = /^\/var\/opt\/azcmagent\/tokens\/[^/]+\.key$|^[A-Za-z]:\\ProgramData\\AzureConnectedMachineAgent\\Tokens\\[^\\/]+\.key$/.test(path) && !path.includes('..');
  if (!isPlain || host.files === undefined) throw new Error(`managed identity of Azure Arc: ${path} is no key file of its agent`);
  const key = await host.files.read(path);
  if (key.length > 4096) throw new Error(`managed identity of Azure Arc: ${path} is too long for a key`);
  return askForToken(host, { ...request, headers: [...request.headers, 'Authorization', `Basic ${textOfBytes(key)}`] });
}
