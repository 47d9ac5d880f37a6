// Go's %q: how Dapr's messages quote texts that came from outside.

const utf8 = new TextDecoder('utf-8', { fatal: true });
const short: Record<number, string> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' };
const hex = (code: number, digits: number) => code.toString(16).padStart(digits, '0');
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** A byte string (one character per byte) in double quotes; bytes that are no UTF-8 appear as `\xff`. Source: strconv.Quote. */
export function goQuoteBytes(bytes: string): string {
  let out = '"';
  for (let i = 0; i < bytes.length; ) {
    const code = bytes.charCodeAt(i);
    if (code < 0x80) {
      out += short[code] ?? (code < 0x20 || code === 0x7f ? `\\x${hex(code, 2)}` : String.fromCharCode(code));
      i++;
      continue;
    }
    const length = code >= 0xf0 ? 4 : code >= 0xe0 ? 3 : code >= 0xc0 ? 2 : 1;
    let rune: string | undefined;
    try {
      rune = length > 1 && i + length <= bytes.length ? utf8.decode(Uint8Array.from(bytes.slice(i, i + length), (c) => c.charCodeAt(0))) : undefined;
    } catch { /* no UTF-8 */ }
    if (rune === undefined) {
      out += `\\x${hex(code, 2)}`;
      i++;
    } else {
      const point = rune.codePointAt(0) as number;
      out += printable.test(rune) ? rune : point > 0xffff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`;
      i += length;
    }
  }
  return `${out}"`;
}

/** Any text in double quotes, as strconv.Quote prints it. */
export const goQuote = (text: string): string => goQuoteBytes(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
