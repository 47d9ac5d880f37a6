// Values of Avro's types as JSON text, read and written as goavro does: plain JSON, where a union's value stands for itself, or Avro's own, where the name of its type stands around it (linkedin/goavro text.go, bytes.go, map.go, union.go).
import { parseFirst, textOfBytes, utf8 } from '../../core/go-json.ts';
import { goQuote } from '../../core/go-quote.ts';
import { type AvroType, type AvroValue, decimalBytes, onlyEntry, prefixed, unscaled, within } from './avro-value.ts';

const short = 'short buffer';
const escapes: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const integer = /-?(?:0|[1-9]\d*)/y;
const float = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const hex = /[0-9A-Fa-f]{4}/y;

/** `plain`: unions as in usual JSON: the value goes to the first of their types that takes it. What follows the value is ignored. Throws an Error in goavro's words. */
export function parseAvroJson(type: AvroType, bytes: Uint8Array, plain: boolean): AvroValue {
  const text = textOfBytes(bytes);
  let at = 0;
  const fail = (message: string): never => { throw new Error(message); };
  /** What a pattern takes from here on; '' where it does not fit. */
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? '';
    at += found.length;
    return found;
  };
  const next = (word: string): boolean => {
    if (!text.startsWith(word, at)) return false;
    at += word.length;
    return true;
  };
  /** The next sign that is no white space; it stays. */
  const sign = (): string => {
    for (let code = text.charCodeAt(at); code === 0x20 || (code >= 0x09 && code <= 0x0d); code = text.charCodeAt(at)) at++;
    return at < text.length ? (text[at] as string) : fail(short);
  };
  const expect = (expected: string): void => {
    const actual = sign();
    if (actual !== expected) fail(`expected: '${expected}'; actual: ${goChar(actual)}`);
    at++;
  };

  /** A text in quotes: `add` gets its pieces, `unicode` is called behind each `\u`. */
  const quoted = (what: 'string' | 'bytes', add: (piece: string) => void, unicode: () => void): void => {
    if (text.length - at < 2) fail(`cannot decode textual ${what}: ${short}`);
    if (text[at] !== '"') fail(`cannot decode textual ${what}: expected initial "; found: ${codePoint(text[at])}`);
    for (let from = ++at; ; from = at) {
      for (let code = text.charCodeAt(at); at < text.length && code !== 0x22 && code !== 0x5c; ) code = text.charCodeAt(++at);
      if (at > from) add(text.slice(from, at));
      if (at >= text.length) throw new Error(`cannot decode textual ${what}: expected final "; found: ${what === 'bytes' ? codePoint(text.at(-1)) : (text.at(-1) as string).charCodeAt(0).toString(16)}`);
      if (text[at++] === '"') return;
      const escaped = text[at++];
      if (escaped === undefined) throw new Error(`cannot decode textual ${what}: ${what === 'bytes' ? `expected final "; found: ${codePoint('\\')}` : short}`);
      if (escaped === 'u') unicode();
      else add(escapes[escaped] ?? escaped);
    }
  };
  const unit = (what: string): number => {
    const digits = take(hex);
    return digits === '' ? fail(`cannot decode textual ${what}: ${text.length - at < 4 ? short : `encoding/hex: invalid byte: ${codePoint(/[^0-9A-Fa-f]/.exec(text.slice(at))?.[0])}`}`) : Number.parseInt(digits, 16);
  };
  const string = (): string => {
    let value = '';
    const add = (piece: string): void => { value += piece; };
    quoted('string', add, () => {
      const first = unit('string');
      if (first < 0xd800 || first > 0xdfff) return add(String.fromCharCode(first));
      if (!next('\\u')) fail('cannot decode textual string: missing second half of surrogate pair');
      const pair = String.fromCharCode(first, unit('string'));
      add(pair.isWellFormed() ? pair : '\ufffd');
    });
    return value;
  };
  // Each \u00XX is a byte; a sign that is not escaped stands for its bytes in UTF-8.
  const raw = (): Uint8Array => {
    const value: number[] = [];
    quoted('bytes', (piece) => value.push(...utf8(piece)), () => value.push(unit('bytes') & 0xff));
    return Uint8Array.from(value);
  };
  const number = (pattern: RegExp): string => {
    const start = at;
    const digits = take(pattern);
    if (digits !== '') return digits;
    const wrong = text[text[start] === '-' ? start + 1 : start];
    return fail(wrong === undefined ? short : `unexpected byte: ${goChar(wrong)}`);
  };
  const whole = (bits: 32 | 64): number | bigint => {
    const digits = number(integer);
    const near = Number(digits);
    if (bits === 32 ? near >= -0x80000000 && near <= 0x7fffffff : Number.isSafeInteger(near)) return near;
    const value = BigInt(digits);
    return BigInt.asIntN(bits, value) === value ? value : fail(`strconv.ParseInt: parsing ${goQuote(digits)}: value out of range`);
  };
  const real = (bits: 32 | 64): number => {
    if (next('null')) return Number.NaN;
    if (next('1e999')) return Number.POSITIVE_INFINITY;
    if (next('-1e999')) return Number.NEGATIVE_INFINITY;
    const digits = number(float);
    // Behind a point or an exponent's sign there must be a digit.
    const begun = /[eE]/.test(digits) ? null : (digits.includes('.') ? /^[eE][+-]?/ : /^(?:\.|[eE][+-]?)/).exec(text.slice(at, at + 2));
    if (begun !== null) fail(at + begun[0].length >= text.length ? short : `unexpected byte: ${goChar(text[at + begun[0].length] as string)}`);
    const value = bits === 32 ? Math.fround(Number(digits)) : Number(digits);
    return Number.isFinite(value) ? value : fail(`strconv.ParseFloat: parsing ${goQuote(digits)}: value out of range`);
  };
  const boolean = (): boolean => {
    if (next('true')) return true;
    if (next('false')) return false;
    return fail(text.length - at < 5 ? `cannot decode textual boolean: ${short}` : 'expected false or true');
  };
  /** `typeOf`: the type of a name's value; undefined: no such name. */
  const entries = (typeOf: (name: string) => AvroType | undefined): Map<string, AvroValue> => {
    const values = new Map<string, AvroValue>();
    expect('{');
    if (sign() === '}') {
      at++;
      return values;
    }
    for (;;) {
      let key: string;
      try {
        key = string();
      } catch (error) {
        throw prefixed('cannot decode textual map: expected key: ', error);
      }
      if (values.has(key)) fail(`cannot decode textual map: duplicate key: ${goQuote(key)}`);
      const type = typeOf(key) ?? fail(`cannot decode textual map: cannot determine codec: ${goQuote(key)}`);
      expect(':');
      sign();
      try {
        values.set(key, read(type));
      } catch (error) {
        fail(`${(error as Error).message} for key: ${goQuote(key)}`);
      }
      const after = sign();
      at++;
      if (after === '}') return values;
      if (after !== ',') fail(`cannot decode textual map: expected ',' or '}'; received: ${goChar(after)}`);
      sign();
    }
  };
  const items = (type: AvroType): AvroValue[] => {
    const values: AvroValue[] = [];
    expect('[');
    if (sign() === ']') {
      at++;
      return values;
    }
    for (;;) {
      values.push(read(type));
      const after = sign();
      at++;
      if (after === ']') return values;
      if (after !== ',') fail(`expected ',' or ']'; received: ${goChar(after)}`);
      sign();
    }
  };
  const record = (type: Extract<AvroType, { kind: 'record' }>): Map<string, AvroValue> => {
    const values = entries((name) => type.byName.get(name)?.type);
    for (const { name, fallback } of type.fields) if (fallback !== undefined && !values.has(name)) values.set(name, fallback);
    return values.size === type.fields.length ? values : fail(`only found ${values.size} of ${type.fields.length} fields`);
  };
  const tagged = (type: Extract<AvroType, { kind: 'union' }>): AvroValue => {
    if (type.indexOf.has('null') && next('null')) return null;
    return entries((name) => type.members[type.indexOf.get(name) ?? -1]);
  };
  /** goavro's order: numbers and objects try the types by their names, so that `double` comes before `int`; all else as the schema has them. */
  const untagged = (type: Extract<AvroType, { kind: 'union' }>): AvroValue => {
    const start = at;
    const first = sign();
    at = start;
    if (first === 'n' && type.indexOf.has('null') && next('null')) return null;
    const members = first === '{' || first === '-' || (first >= '0' && first <= '9') ? type.ordered : type.members;
    for (const member of members) {
      if (member.kind === 'null') continue;
      try {
        return new Map([[member.name, read(member)]]);
      } catch {
        at = start;
      }
    }
    parseFirst(text.slice(start)); // where it is no JSON at all, that is said
    return fail(`could not decode any json data in input ${text.slice(start)}`);
  };
  const read = (type: AvroType): AvroValue => {
    switch (type.kind) {
      case 'null': return next('null') ? null : fail(text.length - at < 4 ? `cannot decode textual null: ${short}` : 'cannot decode textual null: expected: null');
      case 'boolean': return boolean();
      case 'int': return whole(32);
      case 'long': return whole(64);
      case 'float': return real(32);
      case 'double': return real(64);
      case 'string': return string();
      case 'bytes': return raw();
      case 'decimal': return unscaled(type.size === undefined ? raw() : sized(type.name, type.size));
      case 'fixed': return sized(type.name, type.size);
      case 'enum': {
        sign();
        const symbol = within('cannot decode textual enum: expected key: ', string);
        return type.symbols.includes(symbol) ? symbol : fail(`cannot decode textual enum ${goQuote(type.name)}: value ought to be member of symbols: [${type.symbols.join(' ')}]; ${goQuote(symbol)}`);
      }
      case 'array': return within('cannot decode textual array: ', () => items(type.items));
      case 'map': return entries(() => type.values);
      case 'record':
        try {
          return record(type);
        } catch (error) {
          throw prefixed(`cannot decode textual record ${goQuote(type.name)}: `, error);
        }
      case 'union': return plain ? untagged(type) : within('cannot decode textual union: ', () => tagged(type));
    }
  };
  const sized = (name: string, size: number): Uint8Array => {
    if (size > text.length - at) fail(`cannot decode textual fixed ${goQuote(name)}: schema size exceeds remaining buffer size: ${size} > ${text.length - at} (short buffer)`);
    const bytes = raw();
    return bytes.length === size ? bytes : fail(`cannot decode textual fixed ${goQuote(name)}: datum size ought to equal schema size: ${bytes.length} != ${size}`);
  };
  return read(type);
}

/** JSON text of a value that readAvro gave; ASCII only, as goavro's. */
export function formatAvroJson(type: AvroType, value: AvroValue, plain: boolean): string {
  switch (type.kind) {
    case 'null': return 'null';
    case 'boolean':
    case 'int':
    case 'long': return String(value);
    case 'float':
    case 'double': return goFloat(Number(value), type.kind === 'float');
    case 'string':
    case 'enum': return quote(value as string);
    case 'bytes':
    case 'fixed': return quoteBytes(value as Uint8Array);
    case 'decimal': return quoteBytes(decimalBytes(value as bigint, type.size));
    case 'array': return `[${(value as readonly AvroValue[]).map((item) => formatAvroJson(type.items, item, plain)).join(',')}]`;
    case 'map': return `{${[...(value as ReadonlyMap<string, AvroValue>)].map(([key, one]) => `${quote(key)}:${formatAvroJson(type.values, one, plain)}`).join(',')}}`;
    case 'record': return `{${type.fields.map((field) => `${quote(field.name)}:${formatAvroJson(field.type, (value as ReadonlyMap<string, AvroValue>).get(field.name) as AvroValue, plain)}`).join(',')}}`;
    case 'union': {
      if (value === null) return 'null';
      const [name, inner] = onlyEntry(value as ReadonlyMap<string, AvroValue>);
      const text = formatAvroJson(type.members[type.indexOf.get(name) as number] as AvroType, inner, plain);
      return plain ? text : `{${quote(name)}:${text}}`;
    }
  }
}

const named: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '/': '\\/', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const escaped = (unit: string): string => named[unit] ?? `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
const quote = (text: string): string => `"${text.replace(/[^ !#-.0-[\]-~]/g, escaped)}"`;
const quoteBytes = (bytes: Uint8Array): string => quote(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

/** Go's strconv.FormatFloat(value, 'g', -1); what is no number is what goavro writes for it. */
function goFloat(value: number, single: boolean): string {
  if (Number.isNaN(value)) return 'null';
  if (!Number.isFinite(value)) return value > 0 ? '1e999' : '-1e999';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const size = Math.abs(value);
  if (!single && size >= 0.0001 && size < 1e6) return String(value);
  let digits = String(value);
  if (single) for (let precision = 1; precision <= 9; precision++) {
    digits = value.toPrecision(precision);
    if (Math.fround(Number(digits)) === value) break;
  }
  const [mantissa = '', power = ''] = Number(digits).toExponential().split('e') as [string, string];
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 6) return Number(digits).toString();
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
/** Go's %q of a byte and %#U. */
const goChar = (char: string): string => (char === "'" ? "'\\''" : `'${goQuote(char).slice(1, -1).replace('\\"', '"')}'`);
const codePoint = (char: string | undefined): string => (char === undefined ? '' : `U+${(char.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')} '${char}'`);
