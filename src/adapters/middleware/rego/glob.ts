// Glob patterns of Rego's glob.match, as regular expressions.

const quoted = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');

/** `*` and `?` stop at delimiters, `**` does not; null: there are no delimiters. */
export function globPattern(glob: string, delimiters: readonly string[] | null): string {
  const stops = delimiters === null ? [] : delimiters.length === 0 ? ['.'] : delimiters;
  const one = stops.length === 0 ? '(?s:.)' : `[^${stops.map((stop) => stop.replace(/[\\\]^-]/g, '\\$&')).join('')}]`;
  let out = '';
  let depth = 0;
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i] as string;
    if (c === '*') {
      if (glob[i + 1] === '*') { out += '(?s:.)*'; i++; } else out += `${one}*`;
    } else if (c === '?') out += one;
    else if (c === '\\') out += quoted(glob[++i] ?? '');
    else if (c === '[') {
      const end = glob.indexOf(']', i + 1);
      if (end < 0) return '[';
      const inside = glob.slice(i + 1, end);
      out += `[${inside.startsWith('!') ? '^' : ''}${inside.replace(/^!/, '').replace(/[\\^[]/g, '\\$&')}]`;
      i = end;
    } else if (c === '{') { out += '(?:'; depth++; } else if (c === '}' && depth > 0) { out += ')'; depth--; } else if (c === ',' && depth > 0) out += '|';
    else out += quoted(c);
  }
  return `^${out}$`;
}
