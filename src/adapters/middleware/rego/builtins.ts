// The built-in functions of Rego that Outrigger has. One that fails (a text that is no number, say) has no value, as in OPA.
import { fromBase64 } from '../../../core/base64.ts';
import { parseQuery, escapeQuery, encodeQuery } from '../url.ts';
import type { Builtin } from './evaluate.ts';
import { lookup } from './evaluate.ts';
import { cidrContains } from './cidr.ts';
import { globPattern } from './glob.ts';
import { sprintf } from './sprintf.ts';
import { timeBuiltins } from './time.ts';
import { compare, equal, fromJson, isArray, RegoObject, RegoSet, toJson, typeName, type Value } from './value.ts';

/** RE2, compiled; throws where the pattern is none. */
export type Compile = (pattern: string) => { test(text: string): boolean; all(text: string, most: number): string[][]; split(text: string): string[]; replace(text: string, by: string): string };

const text = (value: Value): value is string => typeof value === 'string';
const num = (value: Value): value is number => typeof value === 'number';
const whole = (value: Value): value is number => Number.isInteger(value);
const items = (value: Value): readonly Value[] | undefined => (isArray(value) ? value : value instanceof RegoSet ? value.sorted() : undefined);
const texts = (value: Value): string[] | undefined => {
  const list = items(value) ?? (text(value) ? [value] : undefined);
  return list?.every(text) ? (list as string[]) : undefined;
};
const characters = (value: string): string[] => [...value];
const numbers = (value: Value): number[] | undefined => {
  const list = items(value);
  return list?.every(num) ? (list as number[]) : undefined;
};

/** A function of texts, without a value for anything else. */
const ofTexts = (count: number, run: (...args: string[]) => Value | undefined): Builtin => (...args) => (args.length >= count && args.slice(0, count).every(text) ? run(...(args as string[])) : undefined);
const ofNumbers = (run: (a: number, b: number) => number | undefined): Builtin => (a, b) => {
  const result = num(a as Value) && num(b as Value) ? run(a as number, b as number) : undefined;
  return result === undefined || !Number.isFinite(result) ? undefined : result;
};
const rounded = (round: (value: number) => number): Builtin => (a) => (num(a as Value) ? round(a as number) : undefined);
const isType = (type: string): Builtin => (a) => typeName(a as Value) === type;

const member = (item: Value, of: Value): boolean => (of instanceof RegoObject ? [...of.entries.values()].some(([, value]) => equal(value, item)) : (items(of) ?? []).some((value) => equal(value, item)));
const extreme = (pick: (order: number) => boolean): Builtin => (of) => {
  const list = items(of as Value);
  return list === undefined || list.length === 0 ? undefined : list.reduce((best, value) => (pick(compare(value, best)) ? value : best));
};
const merged = (a: RegoObject, b: RegoObject): RegoObject =>
  new RegoObject([...a.entries.values(), ...[...b.entries.values()].map(([key, value]) => {
    const before = a.get(key);
    return [key, before instanceof RegoObject && value instanceof RegoObject ? merged(before, value) : value] as const;
  })]);
const keysOf = (value: Value): RegoSet => new RegoSet(value instanceof RegoObject ? value.sorted().map(([key]) => key) : (items(value) ?? []));

const utf8 = new TextEncoder();
const decoded = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const base64 = (value: string): string => btoa(Array.from(utf8.encode(value), (byte) => String.fromCharCode(byte)).join(''));
/** With or without padding. */
const urlBytes = (value: string): Uint8Array => {
  const plain = value.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  return fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, '='));
};
const fromUrlBase64 = (value: string): string | undefined => attempt(() => decoded(urlBytes(value)));
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}
const json = (value: string): Value | undefined => attempt(() => fromJson(JSON.parse(value)));
const trim = (value: string, set: string, left: boolean, right: boolean): string => {
  const list = characters(value);
  while (left && list.length > 0 && set.includes(list[0] as string)) list.shift();
  while (right && list.length > 0 && set.includes(list.at(-1) as string)) list.pop();
  return list.join('');
};
const goString = (value: Value): string => JSON.stringify(toJson(value)).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Header and payload, and the signature in hex, of a JWT that nobody has verified. */
const decodeJwt: Builtin = (token) => {
  const parts = text(token as Value) ? (token as string).split('.') : [];
  const [head, payload] = parts.slice(0, 2).map((part) => fromUrlBase64(part)).map((part) => (part === undefined ? undefined : json(part)));
  const signature = attempt(() => urlBytes(parts[2] ?? ''));
  if (parts.length !== 3 || !(head instanceof RegoObject) || !(payload instanceof RegoObject) || signature === undefined) return undefined;
  return [head, payload, Array.from(signature, (byte) => byte.toString(16).padStart(2, '0')).join('')];
};

/** How many arguments each takes. One more, at the end of a statement, is what the result is to be: `count(xs, n)`. */
const arities: readonly string[] = [
  'time.now_ns',
  'abs ceil floor round to_number count sum product max min sort all any array.reverse intersection union object.keys object.union_n lower upper trim_space strings.reverse regex.is_valid glob.quote_meta json.marshal json.unmarshal json.is_valid base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad base64url.decode hex.encode hex.decode urlquery.encode urlquery.decode urlquery.decode_object urlquery.encode_object io.jwt.decode type_name is_null is_boolean is_number is_string is_array is_object is_set cast_array trace time.parse_rfc3339_ns time.parse_duration_ns time.date time.clock time.weekday',
  'net.cidr_contains equal neq lt lte gt gte plus minus mul div rem and or internal.member_2 numbers.range array.concat object.remove object.filter object.union concat contains startswith endswith split indexof indexof_n trim trim_left trim_right trim_prefix trim_suffix sprintf format_int strings.count strings.any_prefix_match strings.any_suffix_match strings.replace_n regex.match re_match regex.split',
  'internal.member_3 array.slice object.get replace substring regex.replace regex.find_n regex.find_all_string_submatch_n glob.match',
  'time.add_date',
];
const arityOf = new Map(arities.flatMap((names, count) => names.split(' ').map((name) => [name, count] as const)));
/** undefined: there is no such function; -1: it takes any number of arguments. */
export const builtinArity = (name: string): number | undefined => (name === 'print' ? -1 : arityOf.get(name));

export function createBuiltins(compile: Compile): ReadonlyMap<string, Builtin> {
  const compiled = new Map<string, ReturnType<Compile> | undefined>();
  const regexp = (pattern: string): ReturnType<Compile> | undefined => {
    if (!compiled.has(pattern)) {
      if (compiled.size >= 500) compiled.clear(); // patterns may come from requests
      compiled.set(pattern, attempt(() => compile(pattern)));
    }
    return compiled.get(pattern);
  };
  const matches = ofTexts(2, (pattern, value) => regexp(pattern)?.test(value));

  const all: Record<string, Builtin> = {
    // comparison and arithmetic
    equal: (a, b) => equal(a as Value, b as Value),
    neq: (a, b) => !equal(a as Value, b as Value),
    lt: (a, b) => compare(a as Value, b as Value) < 0,
    lte: (a, b) => compare(a as Value, b as Value) <= 0,
    gt: (a, b) => compare(a as Value, b as Value) > 0,
    gte: (a, b) => compare(a as Value, b as Value) >= 0,
    plus: ofNumbers((a, b) => a + b),
    mul: ofNumbers((a, b) => a * b),
    div: ofNumbers((a, b) => (b === 0 ? undefined : a / b)),
    rem: ofNumbers((a, b) => (whole(a) && whole(b) && b !== 0 ? a % b : undefined)),
    minus: (a, b) => (a instanceof RegoSet && b instanceof RegoSet ? new RegoSet(a.sorted().filter((item) => !b.has(item))) : num(a as Value) && num(b as Value) ? (a as number) - (b as number) : undefined),
    and: (a, b) => (a instanceof RegoSet && b instanceof RegoSet ? new RegoSet(a.sorted().filter((item) => b.has(item))) : undefined),
    or: (a, b) => (a instanceof RegoSet && b instanceof RegoSet ? new RegoSet([...a.items.values(), ...b.items.values()]) : undefined),
    abs: rounded(Math.abs), ceil: rounded(Math.ceil), floor: rounded(Math.floor),
    round: rounded((a) => Math.sign(a) * Math.round(Math.abs(a))),
    'numbers.range': (a, b) => (whole(a as Value) && whole(b as Value) ? Array.from({ length: Math.abs((b as number) - (a as number)) + 1 }, (_, i) => (a as number) + (a! <= b! ? i : -i)) : undefined),
    to_number: (a) => (a === null ? 0 : typeof a === 'boolean' ? Number(a) : num(a as Value) ? (a as number) : text(a as Value) && /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/.test(a as string) ? Number(a) : undefined),
    // collections
    'internal.member_2': (item, of) => member(item as Value, of as Value),
    'internal.member_3': (key, item, of) => { const found = of === undefined || of instanceof RegoSet ? undefined : lookup(of, key as Value); return found !== undefined && equal(found, item as Value); },
    count: (a) => (text(a as Value) ? characters(a as string).length : isArray(a as Value) ? (a as readonly Value[]).length : a instanceof RegoObject || a instanceof RegoSet ? a.size : undefined),
    sum: (a) => numbers(a as Value)?.reduce((x, y) => x + y, 0),
    product: (a) => numbers(a as Value)?.reduce((x, y) => x * y, 1),
    max: extreme((order) => order > 0),
    min: extreme((order) => order < 0),
    sort: (a) => { const list = items(a as Value); return list && [...list].sort(compare); },
    all: (a) => items(a as Value)?.every((item) => item === true),
    any: (a) => items(a as Value)?.some((item) => item === true),
    'array.concat': (a, b) => (isArray(a as Value) && isArray(b as Value) ? [...(a as readonly Value[]), ...(b as readonly Value[])] : undefined),
    'array.reverse': (a) => (isArray(a as Value) ? [...(a as readonly Value[])].reverse() : undefined),
    'array.slice': (a, from, to) => (isArray(a as Value) && whole(from as Value) && whole(to as Value) ? (a as readonly Value[]).slice(Math.max(0, from as number), Math.max(0, from as number, to as number)) : undefined),
    intersection: (a) => (a instanceof RegoSet ? new RegoSet(a.sorted().every((set) => set instanceof RegoSet) ? (a.sorted()[0] as RegoSet | undefined)?.sorted().filter((item) => a.sorted().every((set) => (set as RegoSet).has(item))) ?? [] : []) : undefined),
    union: (a) => (a instanceof RegoSet ? new RegoSet(a.sorted().flatMap((set) => (set instanceof RegoSet ? set.sorted() : []))) : undefined),
    'object.get': (a, key, fallback) => {
      if (!(a instanceof RegoObject)) return undefined;
      if (!isArray(key as Value)) return a.get(key as Value) ?? fallback;
      let at: Value | undefined = a;
      for (const step of key as readonly Value[]) at = at === undefined ? undefined : lookup(at, step);
      return at ?? fallback;
    },
    'object.keys': (a) => (a instanceof RegoObject ? keysOf(a) : undefined),
    'object.remove': (a, keys) => (a instanceof RegoObject ? new RegoObject([...a.entries.values()].filter(([key]) => !keysOf(keys as Value).has(key))) : undefined),
    'object.filter': (a, keys) => (a instanceof RegoObject ? new RegoObject([...a.entries.values()].filter(([key]) => keysOf(keys as Value).has(key))) : undefined),
    'object.union': (a, b) => (a instanceof RegoObject && b instanceof RegoObject ? merged(a, b) : undefined),
    'object.union_n': (a) => (isArray(a as Value) && (a as readonly Value[]).every((item) => item instanceof RegoObject) ? (a as RegoObject[]).reduce(merged, new RegoObject()) : undefined),
    // texts
    concat: (by, list) => { const parts = items(list as Value); return text(by as Value) && parts?.every(text) ? parts.join(by as string) : undefined; },
    contains: ofTexts(2, (a, b) => a.includes(b)),
    startswith: ofTexts(2, (a, b) => a.startsWith(b)),
    endswith: ofTexts(2, (a, b) => a.endsWith(b)),
    lower: ofTexts(1, (a) => a.toLowerCase()),
    upper: ofTexts(1, (a) => a.toUpperCase()),
    split: ofTexts(2, (a, by) => (by === '' ? characters(a) : a.split(by))),
    replace: ofTexts(3, (a, old, by) => a.replaceAll(old, () => by)),
    indexof: ofTexts(2, (a, b) => { const at = a.indexOf(b); return b === '' ? undefined : at < 0 ? -1 : characters(a.slice(0, at)).length; }),
    indexof_n: ofTexts(2, (a, b) => { const found: number[] = []; for (let at = a.indexOf(b); b !== '' && at >= 0; at = a.indexOf(b, at + 1)) found.push(characters(a.slice(0, at)).length); return found; }),
    substring: (a, from, length) => (text(a as Value) && whole(from as Value) && whole(length as Value) && (from as number) >= 0 ? characters(a as string).slice(from as number, (length as number) < 0 ? undefined : (from as number) + (length as number)).join('') : undefined),
    trim: ofTexts(2, (a, set) => trim(a, set, true, true)),
    trim_left: ofTexts(2, (a, set) => trim(a, set, true, false)),
    trim_right: ofTexts(2, (a, set) => trim(a, set, false, true)),
    trim_prefix: ofTexts(2, (a, b) => (a.startsWith(b) ? a.slice(b.length) : a)),
    trim_suffix: ofTexts(2, (a, b) => (b !== '' && a.endsWith(b) ? a.slice(0, -b.length) : a)),
    trim_space: ofTexts(1, (a) => a.trim()),
    sprintf: (format, values) => (text(format as Value) && isArray(values as Value) ? sprintf(format as string, values as readonly Value[]) : undefined),
    format_int: (a, base) => (num(a as Value) && [2, 8, 10, 16].includes(base as number) ? Math.floor(a as number).toString(base as number) : undefined),
    'strings.reverse': ofTexts(1, (a) => characters(a).reverse().join('')),
    'strings.count': ofTexts(2, (a, b) => (b === '' ? characters(a).length + 1 : a.split(b).length - 1)),
    'strings.any_prefix_match': (a, b) => { const [x, y] = [texts(a as Value), texts(b as Value)]; return x && y && x.some((value) => y.some((prefix) => value.startsWith(prefix))); },
    'strings.any_suffix_match': (a, b) => { const [x, y] = [texts(a as Value), texts(b as Value)]; return x && y && x.some((value) => y.some((suffix) => value.endsWith(suffix))); },
    'strings.replace_n': (patterns, a) => {
      if (!(patterns instanceof RegoObject) || !text(a as Value)) return undefined;
      const pairs = patterns.sorted();
      if (!pairs.every(([old, by]) => text(old) && text(by) && old !== '')) return undefined;
      let out = '';
      for (let at = 0; at < (a as string).length; ) {
        const pair = pairs.find(([old]) => (a as string).startsWith(old as string, at));
        out += pair ? (pair[1] as string) : ((a as string)[at] as string);
        at += pair ? (pair[0] as string).length : 1;
      }
      return out;
    },
    // patterns
    'regex.match': matches,
    re_match: matches,
    'regex.is_valid': (pattern) => text(pattern as Value) && regexp(pattern as string) !== undefined,
    'regex.split': ofTexts(2, (pattern, value) => regexp(pattern)?.split(value)),
    'regex.replace': ofTexts(3, (value, pattern, by) => regexp(pattern)?.replace(value, by)),
    'regex.find_n': (pattern, value, most) => (text(pattern as Value) && text(value as Value) && whole(most as Value) ? regexp(pattern as string)?.all(value as string, most as number).map((groups) => groups[0] as string) : undefined),
    'regex.find_all_string_submatch_n': (pattern, value, most) => (text(pattern as Value) && text(value as Value) && whole(most as Value) ? regexp(pattern as string)?.all(value as string, most as number) : undefined),
    'glob.match': (glob, delimiters, value) => (text(glob as Value) && text(value as Value) && (delimiters === null || isArray(delimiters as Value)) ? regexp(globPattern(glob as string, delimiters as readonly string[] | null))?.test(value as string) : undefined),
    'glob.quote_meta': ofTexts(1, (glob) => glob.replace(/[*?\\[\]{}]/g, '\\$&')),
    // encodings
    'json.marshal': (a) => goString(a as Value),
    'json.unmarshal': ofTexts(1, json),
    'json.is_valid': (a) => text(a as Value) && json(a as string) !== undefined,
    'base64.encode': ofTexts(1, base64),
    'base64.decode': ofTexts(1, (a) => attempt(() => decoded(fromBase64(a)))),
    'base64.is_valid': (a) => text(a as Value) && attempt(() => fromBase64(a as string)) !== undefined,
    'base64url.encode': ofTexts(1, (a) => base64(a).replaceAll('+', '-').replaceAll('/', '_')),
    'base64url.encode_no_pad': ofTexts(1, (a) => base64(a).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')),
    'base64url.decode': ofTexts(1, fromUrlBase64),
    'hex.encode': ofTexts(1, (a) => Array.from(utf8.encode(a), (byte) => byte.toString(16).padStart(2, '0')).join('')),
    'hex.decode': ofTexts(1, (a) => (/^([0-9a-fA-F]{2})*$/.test(a) ? decoded(Uint8Array.from(a.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))) : undefined)),
    'urlquery.encode': ofTexts(1, escapeQuery),
    'urlquery.decode': ofTexts(1, (a) => (/%(?![0-9a-fA-F]{2})/.test(a) ? undefined : parseQuery(`=${a.replaceAll('&', '%26').replaceAll(';', '%3B')}`)[0]?.[1])),
    'urlquery.decode_object': ofTexts(1, (a) => {
      const groups = new Map<string, string[]>();
      for (const [name, value] of parseQuery(a)) groups.set(name, [...(groups.get(name) ?? []), value]);
      return new RegoObject(groups);
    }),
    'urlquery.encode_object': (a) => (a instanceof RegoObject ? encodeQuery(a.sorted().flatMap(([name, value]) => (texts(value) ?? []).map((one) => [String(name), one] as const))) : undefined),
    'io.jwt.decode': decodeJwt,
    'net.cidr_contains': ofTexts(2, cidrContains),
    // types
    type_name: (a) => typeName(a as Value),
    is_null: isType('null'), is_boolean: isType('boolean'), is_number: isType('number'), is_string: isType('string'), is_array: isType('array'), is_object: isType('object'), is_set: isType('set'),
    cast_array: (a) => items(a as Value),
    print: () => true,
    trace: () => true,
    ...timeBuiltins,
  };
  return new Map(Object.entries(all));
}
