// The YAML of `--config` files as daprd reads it: environment variables first, exact keys, typed scalars (gopkg.in/yaml.v3).
import { type Document, isMap, isSeq, parseDocument, type ScalarTag } from 'yaml';
import * as z from 'zod';
import { parseDuration } from '../../core/duration.ts';
import { kindOf } from './shape.ts';
import { resolveNumber, YamlError } from './yaml.ts';

/** A scalar that is no text, with the characters it was written with: `1.0` is "1.0" where a text belongs. */
class Literal {
  readonly value: null | boolean | number | bigint;
  readonly source: string;
  constructor(value: null | boolean | number | bigint, source: string) {
    this.value = value;
    this.source = source;
  }
}

const tag = (name: string, test: RegExp, resolve: (text: string) => unknown): ScalarTag => ({ tag: `tag:yaml.org,2002:${name}`, default: true, test, resolve });
const scalars: ScalarTag[] = [
  tag('null', /^(~|null|Null|NULL)?$/, (text) => new Literal(null, text)),
  tag('bool', /^(true|True|TRUE|false|False|FALSE)$/, (text) => new Literal(text.toLowerCase() === 'true', text)),
  tag('int', /^[-+.0-9][-+.0-9a-zA-Z_]*$/, (text) => {
    const value = resolveNumber(text);
    return typeof value === 'string' ? value : new Literal(value, text);
  }),
];

/** A decoded file: objects, lists, texts and Literals. `lineOf` finds where a path stands. */
export interface ConfigurationTree {
  value: unknown;
  lineOf(path: readonly PropertyKey[]): number;
}

/** Reads the first document of a file. Throws YamlError naming the line. */
export function parseConfigurationYaml(text: string): ConfigurationTree {
  const document: Document = parseDocument(text, { schema: 'failsafe', customTags: (tags) => [...scalars, ...tags], merge: true, uniqueKeys: true, prettyErrors: false, logLevel: 'silent' });
  const lineAt = (offset: number) => text.slice(0, offset).split('\n').length;
  const problem = document.errors.find((error) => error.code !== 'MULTIPLE_DOCS');
  if (problem) throw new YamlError(`line ${lineAt(problem.pos[0])}: ${problem.message}`);
  try {
    return { value: document.contents === null ? undefined : document.toJS({ maxAliasCount: 1000 }), lineOf: (path) => lineAt(offsetOf(document, path)) };
  } catch (error) {
    throw new YamlError(error instanceof Error ? error.message : String(error));
  }
}

function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const part of path) {
    const next: unknown = isMap(node) || isSeq(node) ? node.get(part as string | number, true) : undefined;
    const range = (next as { range?: readonly number[] } | undefined)?.range;
    if (range === undefined || range === null) break;
    offset = range[0] as number;
    node = next;
  }
  return offset;
}

/** Replaces `$NAME` and `${NAME}`, an unknown name by nothing. Go's os.Expand: a dollar before anything else stays. */
export function expandEnvironment(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/\$(?:\{([^}]*)\}|\{|([A-Za-z0-9_]+|[*#$@!?-]))/g, (_whole, braced?: string, bare?: string) => {
    if (bare !== undefined) return /^[0-9]./.test(bare) ? (env[bare[0] as string] ?? '') + bare.slice(1) : (env[bare] ?? '');
    return braced === undefined ? '' : (env[braced] ?? '');
  });
}

/** Later files over earlier ones: objects key by key, everything else whole; null takes away an object or list, a scalar stays. */
export function mergeTrees(base: unknown, over: unknown): unknown {
  if (over instanceof Literal && over.value === null) return typeof base === 'string' || base instanceof Literal ? base : undefined;
  if (!isTree(base) || !isTree(over)) return over;
  const out: Record<string, unknown> = { ...base };
  for (const key of Object.keys(over)) out[key] = mergeTrees(base[key], over[key]);
  return out;
}
const isTree = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Literal);

// ---- typed fields ----

const unwrap = (value: unknown): unknown => {
  if (value instanceof Literal) return typeof value.value === 'bigint' ? Number(value.value) : value.value;
  if (Array.isArray(value)) return value.map(unwrap);
  if (!isTree(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrap(inner)]));
};
const isNothing = (value: unknown) => value === undefined || (value instanceof Literal && value.value === null);
const must = (what: string) => ({ error: (issue: { input?: unknown }) => `must be ${what}, found ${kindOf(unwrap(issue.input))}` });
const lenient: Record<string, boolean> = { y: true, yes: true, on: true, n: false, no: false, off: false };
/** Upstream takes these words for booleans, quoted or not, in three spellings each. */
const booleanWord = (text: string): boolean | undefined => (/^([a-z]+|[A-Z]+|[A-Z][a-z]+)$/.test(text) ? lenient[text.toLowerCase()] : undefined);

export const text = (byDefault = '') => z.preprocess((value) => (isNothing(value) ? byDefault : value instanceof Literal ? value.source : value), z.string(must('a text')));
const booleanOf = (value: unknown): unknown => {
  const plain = isNothing(value) ? undefined : unwrap(value);
  return typeof plain === 'string' ? (booleanWord(plain) ?? plain) : plain;
};
const boolean = () => z.boolean(must('true or false without quotes'));
export const flag = (byDefault = false) => z.preprocess((value) => booleanOf(value) ?? byDefault, boolean());
export const optionalFlag = () => z.preprocess(booleanOf, boolean().optional());
/** A fraction loses what follows the point, as upstream. */
const wholeOf = (value: unknown): unknown => {
  const plain = isNothing(value) ? undefined : unwrap(value);
  return typeof plain === 'number' ? Math.trunc(plain) : plain;
};
export const whole = () => z.preprocess((value) => wholeOf(value) ?? 0, z.int(must('a whole number')));
export const optionalWhole = () => z.preprocess(wholeOf, z.int(must('a whole number')).optional());
/** Milliseconds of a Go duration; undefined when absent. */
export const duration = () =>
  z.preprocess(
    (value) => (isNothing(value) ? undefined : typeof value === 'string' ? (parseDuration(value) ?? value) : unwrap(value) === 0 ? 0 : value),
    z.number({ error: 'must be a duration such as 10s or 1m30s' }).optional(),
  );
export const list = <T extends z.ZodType>(item: T) => z.preprocess((value) => (isNothing(value) ? [] : value), z.array(item, must('a list')));
export const map = <T extends z.ZodType>(item: T) => z.preprocess((value) => (isNothing(value) ? {} : value), z.record(z.string(), item, must('an object')));
/** Any value is accepted; what is no object reads as an empty one. */
export const looseMap = () => z.preprocess((value) => (isTree(value) ? unwrap(value) : {}), z.record(z.string(), z.unknown()));
const asObject = (value: unknown) => (isNothing(value) ? {} : value instanceof Literal ? value.value : value);
/** Exact keys, others are ignored; absent or null reads as empty. */
export const object = <S extends z.ZodRawShape>(shape: S) => z.preprocess(asObject, z.object(shape, must('an object')));
/** The same, undefined where absent. */
export const section = <S extends z.ZodRawShape>(shape: S) => z.preprocess((value) => (isNothing(value) ? undefined : asObject(value)), z.object(shape, must('an object')).optional());
