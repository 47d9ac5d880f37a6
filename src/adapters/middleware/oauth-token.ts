// Asking an OAuth 2 token service for a token, as golang.org/x/oauth2 does it.
import type { HttpPort } from '../../core/host.ts';
import { fetchText } from './fetch-text.ts';
import { encodeQuery, escapeQuery, parseQuery } from './url.ts';

export interface Token {
  /** What goes into the header: `Bearer eyJ…`. */
  header: string;
  /** Milliseconds since 1970; undefined where the service does not say. */
  expires: number | undefined;
}

export interface TokenService {
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  /** 1: credentials in the form, 2: in the Authorization header, 0: tries the header first and keeps to what works. */
  authStyle: number;
}

/** Asks for tokens of one client. Rejects where the service refuses or cannot be understood; no message holds a secret. */
export function tokenClient(http: HttpPort, { tokenUrl, clientId, clientSecret, authStyle }: TokenService): (form: readonly (readonly [string, string])[]) => Promise<Token> {
  let style = authStyle;
  const ask = async (form: readonly (readonly [string, string])[], inForm: boolean): Promise<Token> => {
    const credentials: [string, string][] = inForm ? [['client_id', clientId], ['client_secret', clientSecret]] : [];
    const taken = new Set(credentials.map(([name]) => name));
    const body = encodeQuery([...form.filter(([name]) => !taken.has(name)), ...credentials.filter(([, value]) => value !== '')]);
    const headers = ['Content-Type', 'application/x-www-form-urlencoded', ...(inForm ? [] : ['Authorization', `Basic ${btoa(`${escapeQuery(clientId)}:${escapeQuery(clientSecret)}`)}`])];
    const { status, text, header } = await fetchText(http, tokenUrl, { method: 'POST', headers, body: new TextEncoder().encode(body) });
    return read(status, text, header('content-type') ?? '');
  };
  return async (form) => {
    if (style !== 0) return ask(form, style === 1);
    try {
      const token = await ask(form, false);
      style = 2;
      return token;
    } catch {
      const token = await ask(form, true);
      style = 1;
      return token;
    }
  };
}

function read(status: number, text: string, contentType: string): Token {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase();
  const fields = type === 'application/x-www-form-urlencoded' || type === 'text/plain' ? Object.fromEntries(parseQuery(text).reverse()) : jsonFields(text);
  const failed = status < 200 || status > 299;
  if (fields === undefined) throw new Error(failed ? `oauth2: cannot fetch token: ${status}` : 'oauth2: cannot parse json');
  const field = (name: string): string => (typeof fields[name] === 'string' || typeof fields[name] === 'number' ? String(fields[name]) : '');
  if (failed || field('error') !== '') throw new Error(`oauth2: cannot fetch token: ${status} ${[field('error'), field('error_description')].filter(Boolean).join(': ')}`.trim());
  const access = field('access_token');
  if (access === '') throw new Error('oauth2: server response missing access_token');
  const seconds = Number(field('expires_in'));
  return { header: `${typeName(field('token_type'))} ${access}`, expires: Number.isFinite(seconds) && seconds !== 0 ? Date.now() + seconds * 1000 : undefined };
}

function jsonFields(text: string): Record<string, unknown> | undefined {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null ? (read as Record<string, unknown>) : {};
  } catch {
    return undefined;
  }
}

const typeName = (type: string): string => ({ '': 'Bearer', bearer: 'Bearer', mac: 'MAC', basic: 'Basic' })[type.toLowerCase()] ?? type;
