// A quoted text without its quotes: what bindings make of data that came as a JSON string (Go's strconv.Unquote).

/** `"…"` with its escapes undone, or what stands between backquotes; undefined where the text is not quoted. */
export function unquote(text: string): string | undefined {
  if (/^`[^`]*`$/.test(text)) return text.slice(1, -1).replaceAll('\r', '');
  if (!/^".*"$/s.test(text)) return undefined;
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

/** A JSON string, number, boolean or null as plain text; anything else as it is (components-contrib common/utils Unquote). */
export function plainText(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (value === null) return '';
  if (typeof value === 'object') return text;
  // written out, without an exponent
  return typeof value === 'number' && /e/.test(String(value)) ? value.toLocaleString('en-US', { useGrouping: false, maximumSignificantDigits: 17 }) : String(value);
}
