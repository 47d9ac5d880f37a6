// Where a binding calls over HTTP, and the headers a user gave it, as Go's client takes both.
import { canonical } from '../../blocks/invoke/headers.ts';
import { utf8 } from '../../core/go-json.ts';

// Said by the connection itself (Go's transport leaves them out too).
const ownHeaders = new Set(['Host', 'Content-Length', 'Transfer-Encoding', 'Trailer']);

/** Name and value for the wire; undefined for what is not the user's to say, an error for what cannot be said. */
export function headerOf(name: string, value: string): [string, string] | undefined {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw new Error(`net/http: invalid header field name ${JSON.stringify(name)}`);
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(value)) throw new Error(`net/http: invalid header field value for ${JSON.stringify(name)}`);
  const spelled = canonical(name);
  return ownHeaders.has(spelled) ? undefined : [spelled, Array.from(utf8(value), (byte) => String.fromCharCode(byte)).join('')];
}

/** Where a call goes, or why it cannot go anywhere. The path is sent as it is written, escaped only where a URL needs it. */
export function targetOf(url: string): { origin: string; path: string; authorization?: string } | string {
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:([^/?#@]*)@)?([^/?#]*))?([^#]*)/.exec(url);
  const [, scheme = '', user, host = '', rest = ''] = match ?? [];
  const lower = scheme.toLowerCase();
  if (lower !== 'http' && lower !== 'https') return `unsupported protocol scheme ${JSON.stringify(lower)}`;
  if (host === '') return 'http: no Host in request URL';
  if (!URL.canParse(`${lower}://${host}/`)) return `invalid host ${JSON.stringify(host)}`;
  const path = rest.replace(/[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+/g, (part) => encodeURIComponent(part.toWellFormed()));
  const authorization = user === undefined ? {} : { authorization: `Basic ${btoa(unescaped(user.includes(':') ? user : `${user}:`))}` };
  return { origin: `${lower}://${host}`, path: path.startsWith('/') ? path : `/${path}`, ...authorization };
}
/** UTF-8 of the text, one character per byte. */
const unescaped = (text: string): string => {
  try {
    return String.fromCharCode(...utf8(decodeURIComponent(text)));
  } catch {
    return String.fromCharCode(...utf8(text));
  }
};
