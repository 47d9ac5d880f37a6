// Browser sessions in the memory of this process, known by the cookie `gosessionsid` (Dapr uses fasthttp-contrib/sessions).
import { headerValues } from '../../core/headers.ts';
import { headerOf, type RawHeaders } from '../../core/host.ts';

const cookieName = 'gosessionsid';
const lifeMs = 2 * 3_600_000;
/** Anybody can open sessions: above this many the oldest are forgotten. */
const mostSessions = 100_000;

export interface Session {
  values: Map<string, string>;
  expires: number;
}

export interface Sessions {
  /** The session of the caller's cookie, or a new one and the header that gives its cookie to the caller. */
  start(headers: RawHeaders): { session: Session; setCookie: RawHeaders };
}

const byOwner = new WeakMap<object, Sessions>();
/** All components of one sidecar share their sessions, as they share the cookie; they outlive a component that is replaced. */
export function sessionsOf(owner: object): Sessions {
  let sessions = byOwner.get(owner);
  if (sessions === undefined) byOwner.set(owner, (sessions = createSessions()));
  return sessions;
}

export function createSessions(): Sessions {
  // in the order they were made, so the first are the first to expire
  const known = new Map<string, Session>();
  const forgetOld = (now: number) => {
    for (const [id, { expires }] of known) {
      if (expires > now && known.size <= mostSessions) return;
      known.delete(id);
    }
  };
  return {
    start: (headers) => {
      const now = Date.now();
      forgetOld(now);
      const session = known.get(cookieOf(headers) ?? '');
      if (session !== undefined) return { session, setCookie: [] };
      // An id that was not given out here is not taken over, or somebody could plant one in another's browser and share the login.
      const id = randomId();
      const fresh: Session = { values: new Map(), expires: now + lifeMs };
      known.set(id, fresh);
      const domain = cookieDomain(headerOf(headers, 'host') ?? '');
      return { session: fresh, setCookie: ['Set-Cookie', `${cookieName}=${id}; Path=/${domain === '' ? '' : `; Domain=${domain}`}; Expires=${new Date(fresh.expires).toUTCString()}; HttpOnly`] };
    },
  };
}

function cookieOf(headers: RawHeaders): string | undefined {
  for (const line of headerValues(headers, 'cookie')) {
    for (const part of line.split(';')) {
      const at = part.indexOf('=');
      if (at > 0 && part.slice(0, at).trim() === cookieName) return part.slice(at + 1).trim().replace(/^"(.*)"$/, '$1');
    }
  }
  return undefined;
}

const randomId = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(24)))).replaceAll('+', '-').replaceAll('/', '_');

/** The last two parts of a host name, so that its siblings have the session too; '' for addresses and names without a dot. */
export function cookieDomain(host: string): string {
  const name = host.split(':', 1)[0] as string;
  const parts = name.split('.');
  if (parts.length < 2 || name.startsWith('[')) return '';
  if (parts.length >= 4 && /^\d+$/.test(parts.at(-1) as string)) return '';
  return /^[A-Za-z0-9.-]+$/.test(name) ? parts.slice(-2).join('.') : '';
}
