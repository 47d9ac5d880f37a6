// Go's fmt verbs for Rego's sprintf.
import { isArray, RegoSet, type Value } from './value.ts';

/** As Rego writes it. */
function written(value: Value): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(written).join(', ')}]`;
  if (value instanceof RegoSet) return value.size === 0 ? 'set()' : `{${value.sorted().map(written).join(', ')}}`;
  return `{${value.sorted().map(([key, item]) => `${written(key)}: ${written(item)}`).join(', ')}}`;
}
/** As `%v` shows it. */
const shown = (value: Value): string => (typeof value === 'string' ? value : written(value));

export function sprintf(format: string, values: readonly Value[]): string {
  let at = 0;
  const text = format.replace(/%([-+ #0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g, (_whole, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (at >= values.length) return `%!${verb}(MISSING)`;
    const made = one(verb, values[at++] as Value, precision === undefined ? undefined : Number(precision), flags);
    const space = Number(width ?? 0) - [...made].length;
    if (space <= 0) return made;
    if (flags.includes('-')) return made + ' '.repeat(space);
    return flags.includes('0') ? made.replace(/^-?/, (sign) => sign + '0'.repeat(space)) : ' '.repeat(space) + made;
  });
  if (at >= values.length) return text;
  return `${text}%!(EXTRA ${values.slice(at).map((value) => `${typeof value === 'number' ? 'int' : 'string'}=${shown(value)}`).join(', ')})`;
}

function one(verb: string, value: Value, precision: number | undefined, flags: string): string {
  const sign = flags.includes('+') && typeof value === 'number' && value >= 0 ? '+' : '';
  const bad = () => `%!${verb}(${typeof value === 'number' ? (Number.isInteger(value) ? 'int' : 'float64') : typeof value === 'boolean' ? 'bool' : 'string'}=${shown(value)})`;
  switch (verb) {
    case 'v': return sign + shown(value);
    case 's': return typeof value === 'number' ? bad() : precision === undefined ? shown(value) : [...shown(value)].slice(0, precision).join('');
    case 'q': return typeof value === 'number' ? bad() : JSON.stringify(shown(value));
    case 't': return typeof value === 'boolean' ? String(value) : bad();
    case 'd': return typeof value === 'number' && Number.isInteger(value) ? sign + value.toFixed(0) : bad();
    case 'f':
    case 'F': return typeof value === 'number' ? sign + value.toFixed(precision ?? 6) : bad();
    case 'e': return typeof value === 'number' ? sign + value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2') : bad();
    case 'g': return typeof value === 'number' ? sign + String(value) : bad();
    case 'x':
    case 'X': {
      const text = typeof value === 'number' && Number.isInteger(value) ? value.toString(16) : typeof value === 'string' ? Array.from(new TextEncoder().encode(value), (byte) => byte.toString(16).padStart(2, '0')).join('') : bad();
      return verb === 'X' ? text.toUpperCase() : text;
    }
    case 'b': return typeof value === 'number' && Number.isInteger(value) ? value.toString(2) : bad();
    case 'o': return typeof value === 'number' && Number.isInteger(value) ? value.toString(8) : bad();
    default: return bad();
  }
}
