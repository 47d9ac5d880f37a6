// Paths and queries as Go's net/http and chi read them: cleaned while still escaped, parameters unescaped by query rules.

/** A request target as it is routed. */
export interface Target {
  /** Cleaned, still escaped. */
  path: string;
  /** Raw query without `?`. */
  query: string;
  /** Nothing in the path is escaped: no `%` and no `+`. */
  plain: boolean;
  /** Where the third and fourth segment of the path begin, behind their slash; 0: there is none. */
  third: number;
  fourth: number;
}

/** Takes a target apart. Most are clean and plain, which one look at every character tells. */
export function readTarget(target: string): Target {
  let plain = true;
  let clean = target.charCodeAt(0) === 0x2f;
  const { length } = target;
  let end = 0, slashes = 0, third = 0, fourth = 0;
  for (let before = 0; clean && end < length; end++) {
    const code = target.charCodeAt(end);
    if (code === 0x3f) break;
    if (code === 0x25 || code === 0x2b) plain = false;
    else if (before === 0x2f && (code === 0x2f || code === 0x2e)) clean = false;
    else if (code === 0x2f) {
      if (++slashes === 3) third = end + 1;
      else if (slashes === 4) fourth = end + 1;
    }
    before = code;
  }
  if (clean && (end === 1 || target.charCodeAt(end - 1) !== 0x2f)) return end === length ? { path: target, query: '', plain, third, fourth } : { path: target.slice(0, end), query: target.slice(end + 1), plain, third, fourth };
  const { path: unclean, query } = splitTarget(target);
  const path = cleanPath(unclean);
  return { path, query, plain: false, third: beginOf(path, 2), fourth: beginOf(path, 3) };
}

/** Where segment `index` (0 = the first) of a clean path begins, 0: there is none. */
export function beginOf(path: string, index: number): number {
  let start = 1;
  for (let i = 0; i < index && start > 0; i++) start = path.indexOf('/', start) + 1;
  return start;
}

/** Path part of a request target; `http://host/x?y` (absolute form) counts as `/x?y`. */
export function splitTarget(target: string): { path: string; query: string } {
  let start = 0;
  if (target.charCodeAt(0) !== 0x2f) {
    const scheme = target.indexOf('://');
    if (scheme > 0) {
      start = target.indexOf('/', scheme + 3);
      if (start < 0) return { path: '/', query: '' };
    }
  }
  const mark = target.indexOf('?', start);
  return mark < 0 ? { path: start ? target.slice(start) : target, query: '' } : { path: target.slice(start, mark), query: target.slice(mark + 1) };
}

/** Go's path.Clean on a rooted path: `//` collapsed, `.` and `..` resolved, no trailing slash. Percent sequences are left alone. */
export function cleanPath(path: string): string {
  if (!/\/\/|\/\.|.\/$/.test(path)) return path === '' ? '/' : path;
  const out: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') out.pop();
    else out.push(segment);
  }
  return `/${out.join('/')}`;
}

/** True when every `%` is followed by two hex digits; Go's server refuses other targets. */
export const wellEscaped = (text: string): boolean => !text.includes('%') || !/%(?![0-9a-fA-F]{2})/.test(text);

const lossy = new TextDecoder();
function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // bytes that are not UTF-8 become U+FFFD
    const bytes: number[] = [];
    const encoder = new TextEncoder();
    for (let i = 0; i < text.length; ) {
      if (text[i] === '%') { bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16)); i += 3; }
      else { const c = String.fromCodePoint(text.codePointAt(i) as number); bytes.push(...encoder.encode(c)); i += c.length; }
    }
    return lossy.decode(new Uint8Array(bytes));
  }
}
/** The path of a request target, percent-decoded, otherwise as it was sent (Go: r.URL.Path). */
export function decodedPath(target: string): string {
  const { path } = splitTarget(target);
  return path.includes('%') ? percentDecode(path) : path;
}

/** Go's url.QueryUnescape: `%XX` and `+` → space. The text must be well escaped. */
export function queryUnescape(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return spaced.includes('%') ? percentDecode(spaced) : spaced;
}

/** Query parameters in order; pairs with `;` or a bad escape are dropped silently, as Go does. */
export function* queryPairs(query: string): Generator<[name: string, value: string]> {
  if (query === '') return;
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';') || !wellEscaped(pair)) continue;
    const at = pair.indexOf('=');
    yield at < 0 ? [queryUnescape(pair), ''] : [queryUnescape(pair.slice(0, at)), queryUnescape(pair.slice(at + 1))];
  }
}
export function queryValue(query: string, name: string): string | undefined {
  for (const [key, value] of queryPairs(query)) if (key === name) return value;
  return undefined;
}
/** `metadata.*` parameters without their prefix; the first value wins. */
export function queryMetadata(query: string): Record<string, string> {
  const out: Record<string, string> = {};
  if (query === '') return out;
  for (const [key, value] of queryPairs(query)) {
    if (!key.startsWith('metadata.')) continue;
    const name = key.slice(9);
    if (!Object.hasOwn(out, name)) out[name] = value;
  }
  return out;
}
