// Signing in with Microsoft Entra ID: the ways to tokens in their order, and the tokens kept until they end (upstream: common/authentication/azure/auth.go).
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { azureCloud } from './cloud.ts';
import { signedAssertion, signingCertificate } from './entra-certificate.ts';
import type { EntraSettings } from './entra-settings.ts';
import { type AccessToken, type Application, askEntra, assertionProof, NotHere, TokenRefused, type TokenSource } from './entra-token.ts';
import { managedIdentity } from './managed-identity.ts';

export interface EntraCredential {
  /** A token that lasts some minutes at least. `scope`: `https://storage.azure.com/.default`. Rejects with AdapterError: `invalid` where the application was refused, else `unavailable`. */
  token(scope: string): Promise<AccessToken>;
  /** As Microsoft's clients ask for it. */
  getToken(scopes: string | string[]): Promise<{ token: string; expiresOnTimestamp: number }>;
}

/** A token is replaced when so little of its time is left. */
const marginMs = 5 * 60_000;

type Method = 'secret' | 'certificate' | 'workload' | 'spiffe' | 'machine' | 'cli' | 'none';
const methods: Readonly<Record<string, Method>> = {
  clientcredentials: 'secret', creds: 'secret', clientcertificate: 'certificate', cert: 'certificate', workloadidentity: 'workload', wi: 'workload',
  spiffeworkloadidentity: 'spiffe', spiffe: 'spiffe', managedidentity: 'machine', mi: 'machine', commandlineinterface: 'cli', cli: 'cli', none: 'none',
};
const usual: readonly Method[] = ['secret', 'certificate', 'workload', 'machine'];

/** Nothing is asked for yet. Throws in upstream's words where no way is left. */
export async function entraCredential(settings: EntraSettings, host: Host, log: Logger): Promise<EntraCredential> {
  const sources: TokenSource[] = [];
  const refusals: string[] = [];
  const named = settings.azureAuthMethods.trim();
  for (const method of named === '' ? usual : named.toLowerCase().split(',').map((text) => methodOf(text.trim()))) {
    if (method === 'none') throw new Error("all Azure auth methods have been disabled with auth method 'None'");
    try {
      const source = await sourceOf(method, settings, host);
      if (source !== undefined) sources.push(source);
    } catch (error) {
      refusals.push(textOf(error));
    }
  }
  if (sources.length === 0) throw new Error(`no suitable token provider for Azure AD; errors: ${refusals.join('\n') || 'none of the ways to sign in is set up'}`);
  for (const refusal of refusals) log.debug(`Microsoft Entra ID: ${refusal}`);
  return chained(sources, log);
}

function methodOf(name: string): Method {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined) throw new Error(`invalid Azure auth method: ${name}`);
  return method;
}

/** Undefined: not set up, as upstream passes over it without a word. */
async function sourceOf(method: Method, settings: EntraSettings, host: Host): Promise<TokenSource | undefined> {
  const { authority } = azureCloud(settings.azureEnvironment);
  const { azureTenantId: tenantId, azureClientId: clientId, azureClientSecret: client_secret } = settings;
  const application: Application = { authority, tenantId, clientId };
  switch (method) {
    case 'secret':
      if (clientId === '' || client_secret === '' || tenantId === '') return undefined;
      return { name: 'client secret', ask: (scope) => askEntra(host, application, { client_secret }, scope) };
    case 'certificate': {
      if (settings.azureCertificate === '' && settings.azureCertificateFile === '') return undefined;
      const certificate = await signingCertificate(host, settings);
      return { name: 'client certificate', ask: async (scope) => askEntra(host, application, assertionProof(await signedAssertion(certificate, application)), scope) };
    }
    case 'workload':
      return workloadIdentity(host, authority);
    case 'machine':
      return managedIdentity(host, clientId);
    case 'spiffe':
      throw new Error('SPIFFE workload identity is not supported: it needs the identity of a Dapr control plane');
    default:
      throw new Error('the Azure CLI is not supported: the sidecar starts no other programs');
  }
}

/** What the webhook of Azure Workload Identity puts into a pod. */
function workloadIdentity(host: Host, authority: string): TokenSource {
  const { AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: tenantId, AZURE_FEDERATED_TOKEN_FILE: path, AZURE_AUTHORITY_HOST: at } = host.env;
  if (!clientId || !tenantId || !path) throw new Error('workload identity: AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are not all set');
  const application = { authority: at ? at.replace(/\/+$/, '') : authority, tenantId, clientId };
  return {
    name: 'workload identity',
    ask: async (scope) => {
      if (host.files === undefined) throw new NotHere('workload identity: this runtime has no files');
      // Kubernetes replaces the file every hour or so.
      return askEntra(host, application, assertionProof(textOfBytes(await host.files.read(path)).trim()), scope);
    },
  };
}

/** The first that works stays the one; one that is only not here leaves it to the next. */
function chained(sources: readonly TokenSource[], log: Logger): EntraCredential {
  let chosen: TokenSource | undefined;
  const ask = async (scope: string): Promise<AccessToken> => {
    const why: string[] = [];
    let final = false;
    for (const source of chosen === undefined ? sources : [chosen]) {
      try {
        const token = await source.ask(scope);
        if (chosen === undefined) log.debug(`Microsoft Entra ID: signed in by ${source.name}`);
        chosen = source;
        return token;
      } catch (error) {
        why.push(`${source.name}: ${textOf(error)}`);
        if (error instanceof NotHere) continue;
        final = error instanceof TokenRefused && error.status < 500;
        break;
      }
    }
    throw new AdapterError(final ? 'invalid' : 'unavailable', `failed to acquire a token from Microsoft Entra ID: ${why.join('; ')}`);
  };
  const kept = new Map<string, AccessToken>();
  const running = new Map<string, Promise<AccessToken>>();
  const renewed = (scope: string): Promise<AccessToken> => {
    const known = running.get(scope);
    if (known !== undefined) return known;
    const renewing = ask(scope)
      .then((token) => {
        kept.set(scope, token);
        return token;
      })
      .catch((error) => {
        // As long as the old one is good, the service may be away.
        const old = kept.get(scope);
        if (old !== undefined && Date.now() < old.expires - 10_000) return old;
        throw error;
      })
      .finally(() => running.delete(scope));
    running.set(scope, renewing);
    return renewing;
  };
  const token = async (scope: string): Promise<AccessToken> => {
    const known = kept.get(scope);
    return known !== undefined && Date.now() < known.expires - marginMs ? known : renewed(scope);
  };
  return {
    token,
    getToken: async (scopes) => {
      const { token: text, expires } = await token(typeof scopes === 'string' ? scopes : scopes.join(' '));
      return { token: text, expiresOnTimestamp: expires };
    },
  };
}
