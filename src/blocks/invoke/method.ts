// The method of an invocation: the path the app sees, from its raw form on the wire to the form it leaves in.
// All texts here are byte strings (one character per byte), as targets arrive from the wire.
import { goQuoteBytes } from '../../core/go-quote.ts';

/** The method cannot be used; `message` is Dapr's. */
export class MethodRefused extends Error {
  override name = 'MethodRefused';
}

/** Percent-decoding without the plus rule. The text must be well escaped. */
export function decodeBytes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

const utf8 = new TextDecoder();
/** The text a byte string stands for. */
export function textOfBytes(bytes: string): string {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes.charCodeAt(i) > 0x7f) return utf8.decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)));
  }
  return bytes;
}

/** Go's path.Clean for a path that may be relative: '' where nothing is left (Go: `.`). */
export function clean(path: string): string {
  if (plain.test(path)) return path;
  const rooted = path.startsWith('/');
  const out: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..' && out.length > 0 && out.at(-1) !== '..') out.pop();
    else if (segment !== '..' || !rooted) out.push(segment);
  }
  return (rooted ? '/' : '') + out.join('/');
}

/** Needs no second look: ordinary segments, no dot at the start of one. */
const plain = /^[\w~-]+(?:\.[\w~-]+)*(?:\/[\w~-]+(?:\.[\w~-]+)*)*$/;

/**
 * Checks and cleans a decoded method (without leading slash) before anything is decided about it.
 * Source: dapr/pkg/messaging/method/normalize.go
 */
export function normalizeMethod(method: string): string {
  if (plain.test(method)) return method;
  for (let i = 0; i < method.length; i++) {
    const code = method.charCodeAt(i);
    if (code === 0x23 || code === 0x3f || code === 0) throw new MethodRefused(`invalid method: method contains forbidden character: ${goQuoteBytes(method)}`);
  }
  for (let i = 0; i < method.length; i++) {
    const code = method.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) throw new MethodRefused(`invalid method: method contains control character at position ${i}: ${goQuoteBytes(method)}`);
  }
  let cleaned = clean(method);
  while (cleaned.startsWith('../')) cleaned = cleaned.slice(3);
  return cleaned === '..' ? '' : cleaned;
}

/** Characters Go's URL keeps as they came, and those it leaves unescaped when it has to escape anything. */
const kept = /^(?:[A-Za-z0-9\-._~$&+,/:;=@!'()*[\]]|%[0-9a-fA-F]{2})*$/;
const unescaped = /[A-Za-z0-9\-._~$&+,/:;=@]/;

/**
 * The normalized method as it goes on the wire: kept where every character may stand in a path, else unescaped and escaped again as a whole.
 * Source: net/url URL.EscapedPath. `base` only appears in the error.
 */
export function encodeMethod(method: string, base: string): string {
  if (plain.test(method) || kept.test(method)) return method;
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/s.exec(method);
  if (bad) throw new MethodRefused(`parse ${goQuoteBytes(`${base}/${method}`)}: invalid URL escape ${goQuoteBytes(bad[0])}`);
  let out = '';
  for (const byte of decodeBytes(method)) out += unescaped.test(byte) ? byte : `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}
