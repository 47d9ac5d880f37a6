// JSON that already stands in a text as printExact would print it, which most of what apps send does: it is taken as it is, neither parsed nor printed.
import { goEscape } from './go-json.ts';
import { compareBytes, parseExact, printExact } from './json-exact.ts';

const mostNested = 500;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const literals = new Map([[0x74, 'true'], [0x66, 'false'], [0x6e, 'null']]);

/** Finds where values end, as long as they stand with their keys in byte order and without blanks. Each method returns false where they do not. */
class Reader {
  readonly text: string;
  at = 0;
  #strings = 0;
  constructor(text: string) {
    this.text = text;
  }

  value(depth: number): boolean {
    const { text, at } = this;
    const first = text.charCodeAt(at);
    if (first === 0x22) return this.string();
    if (first === 0x7b) return depth < mostNested && this.object(depth + 1);
    if (first === 0x5b) return depth < mostNested && this.list(depth + 1);
    const literal = literals.get(first);
    if (literal !== undefined) {
      this.at += literal.length;
      return text.startsWith(literal, at);
    }
    number.lastIndex = at;
    if (!number.test(text)) return false;
    this.at = number.lastIndex;
    return true;
  }

  /** Up to the next quote: whether it is an escaped one is asked in the end. */
  string(): boolean {
    const end = this.text.charCodeAt(this.at) === 0x22 ? this.text.indexOf('"', this.at + 1) : -1;
    this.at = end + 1;
    this.#strings++;
    return end >= 0;
  }

  /** Goes on behind the string where it is this one, which has no quotes. */
  isString(known: string): boolean {
    const { text, at } = this;
    const end = at + 1 + known.length;
    if (text.charCodeAt(at) !== 0x22 || text.charCodeAt(end) !== 0x22 || !text.startsWith(known, at + 1)) return false;
    this.at = end + 1;
    this.#strings++;
    return true;
  }

  is(character: number): boolean {
    if (this.text.charCodeAt(this.at) !== character) return false;
    this.at++;
    return true;
  }

  list(depth: number): boolean {
    this.at++;
    if (this.is(0x5d)) return true;
    do if (!this.value(depth)) return false;
    while (this.is(0x2c));
    return this.is(0x5d);
  }

  object(depth: number): boolean {
    this.at++;
    if (this.is(0x7d)) return true;
    let last: string | undefined;
    do {
      const start = this.at + 1;
      if (!this.string()) return false;
      const key = this.text.slice(start, this.at - 1);
      if ((last !== undefined && compareBytes(last, key) >= 0) || !this.is(0x3a) || !this.value(depth)) return false;
      last = key;
    } while (this.is(0x2c));
    return this.is(0x7d);
  }

  /** That is all of the text, and in no string stands what is an escape, or would be one in Go's or JavaScript's printing. */
  isAll(): boolean {
    const { text } = this;
    if (this.at !== text.length || goEscape(text) !== text) return false;
    // printed as a string it is longer by two quotes, and by the escapes of those that stand in it
    return JSON.stringify(text).length === text.length + 2 + 2 * this.#strings;
  }
}

/** JSON text of the first value in a text, as printExact prints it; undefined where there is none. */
export function canonical(text: string): string | undefined {
  const reader = new Reader(text);
  if (reader.value(0) && reader.isAll()) return text;
  const exact = parseExact(text);
  return exact === undefined ? undefined : printExact(exact);
}

/** An object's members: their names, which objects share where they have the same, and beside each its value as JSON text. */
export interface Members {
  names: readonly string[];
  values: string[];
}

/** The members of the objects of a list, as printExact prints them; undefined where the text is anything else or stands otherwise, which may also be JSON. */
export function membersOf(text: string): Members[] | undefined {
  const reader = new Reader(text);
  const objects: Members[] = [];
  if (!reader.is(0x5b)) return undefined;
  if (!reader.is(0x5d)) {
    let names: readonly string[] = [];
    do {
      const members = readMembers(reader, names);
      if (members === undefined) return undefined;
      objects.push(members);
      names = members.names;
    } while (reader.is(0x2c));
    if (!reader.is(0x5d)) return undefined;
  }
  return reader.isAll() ? objects : undefined;
}

/** In any order; mostly that of the object before. */
function readMembers(reader: Reader, usual: readonly string[]): Members | undefined {
  const values: string[] = [];
  let own: string[] | undefined;
  if (!reader.is(0x7b)) return undefined;
  if (!reader.is(0x7d)) {
    do {
      const at = values.length;
      if (own !== undefined || at >= usual.length || !reader.isString(usual[at] as string)) {
        const start = reader.at + 1;
        if (!reader.string()) return undefined;
        const name = reader.text.slice(start, reader.at - 1);
        own ??= usual.slice(0, at);
        // of a name that comes twice the last would count
        if (own.includes(name)) return undefined;
        own.push(name);
      }
      const start = reader.at + 1;
      if (!reader.is(0x3a) || !reader.value(1)) return undefined;
      values.push(reader.text.slice(start, reader.at));
    } while (reader.is(0x2c));
    if (!reader.is(0x7d)) return undefined;
  }
  return { names: own ?? (values.length === usual.length ? usual : usual.slice(0, values.length)), values };
}
