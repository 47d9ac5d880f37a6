// JSON read and printed again as Go prints a decoded map, with every number in the digits it came in (encoding/json with UseNumber).
import { goEscape } from './go-json.ts';

/** A number as it stood in the text. */
export class Digits {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
/** What JSON.parse makes, or maps and digits where a plain value would lose something. */
export type Exact = null | boolean | number | string | Digits | readonly Exact[] | ReadonlyMap<string, Exact> | { readonly [key: string]: Exact };

// Numbers JavaScript may print differently: long ones, exponents, closing zeros after the point, minus zero, very small ones.
const delicate = /[\d.]{16}|\d[eE]|\.\d*0(?!\d)|-0(?![.\d])|0\.0{5}/;
const maxDepth = 10_000;

/** The first JSON value of a text; what follows it is ignored. undefined where there is none. */
export function parseExact(text: string): Exact | undefined {
  try {
    const value = JSON.parse(text) as Exact;
    // printed alike, no digit was lost: most texts are, and to print them takes less than to look at each number
    if (JSON.stringify(value) === text || !delicate.test(text)) return value;
  } catch {
    /* the slow way finds a first value that something follows */
  }
  try {
    return new Scanner(text).value(0);
  } catch (error) {
    // SyntaxError: not JSON. RangeError: deeper than the stack, which Go would refuse as well a little later.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

class Scanner {
  readonly #text: string;
  #at = 0;
  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Exact {
    if (depth > maxDepth) throw new SyntaxError('too deep');
    this.#space();
    const c = this.#text[this.#at];
    if (c === '{') return this.#object(depth);
    if (c === '[') return this.#list(depth);
    if (c === '"') return this.#string();
    const rest = /(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true)|(false)|(null)/y;
    rest.lastIndex = this.#at;
    const match = rest.exec(this.#text);
    if (match === null) throw new SyntaxError('no value');
    this.#at = rest.lastIndex;
    // Half a fraction or exponent (`1.`, `1e`) is no number.
    if (match[1] !== undefined) {
      if (/[.eE]/.test(this.#text[this.#at] ?? '')) throw new SyntaxError('no number');
      return new Digits(match[1]);
    }
    return match[4] === undefined ? match[2] !== undefined : null;
  }

  #object(depth: number): Exact {
    const out = new Map<string, Exact>();
    this.#at++;
    this.#space();
    if (this.#take('}')) return out;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw new SyntaxError('no key');
      const key = this.#string();
      this.#space();
      if (!this.#take(':')) throw new SyntaxError('no colon');
      out.set(key, this.value(depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take('}')) throw new SyntaxError('object not closed');
    return out;
  }

  #list(depth: number): Exact {
    const out: Exact[] = [];
    this.#at++;
    this.#space();
    if (this.#take(']')) return out;
    do {
      out.push(this.value(depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take(']')) throw new SyntaxError('list not closed');
    return out;
  }

  #string(): string {
    const start = this.#at;
    for (let end = this.#text.indexOf('"', start + 1); end >= 0; end = this.#text.indexOf('"', end + 1)) {
      let slashes = 0;
      while (this.#text[end - 1 - slashes] === '\\') slashes++;
      if (slashes % 2 === 1) continue;
      this.#at = end + 1;
      return JSON.parse(this.#text.slice(start, end + 1)) as string;
    }
    throw new SyntaxError('string not closed');
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }
  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false;
    this.#at++;
    return true;
  }
}

/** The entries of an object, undefined for anything else. */
export function entriesOf(value: Exact): [string, Exact][] | undefined {
  if (value instanceof Map) return [...value];
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Digits) return undefined;
  return Object.entries(value as { [key: string]: Exact });
}

const plainWord = /^[\w\-.:/ ]*$/;
/** A text as Go prints it inside JSON. Half a surrogate pair is U+FFFD, as Go's decoder makes it. */
export const quote = (text: string): string =>
  (text.length < 64 && plainWord.test(text) ? `"${text}"` : goEscape(JSON.stringify(text.isWellFormed() ? text : text.toWellFormed())));

const knownQuotes = new Map<string, string>();
const mostKnown = 500, longestKnown = 200;
/** The same for texts that come again and again, names and types: found instead of made. */
export function quoteKnown(text: string): string {
  const known = knownQuotes.get(text);
  if (known !== undefined) return known;
  const quoted = quote(text);
  if (text.length <= longestKnown) {
    if (knownQuotes.size >= mostKnown) knownQuotes.clear();
    knownQuotes.set(text, quoted);
  }
  return quoted;
}

/** JSON text with the keys of every object in byte order. */
export function printExact(value: Exact): string {
  if (isInOrder(value, 0)) {
    const text = JSON.stringify(value);
    if (!text.includes('\\ud')) return goEscape(text); // else it may hold half a surrogate pair
  }
  return printLevel(value, 0);
}

/** Whether JSON.stringify prints it as it is to be: a plain value, its keys in byte order. */
function isInOrder(value: Exact, depth: number): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (value instanceof Map || value instanceof Digits || depth >= mostNested) return false;
  if (Array.isArray(value)) return (value as readonly Exact[]).every((item) => isInOrder(item, depth + 1));
  const plain = value as { readonly [key: string]: Exact };
  let last: string | undefined;
  for (const key in plain) {
    if ((last !== undefined && compareBytes(last, key) > 0) || !isInOrder(plain[key] as Exact, depth + 1)) return false;
    last = key;
  }
  return true;
}

/** Deeper than this it goes without recursion, since a request may be deeper than the stack. */
const mostNested = 500;
function printLevel(value: Exact, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (value instanceof Digits) return value.text;
  if (depth >= mostNested) return printDeep(value);
  if (Array.isArray(value)) return `[${(value as readonly Exact[]).map((item) => printLevel(item, depth + 1)).join(',')}]`;
  return printObject((entriesOf(value) as [string, Exact][]).map(([key, item]) => [key, printLevel(item, depth + 1)]));
}

function printDeep(value: Exact): string {
  let out = '';
  /** What is still to be printed, last first; a string is text as it stands. */
  const left: (string | { readonly of: Exact })[] = [{ of: value }];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (typeof at === 'string') {
      out += at;
      continue;
    }
    const { of } = at;
    const entries = entriesOf(of);
    if (entries !== undefined) {
      out += '{';
      left.push('}');
      entries.sort((a, b) => compareBytes(b[0], a[0])); // last first
      for (const [i, [key, item]] of entries.entries()) left.push({ of: item }, `${i < entries.length - 1 ? ',' : ''}${quote(key)}:`);
    } else if (Array.isArray(of)) {
      out += '[';
      left.push(']');
      for (let i = of.length - 1; i >= 0; i--) left.push({ of: of[i] as Exact }, i > 0 ? ',' : '');
    } else out += printLevel(of, 0);
  }
  return out;
}

/** JSON text of an object whose values are JSON text already; sorts the entries in place. */
export function printObject(entries: [string, string][]): string {
  entries.sort((a, b) => compareBytes(a[0], b[0]));
  let out = '';
  for (const [key, text] of entries) out += `${out === '' ? '' : ','}${quote(key)}:${text}`;
  return `{${out}}`;
}

/** Go's JSON of a map of texts. */
export function printTexts(texts: Readonly<Record<string, string>>): string {
  const keys = Object.keys(texts);
  return keys.length === 0 ? '{}' : printObject(keys.map((key) => [key, quote(texts[key] as string)]));
}

/** Order of the UTF-8 bytes of two texts. */
export function compareBytes(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}
// In UTF-16 the code points above U+FFFF (as surrogates) come before U+E000; in UTF-8 they come last.
const rank = (unit: number) => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
