// JSON as Go's encoding/json reads and writes it, where a client of Dapr can tell the difference.

const encoder = new TextEncoder();
// Invalid UTF-8 becomes U+FFFD, a byte order mark is kept (and then refused), both as in Go.
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => encoder.encode(text);
export const textOfBytes = (bytes: Uint8Array): string => decoder.decode(bytes);

const unsafe = /[<>&\u2028\u2029]/g;
/** Go's HTML escaping of JSON text: `<`, `>`, `&`, U+2028, U+2029 as \u00xx. */
export const goEscape = (json: string): string => json.replace(unsafe, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
/** JSON text as Go prints it; key order is the object's. */
export const goStringify = (value: unknown): string => goEscape(JSON.stringify(value));

/** Compact JSON text of a decoded value. Half a surrogate pair becomes U+FFFD, as Go's decoder makes it. */
export function compactJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes('\\ud') ? JSON.stringify(value, (_, v: unknown) => (typeof v === 'string' ? v.toWellFormed() : v)) : text;
}

/** JSON text without the white space between its parts, otherwise as it was (Go's json.Compact). */
export function compactText(json: string): string {
  if (!/[ \t\r\n]/.test(json)) return json;
  let out = '';
  for (let at = 0; at < json.length; ) {
    const start = json.indexOf('"', at);
    out += (start < 0 ? json.slice(at) : json.slice(at, start)).replace(/[ \t\r\n]+/g, '');
    if (start < 0) break;
    let end = start + 1;
    while (end < json.length && json[end] !== '"') end += json[end] === '\\' ? 2 : 1;
    at = end + 1;
    out += json.slice(start, at);
  }
  return out;
}

/** A body that is not what Go's decoder wants; the message is Go's wording. */
export class GoJsonError extends Error {
  override name = 'GoJsonError';
}

// What JSON.parse takes but Go refuses: numbers beyond float64, more than ten thousand levels. Texts that may hold such go the slow way.
// (An `e` with digits behind it stands in half of all UUIDs, so the whole number is looked at.)
const hugeNumber = /(?:^|[\s:,[])-?\d[\d.]*[eE]\+?\d{3}|\d{309}/;
const maxDepth = 10_000;
/** At most that many levels, by the number of brackets. */
function isShallow(text: string): boolean {
  if (text.length <= maxDepth) return true;
  let left = maxDepth;
  for (const bracket of '{[') for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (--left < 0) return false;
  return true;
}

/**
 * The first JSON value of a text, decoded; what follows it is ignored (Go's streaming decoder).
 * Throws GoJsonError with Go's wording: `EOF`, `unexpected EOF`, `invalid character 'x' looking for …`.
 */
export function parseFirst(text: string): unknown {
  if (isShallow(text) && !hugeNumber.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      /* the slow way finds the first value, or the words for what is wrong */
    }
  }
  const end = scanFirst(text);
  return JSON.parse(text.slice(0, end));
}

/** The whole text as one JSON value (Go's Unmarshal): anything but white space after it is an error. */
export function parseWhole(text: string): unknown {
  if (isShallow(text) && !hugeNumber.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      /* as above */
    }
  }
  let end: number;
  try {
    end = scanFirst(text);
  } catch (error) {
    throw error instanceof GoJsonError && /EOF$/.test(error.message) ? new GoJsonError('unexpected end of JSON input') : error;
  }
  const rest = /[^ \t\r\n]/.exec(text.slice(end));
  if (rest) throw invalid(text, end + rest.index, 'after top-level value');
  return JSON.parse(text.slice(0, end));
}

/** End of the first JSON value. One pass, no recursion. Follows encoding/json scanner.go in what it accepts and says. */
function scanFirst(text: string): number {
  let at = 0;
  const stack: ('{' | '[')[] = [];
  const space = () => {
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x09 && c !== 0x0a && c !== 0x0d) return;
    }
  };
  const need = () => {
    if (at >= text.length) throw new GoJsonError('unexpected EOF');
  };
  const string = () => {
    at++;
    for (;;) {
      need();
      const c = text.charCodeAt(at);
      if (c === 0x22) { at++; return; }
      if (c < 0x20) throw invalid(text, at, 'in string literal');
      if (c === 0x5c) {
        at++;
        need();
        const e = text[at] as string;
        if (e === 'u') {
          for (let i = 0; i < 4; i++) {
            at++;
            need();
            if (!/[0-9a-fA-F]/.test(text[at] as string)) throw invalid(text, at, 'in \\u hexadecimal character escape');
          }
        } else if (!'"\\/bfnrt'.includes(e)) throw invalid(text, at, 'in string escape code');
      }
      at++;
    }
  };
  const digits = (where: string) => {
    need();
    if (!/[0-9]/.test(text[at] as string)) throw invalid(text, at, where);
    while (at < text.length && text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39) at++;
  };
  const number = () => {
    const start = at;
    if (text[at] === '-') at++;
    if (text[at] === '0') at++;
    else digits('in numeric literal');
    if (text[at] === '.') { at++; digits('after decimal point in numeric literal'); }
    if (text[at] === 'e' || text[at] === 'E') {
      at++;
      if (text[at] === '+' || text[at] === '-') at++;
      digits('in exponent of numeric literal');
    }
    const literal = text.slice(start, at);
    if (!Number.isFinite(Number(literal))) throw new GoJsonError(`json: cannot unmarshal number ${literal} into Go value of type float64`);
  };
  const word = (w: string) => {
    for (let i = 1; i < w.length; i++) {
      at++;
      need();
      if (text[at] !== w[i]) throw invalid(text, at, `in literal ${w} (expecting '${w[i]}')`);
    }
    at++;
  };
  space();
  if (at >= text.length) throw new GoJsonError('EOF');
  for (;;) {
    // at the beginning of a value
    space();
    need();
    const c = text[at] as string;
    if (c === '{' || c === '[') {
      if (stack.length >= maxDepth) throw invalid(text, at, 'exceeded max depth', true);
      at++;
      space();
      need();
      if (c === '{') {
        if (text[at] === '}') at++;
        else { stack.push('{'); key(); continue; }
      } else if (text[at] === ']') at++;
      else { stack.push('['); continue; }
    } else if (c === '"') string();
    else if (c === '-' || (c >= '0' && c <= '9')) number();
    else if (c === 't') word('true');
    else if (c === 'f') word('false');
    else if (c === 'n') word('null');
    else throw invalid(text, at, 'looking for beginning of value');
    // after a value: close what ends here
    for (;;) {
      const inside = stack[stack.length - 1];
      if (inside === undefined) return at;
      space();
      need();
      const d = text[at] as string;
      if (d === ',') {
        at++;
        if (inside === '{') { space(); need(); key(); }
        break;
      }
      if (d !== (inside === '{' ? '}' : ']')) throw invalid(text, at, inside === '{' ? 'after object key:value pair' : 'after array element');
      at++;
      stack.pop();
    }
  }
  function key() {
    if (text[at] !== '"') throw invalid(text, at, 'looking for beginning of object key string');
    string();
    space();
    need();
    if (text[at] !== ':') throw invalid(text, at, 'after object key');
    at++;
  }
}

/** Go names the first byte of what it did not expect. */
function invalid(text: string, at: number, context: string, bare = false): GoJsonError {
  const byte = encoder.encode(text.slice(at, at + 2))[0] as number;
  const shown = byte === 0x27 ? "'\\\\''" : byte === 0x22 ? `'"'` : `'${quoteByte(byte)}'`;
  return new GoJsonError(bare ? `invalid character ${shown} ${context}` : `invalid character ${shown.replace("'\\\\''", "'\\''")} ${context}`);
}
const quoteByte = (b: number): string => {
  const named: Record<number, string> = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 92: '\\\\' };
  return named[b] ?? (b < 0x20 || b === 0x7f || (b >= 0x80 && b <= 0xa0) || b === 0xad ? (b < 0x80 ? `\\x${b.toString(16).padStart(2, '0')}` : `\\u${b.toString(16).padStart(4, '0')}`) : String.fromCharCode(b));
};

// ---- typed reading: what json.Unmarshal does with a struct ----

const kindOf = (value: unknown) => (Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value === 'boolean' ? 'bool' : (typeof value as string));

/** How one field is read. `go` is the Go type named in the error; null always leaves the zero value. */
export interface Reader<T> {
  readonly go: string;
  readonly zero: T;
  read(value: unknown, at: string): T;
}
const wrong = (value: unknown, at: string, go: string) => new GoJsonError(`json: cannot unmarshal ${kindOf(value)}${typeof value === 'number' && /int/.test(go) ? ` ${value}` : ''} into Go ${at ? `struct field ${at}` : 'value'} of type ${go}`);

const scalar = <T>(go: string, zero: T, fits: (value: unknown) => boolean): Reader<T> => ({
  go,
  zero,
  read: (value, at) => {
    if (value === null) return zero;
    if (!fits(value)) throw wrong(value, at, go);
    return value as T;
  },
});
export const string = scalar('string', '', (v) => typeof v === 'string');
/** *string: tells null and absent (undefined) from the empty string. */
export const optionalString = scalar<string | undefined>('string', undefined, (v) => typeof v === 'string');
export const bool = scalar('bool', false, (v) => typeof v === 'boolean');
export const int = scalar('int', 0, (v) => typeof v === 'number' && Number.isInteger(v));
/** interface{}: anything; undefined when absent, null when null. */
export const any: Reader<unknown> = { go: 'interface {}', zero: undefined, read: (value) => value };

export const stringMap: Reader<Record<string, string>> = {
  go: 'map[string]string',
  zero: {},
  read: (value, at) => {
    if (value === null) return {};
    if (typeof value !== 'object' || Array.isArray(value)) throw wrong(value, at, 'map[string]string');
    const out: Record<string, string> = {};
    for (const [k, v] of Object.entries(value)) out[k] = string.read(v, at);
    return out;
  },
};
export const list = <T>(item: Reader<T>): Reader<T[]> => ({
  go: `[]${item.go}`,
  zero: [],
  read: (value, at) => {
    if (value === null) return [];
    if (!Array.isArray(value)) throw wrong(value, at, `[]${item.go}`);
    return value.map((v) => item.read(v, at));
  },
});

type Shape = Record<string, Reader<unknown>>;
type Read<S extends Shape> = { [K in keyof S]: S[K] extends Reader<infer T> ? T : never };

const fold = (name: string) => name.toLowerCase().replaceAll('ſ', 's'); // ASCII letters plus the Kelvin and long-s signs, as Go folds

/**
 * A Go struct: known fields matched in any case, unknown ones ignored, null leaves zero values.
 * `struct('state.SetRequest', { key: string, … })`; errors name `SetRequest.key`.
 */
export function struct<S extends Shape>(go: string, shape: S): Reader<Read<S>> {
  const short = go.slice(go.lastIndexOf('.') + 1);
  const names = Object.keys(shape);
  const folded = new Map(names.map((n) => [fold(n), n]));
  const blank = Object.fromEntries(names.map((n) => [n, (shape[n] as Reader<unknown>).zero])) as Read<S>;
  return {
    go,
    zero: blank,
    read: (value, at) => {
      if (value === null) return { ...blank };
      if (typeof value !== 'object' || Array.isArray(value)) throw wrong(value, at, go);
      const out = { ...blank } as Record<string, unknown>;
      for (const key in value) {
        const name = Object.hasOwn(shape, key) ? key : folded.get(fold(key));
        if (name === undefined) continue;
        const nested = at ? `${at.slice(at.indexOf('.') + 1)}.` : '';
        out[name] = (shape[name] as Reader<unknown>).read((value as Record<string, unknown>)[key], `${short}.${nested}${name}`);
      }
      return out as Read<S>;
    },
  };
}
