// Request targets as Go's net/url sees them: the decoded path, the path as it is written, the query.

const hexadecimal = (byte: number) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
const encoder = new TextEncoder();
const lossy = new TextDecoder();

export interface Url {
  /** Decoded. */
  path: string;
  /** As it came, or escaped anew where it holds what a path may not. Never ''. */
  escapedPath: string;
  /** Without `?`. */
  query: string;
  /** There was a `?`. */
  hasQuery: boolean;
}

export function urlOf(target: string): Url {
  const mark = target.indexOf('?');
  const raw = mark < 0 ? target : target.slice(0, mark);
  const path = unescaped(raw);
  return { path, escapedPath: raw === '' ? '/' : /^[A-Za-z0-9\-_.~$&+,/:;=@!'()*[\]%]*$/.test(raw) ? raw : escapePath(path), query: mark < 0 ? '' : target.slice(mark + 1), hasQuery: mark >= 0 };
}

/** Percent-decoded; bytes that are no UTF-8 become U+FFFD, and what is no escape stays. */
export function unescaped(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    const bytes: number[] = [];
    for (let i = 0; i < text.length; ) {
      const code = /^%[0-9a-fA-F]{2}/.test(text.slice(i, i + 3)) ? Number.parseInt(text.slice(i + 1, i + 3), 16) : undefined;
      if (code !== undefined) { bytes.push(code); i += 3; continue; }
      const character = String.fromCodePoint(text.codePointAt(i) as number);
      bytes.push(...encoder.encode(character));
      i += character.length;
    }
    return lossy.decode(new Uint8Array(bytes));
  }
}

const escaped = (text: string, keep: RegExp): string => Array.from(encoder.encode(text), (byte) => { const c = String.fromCharCode(byte); return byte < 0x80 && keep.test(c) ? c : hexadecimal(byte); }).join('');

/** Go's url.URL.EscapedPath of a path that was set by hand. */
export const escapePath = (path: string): string => escaped(path, /[A-Za-z0-9\-_.~$&+,/:;=@]/);
/** Go's url.QueryEscape. */
export const escapeQuery = (text: string): string => escaped(text, /[A-Za-z0-9\-_.~ ]/).replaceAll(' ', '+');

/** Go's url.ParseQuery: pairs with `;` or a broken escape are left out. */
export function parseQuery(query: string): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';') || /%(?![0-9a-fA-F]{2})/.test(pair)) continue;
    const at = pair.indexOf('=');
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    pairs.push([unescaped(name.replaceAll('+', ' ')), unescaped(value.replaceAll('+', ' '))]);
  }
  return pairs;
}
/** Go's url.Values.Encode: sorted by name, the values of one name in order. */
export const encodeQuery = (pairs: readonly (readonly [string, string])[]): string =>
  [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([name, value]) => `${escapeQuery(name)}=${escapeQuery(value)}`).join('&');
