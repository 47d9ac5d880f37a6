// Asking Microsoft Entra ID for an access token of an application, which proves itself by a secret or by a signed assertion.
import { readBody } from '../../core/body.ts';
import { textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host, HttpRequest } from '../../core/host.ts';

export interface AccessToken {
  token: string;
  /** Milliseconds since 1970. */
  expires: number;
}
/** One way to tokens. `scope`: `https://storage.azure.com/.default`. Rejects with NotHere where it is not set up on this machine, else with what went wrong. */
export interface TokenSource {
  name: string;
  ask(scope: string): Promise<AccessToken>;
}
/** This way to sign in does not exist here; another may. */
export class NotHere extends Error {
  override name = 'NotHere';
}

export interface Application {
  /** Origin, such as `https://login.microsoftonline.com`. */
  authority: string;
  tenantId: string;
  clientId: string;
}

const requestTimeoutMs = 30_000;

export const tokenAddress = ({ authority, tenantId }: Application): string => `${authority}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;

/** `proof`: the fields that show who asks. */
export async function askEntra(host: Host, application: Application, proof: Readonly<Record<string, string>>, scope: string): Promise<AccessToken> {
  const { origin, pathname } = new URL(tokenAddress(application));
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: application.clientId, scope, ...proof });
  return askForToken(host, { method: 'POST', origin, path: pathname, headers: ['Content-Type', 'application/x-www-form-urlencoded', 'Accept', 'application/json'], body: utf8(form.toString()) });
}

export const assertionProof = (assertion: string): Record<string, string> => ({ client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion });

/** The service's answer, read. */
export async function askForToken(host: Host, request: HttpRequest): Promise<AccessToken> {
  const { status, body } = await host.http.send({ ...request, signal: request.signal ?? AbortSignal.timeout(requestTimeoutMs) }).catch((error) => {
    throw new Error(`${request.origin}: ${textOf(error)}`, { cause: error });
  });
  return readToken(status, textOfBytes((await readBody(body)).bytes), request.origin);
}

/** The service refused to give a token. */
export class TokenRefused extends Error {
  override name = 'TokenRefused';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Answer {
  access_token?: string;
  /** Seconds from now; Entra ID says it as a number, the metadata service as text. */
  expires_in?: number | string;
  /** Seconds since 1970. */
  expires_on?: number | string;
  error?: string | { code?: string; message?: string };
  error_description?: string;
}

export function readToken(status: number, text: string, from: string): AccessToken {
  let answer: Answer;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    answer = {};
  }
  const { access_token: token, expires_in, expires_on, error, error_description } = answer;
  if (status > 299 || !token) {
    const [code, why] = typeof error === 'object' ? [error.code, error.message] : [error, error_description];
    // Entra ID's description has lines that only its support reads.
    throw new TokenRefused(status, `${from} answered ${status}${[code, why?.split(/\r?\n/)[0]].filter(Boolean).map((part) => `: ${part}`).join('')}`);
  }
  const seconds = Number(expires_in);
  const until = Number(expires_on);
  return { token, expires: Number.isFinite(seconds) ? Date.now() + seconds * 1000 : Number.isFinite(until) ? until * 1000 : Date.now() + 3_600_000 };
}
