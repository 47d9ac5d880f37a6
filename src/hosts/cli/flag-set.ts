// Command-line flags as daprd reads them: the rules of Go's pflag, plus daprd's habit of accepting one dash for two.
import { parseDuration } from '../../core/duration.ts';

export interface FlagValues {
  string: string;
  bool: boolean;
  int: number;
  uint: number;
  /** Milliseconds. */
  duration: number;
  /** Comma-separated per occurrence, appended across occurrences. */
  list: string[];
}
export type FlagKind = keyof FlagValues;

export interface Flag<K extends FlagKind = FlagKind> {
  readonly kind: K;
  readonly default: FlagValues[K];
  /** One sentence for the usage. */
  readonly help: string;
  /** One letter (`-a`), for commands that have such. */
  readonly short?: string;
  /** What to use instead: named on stderr when the flag is given, and left out of the usage. */
  readonly deprecated?: string;
}
export type FlagTable = Readonly<Record<string, Flag>>;
export type ValuesOf<T extends FlagTable> = { [N in keyof T]: FlagValues[T[N]['kind']] };

export interface Parsed<T extends FlagTable> {
  values: ValuesOf<T>;
  /** Flags that were given. */
  changed: ReadonlySet<keyof T & string>;
  /** Words that are no flags. */
  rest: string[];
  /** Lines for stderr about deprecated flags. */
  notices: string[];
  /** Set where parsing stopped: what is wrong, in pflag's words. */
  problem?: { message: string; hint?: string };
  /** `--help` or `-h` was met; parsing stopped there. */
  help: boolean;
}

export const text = (value: string, help: string, more: Partial<Flag> = {}) => ({ kind: 'string', default: value, help, ...more }) as Flag<'string'>;
export const bool = (value: boolean, help: string, more: Partial<Flag> = {}) => ({ kind: 'bool', default: value, help, ...more }) as Flag<'bool'>;
export const int = (value: number, help: string, more: Partial<Flag> = {}) => ({ kind: 'int', default: value, help, ...more }) as Flag<'int'>;
export const uint = (value: number, help: string, more: Partial<Flag> = {}) => ({ kind: 'uint', default: value, help, ...more }) as Flag<'uint'>;
export const duration = (value: number, help: string, more: Partial<Flag> = {}) => ({ kind: 'duration', default: value, help, ...more }) as Flag<'duration'>;
export const list = (help: string, more: Partial<Flag> = {}) => ({ kind: 'list', default: [], help, ...more }) as Flag<'list'>;

/**
 * Reads the arguments. A value follows after `=` or as the next word, whatever that looks like; a boolean takes one only after `=`.
 * The last of a repeated flag counts, lists grow. `--` ends the flags; with `interspersed: false` the first other word does too.
 */
export function parseFlags<T extends FlagTable>(table: T, argv: readonly string[], options: { interspersed?: boolean } = {}): Parsed<T> {
  const values: Record<string, unknown> = Object.fromEntries(Object.entries(table).map(([name, flag]) => [name, flag.default]));
  const changed = new Set<string>();
  const parsed: Parsed<T> = { values: values as ValuesOf<T>, changed, rest: [], notices: [], help: false };
  const shorts = new Map(Object.entries(table).flatMap(([name, flag]) => (flag.short ? [[flag.short, name]] : [])));
  const refuse = (message: string, hint?: string) => ({ ...parsed, problem: { message, ...(hint ? { hint } : {}) } });

  for (let i = 0; i < argv.length; i++) {
    let word = argv[i] as string;
    if (word === '--') return { ...parsed, rest: [...parsed.rest, ...argv.slice(i + 1)] };
    if (word.length < 2 || !word.startsWith('-')) {
      if (options.interspersed === false) return { ...parsed, rest: argv.slice(i) as string[] };
      parsed.rest.push(word);
      continue;
    }
    if (word[1] !== '-') {
      const known = shorts.get(word[1] as string);
      if (known !== undefined && (word.length === 2 || word[2] === '=')) word = `--${known}${word.slice(2)}`;
      else if (word === '-h') return { ...parsed, help: true };
      else if (word.length === 2) return refuse(`unknown shorthand flag: '${word[1]}' in ${word}`);
      else word = `-${word}`; // daprd doubles a single dash before pflag sees it
    }
    const name = word.slice(2).split('=', 1)[0] as string;
    if (name === '' || name.startsWith('-')) return refuse(`bad flag syntax: ${word}`);
    const flag = Object.hasOwn(table, name) ? table[name] : undefined;
    if (flag === undefined) return name === 'help' ? { ...parsed, help: true } : refuse(`unknown flag: --${name}`, hintFor(name, table));
    let value: string;
    if (word.length > name.length + 2) value = word.slice(name.length + 3);
    else if (flag.kind === 'bool') value = 'true';
    else if (i + 1 < argv.length) value = doubled(argv[++i] as string, shorts);
    else return refuse(`flag needs an argument: ${word}`);

    const read = readers[flag.kind](value);
    if ('error' in read) return refuse(`invalid argument ${JSON.stringify(value)} for "--${name}" flag: ${read.error}`);
    values[name] = flag.kind === 'list' && changed.has(name) ? [...(values[name] as string[]), ...(read.value as string[])] : read.value;
    changed.add(name);
    if (flag.deprecated) parsed.notices.push(`Flag --${name} has been deprecated, ${flag.deprecated}`);
  }
  return parsed;
}

/** daprd doubles a single dash in front of every word longer than two, values included; `dapr run`, which has one-letter flags, does not. */
const doubled = (word: string, shorts: ReadonlyMap<string, string>) => (shorts.size === 0 && /^-[^-]./s.test(word) ? `-${word}` : word);

type Read<V> = { value: V } | { error: string };
const readers: { [K in FlagKind]: (text: string) => Read<FlagValues[K]> } = {
  string: (value) => ({ value }),
  bool: (value) => {
    if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value)) return { value: true };
    if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(value)) return { value: false };
    return { error: syntaxError('ParseBool', value) };
  },
  int: (value) => readInteger('ParseInt', value, -(2n ** 63n), 2n ** 63n - 1n),
  uint: (value) => (/^[+-]/.test(value) ? { error: syntaxError('ParseUint', value) } : readInteger('ParseUint', value, 0n, 2n ** 64n - 1n)),
  duration: (value) => {
    const ms = parseDuration(value);
    if (ms !== undefined) return { value: ms };
    const quoted = JSON.stringify(value);
    return { error: /^[+-]?(\d+\.?\d*|\.\d+)$/.test(value) ? `time: missing unit in duration ${quoted}` : `time: invalid duration ${quoted}` };
  },
  list: readCsv,
};

const syntaxError = (what: string, value: string) => `strconv.${what}: parsing ${JSON.stringify(value)}: invalid syntax`;

/** Go integers with base prefixes: 10, 0x1f, 0b1, 0o17, 017, 1_000. */
function readInteger(what: string, text: string, least: bigint, most: bigint): Read<number> {
  const match = /^([+-]?)(0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[bB]_?[01]+(?:_[01]+)*|0[oO]_?[0-7]+(?:_[0-7]+)*|0(?:_?[0-7]+)*|[1-9]\d*(?:_\d+)*)$/.exec(text);
  if (!match) return { error: syntaxError(what, text) };
  const digits = (match[2] as string).replaceAll('_', '').toLowerCase();
  const whole = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = match[1] === '-' ? -whole : whole;
  if (value < least || value > most) return { error: `strconv.${what}: parsing ${JSON.stringify(text)}: value out of range` };
  return { value: Number(value) };
}

/** One line of CSV: a field may be quoted, `""` inside is a quote. */
function readCsv(text: string): Read<string[]> {
  if (text === '') return { value: [] };
  const fields: string[] = [];
  for (let at = 0; ; ) {
    if (text[at] === '"') {
      const match = /^"((?:[^"]|"")*)"(,|$)/.exec(text.slice(at));
      if (!match) return { error: `parse error on line 1, column ${at + 1}: extraneous or missing " in quoted-field` };
      fields.push((match[1] as string).replaceAll('""', '"'));
      at += match[0].length;
      if (match[2] === '') return { value: fields };
      continue;
    }
    const end = text.indexOf(',', at);
    const field = end < 0 ? text.slice(at) : text.slice(at, end);
    if (field.includes('"')) return { error: `parse error on line 1, column ${at + field.indexOf('"') + 1}: bare " in non-quoted-field` };
    fields.push(field);
    if (end < 0) return { value: fields };
    at = end + 1;
  }
}

/** The known flag that looks most like the unknown one, as a question; undefined when none comes near. */
function hintFor(name: string, table: FlagTable): string | undefined {
  const wanted = name.toLowerCase();
  let best: { name: string; cost: number } | undefined;
  for (const [candidate, flag] of Object.entries(table)) {
    if (flag.deprecated) continue;
    const partly = wanted.length > 2 && (candidate.startsWith(wanted) || candidate.endsWith(`-${wanted}`)) ? 1 : Number.POSITIVE_INFINITY;
    const cost = Math.min(distance(wanted, candidate), partly);
    if (cost <= Math.max(1, Math.floor(candidate.length / 3)) && (best === undefined || cost < best.cost)) best = { name: candidate, cost };
  }
  return best && `did you mean --${best.name}?`;
}

/** Letters to insert, drop, change or swap with their neighbour to get from one word to the other. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1), swapped));
    }
  }
  return at(a.length, b.length);
}

/** `Usage of NAME:` and one aligned line per flag, sorted by name. */
export function usage(name: string, table: FlagTable): string {
  const shown = Object.entries(table).filter(([, flag]) => !flag.deprecated).sort(([a], [b]) => (a < b ? -1 : 1));
  const heads = shown.map(([flagName, flag]) => `  ${flag.short ? `-${flag.short}, ` : '    '}--${flagName}${flag.kind === 'bool' ? '' : ` ${flag.kind === 'list' ? 'strings' : flag.kind}`}`);
  const width = Math.max(...heads.map((head) => head.length)) + 3;
  const lines = shown.map(([, flag], i) => `${(heads[i] as string).padEnd(width)}${flag.help}${defaultOf(flag)}`);
  return `Usage of ${name}:\n${lines.join('\n')}\n`;
}
function defaultOf(flag: Flag): string {
  if (flag.kind === 'list' || flag.default === '' || flag.default === false || flag.default === 0) return '';
  if (flag.kind === 'duration') return ` (default ${Number(flag.default) / 1000}s)`;
  return ` (default ${flag.kind === 'string' ? JSON.stringify(flag.default) : flag.default})`;
}
