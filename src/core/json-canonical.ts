// JSON that already stands in a text as printExact would print it, which most of what apps send does: it is taken as it is instead of printed anew.
import { compareBytes, parseExact, printExact } from './json-exact.ts';

/** Whether Go's encoder would write one of the text's characters as an escape. Escapes that stand in it already are no concern of this. */
const hasEscapable = (text: string): boolean => text.includes('<') || text.includes('>') || text.includes('&') || text.includes('\u2028') || text.includes('\u2029');
const mostNested = 500;
const number = /[-+.\deE]+/y;

/**
 * Where `value` ends that JSON.parse has read from `at` in the text, if it stands there with its keys in byte order, without blanks and
 * escapes; -1 where it does not. Numbers keep the digits they stand with.
 */
function endOf(text: string, at: number, value: unknown, depth = 0): number {
  if (typeof value === 'string') return endOfText(text, at, value);
  if (typeof value === 'number') {
    number.lastIndex = at;
    return number.test(text) ? number.lastIndex : -1;
  }
  if (value === null || typeof value !== 'object') {
    const word = String(value);
    return text.startsWith(word, at) ? at + word.length : -1;
  }
  if (depth >= mostNested) return -1;
  return Array.isArray(value) ? endOfList(text, at, value, depth) : endOfObject(text, at, value as Record<string, unknown>, depth);
}

function endOfText(text: string, at: number, value: string): number {
  const end = at + 1 + value.length;
  // an escape is longer than what it stands for, so a text with one ends elsewhere
  return text.charCodeAt(at) === 0x22 && text.charCodeAt(end) === 0x22 && text.slice(at + 1, end) === value ? end + 1 : -1;
}

function endOfList(text: string, at: number, list: readonly unknown[], depth: number): number {
  if (text.charCodeAt(at) !== 0x5b) return -1;
  let end = at + 1;
  for (let i = 0; i < list.length; i++) {
    if (i > 0 && text.charCodeAt(end++) !== 0x2c) return -1;
    end = endOf(text, end, list[i], depth + 1);
    if (end < 0) return -1;
  }
  return text.charCodeAt(end) === 0x5d ? end + 1 : -1;
}

function endOfObject(text: string, at: number, object: Readonly<Record<string, unknown>>, depth: number): number {
  if (text.charCodeAt(at) !== 0x7b) return -1;
  let end = at + 1;
  let last: string | undefined;
  for (const key in object) {
    if (last !== undefined && (compareBytes(last, key) >= 0 || text.charCodeAt(end++) !== 0x2c)) return -1;
    end = endOfText(text, end, key);
    if (end < 0 || text.charCodeAt(end) !== 0x3a) return -1;
    end = endOf(text, end + 1, object[key], depth + 1);
    if (end < 0) return -1;
    last = key;
  }
  return text.charCodeAt(end) === 0x7d ? end + 1 : -1;
}

/** JSON text of the first value in a text, as printExact prints it; undefined where there is none. */
export function canonical(text: string): string | undefined {
  const value = parsed(text);
  if (value !== undefined && endOf(text, 0, value) === text.length && !hasEscapable(text)) return text;
  const exact = parseExact(text);
  return exact === undefined ? undefined : printExact(exact);
}

/** An object of a list, with the JSON text of one of its members. */
export interface Slice {
  value: Readonly<Record<string, unknown>>;
  /** undefined where the member is absent. */
  text: string | undefined;
}

/**
 * The objects of a list with the text of each one's member `name`, as printExact prints it; undefined where the text is anything
 * else or stands otherwise, which may also be JSON.
 */
export function slices(text: string, name: string): Slice[] | undefined {
  const list = parsed(text);
  if (!Array.isArray(list) || text.charCodeAt(0) !== 0x5b || hasEscapable(text)) return undefined;
  const found: Slice[] = [];
  let end = 1;
  for (const value of list as unknown[]) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
    if (found.length > 0 && text.charCodeAt(end++) !== 0x2c) return undefined;
    if (text.charCodeAt(end++) !== 0x7b) return undefined;
    const slice: Slice = { value: value as Slice['value'], text: undefined };
    let first = true;
    for (const key in slice.value) {
      if (!first && text.charCodeAt(end++) !== 0x2c) return undefined;
      first = false;
      end = endOfText(text, end, key);
      if (end < 0 || text.charCodeAt(end) !== 0x3a) return undefined;
      const start = end + 1;
      end = endOf(text, start, slice.value[key]);
      if (end < 0) return undefined;
      if (key === name) slice.text = text.slice(start, end);
    }
    if (text.charCodeAt(end++) !== 0x7d) return undefined;
    found.push(slice);
  }
  return text.charCodeAt(end) === 0x5d && end + 1 === text.length ? found : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
