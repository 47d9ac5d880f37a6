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
