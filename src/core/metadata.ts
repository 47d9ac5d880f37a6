// Component metadata: the fields of a component's `spec.metadata`, decoded by Dapr's two sets of rules (components-contrib metadata/utils.go).
import * as z from 'zod'; // the namespace form leaves out what is not used, above all the locales
import { parseDuration } from './duration.ts';

/** The metadata of one component, name → text, names in the case the YAML has. */
export type Properties = Readonly<Record<string, string>>;

const truthy = new Set(['y', 'yes', 'true', 't', 'on', '1']);
/** Dapr's lenient boolean: `y yes true t on 1` in any case, trimmed; everything else is false. */
export const isTruthy = (text: string | undefined): boolean => text !== undefined && truthy.has(text.trim().toLowerCase());

const bad = (context: z.RefinementCtx, message: string): never => {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
};
const number = (text: string, context: z.RefinementCtx): number => (/^[+-]?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : bad(context, `'${text}' is not a number`));
const duration = (bareUnitMs: number) => (text: string, context: z.RefinementCtx): number => {
  if (text === '') return 0;
  if (/^[+-]?\d+$/.test(text)) return Number(text) * bareUnitMs;
  return parseDuration(text) ?? bad(context, `'${text}' is not a duration`);
};
const strict = new Map<string, boolean>([...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const), ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const)]);
/** Go's strconv.ParseBool; undefined where it fails. */
export const parseBool = (text: string): boolean | undefined => strict.get(text);

/**
 * Field kinds. Each is a zod type over the text in the YAML: add `.optional()`, `.default(...)` (in decoded form) and `.describe(...)`.
 * `kind` is what the component reference calls it.
 */
export const field = {
  text: () => z.string(),
  /** Lenient boolean, see isTruthy. */
  flag: () => z.string().transform((t) => isTruthy(t)).meta({ kind: 'boolean' }),
  integer: () => z.string().transform(number).refine(Number.isInteger, 'is not a whole number').meta({ kind: 'whole number' }),
  number: () => z.string().transform(number).meta({ kind: 'number' }),
  /** Milliseconds; Go duration text, a bare number means seconds. */
  duration: () => z.string().transform(duration(1000)).meta({ kind: 'duration' }),
  /** Milliseconds; Go duration text, a bare number means milliseconds (Redis family). */
  durationMs: () => z.string().transform(duration(1)).meta({ kind: 'duration' }),
  /** Split at commas, not trimmed. */
  list: () => z.string().transform((t) => (t === '' ? [] : t.split(','))).meta({ kind: 'list' }),
  /** JSON text, any value. */
  json: () => z.string().transform((t, c): unknown => { try { return JSON.parse(t); } catch { return bad(c, 'is not JSON'); } }).meta({ kind: 'JSON' }),
};

/** A whole schema. Names match in any case; aliases are looked at only where the primary name is absent; unknown names are ignored. */
export interface MetadataSchema<T> {
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly aliases: Readonly<Record<string, string>>;
  parse(properties: Properties): T;
}

/** Wrong component metadata; the message names the field and what is wrong with it. */
export class MetadataError extends Error {
  override name = 'MetadataError';
  /** The field that could not be decoded and what is wrong with it, where that is the trouble. */
  readonly field: string | undefined;
  readonly problem: string | undefined;
  constructor(message: string, field?: string, problem?: string) {
    super(message);
    this.field = field;
    this.problem = problem;
  }
}

/**
 * `schema({ redisHost: field.text().describe('…') }, { maxRetries: 'redisMaxRetries' })`
 * The second argument maps an alias to the field it stands for. Two spellings of one name that differ only in case are an error.
 */
export function schema<S extends z.ZodRawShape>(shape: S, aliases: Record<string, string> = {}): MetadataSchema<z.output<z.ZodObject<S>>> {
  const object = z.object(shape);
  const byFolded = new Map(Object.keys(shape).map((n) => [n.toLowerCase(), n]));
  const aliasByFolded = new Map(Object.entries(aliases).map(([a, n]) => [a.toLowerCase(), n]));
  return {
    shape: shape as unknown as Readonly<Record<string, z.ZodType>>,
    aliases,
    parse: (properties) => {
      const seen = new Set<string>();
      const named: Record<string, string> = {};
      const viaAlias: Record<string, string> = {};
      for (const [key, value] of Object.entries(properties)) {
        const folded = key.toLowerCase();
        if (seen.has(folded)) throw new MetadataError(`key ${folded} is duplicate in the metadata`);
        seen.add(folded);
        const name = byFolded.get(folded);
        if (name !== undefined) named[name] = value;
        const alias = aliasByFolded.get(folded);
        if (alias !== undefined) viaAlias[alias] = value;
      }
      const result = object.safeParse({ ...viaAlias, ...named });
      if (result.success) return result.data;
      const issue = result.error.issues[0];
      const at = issue?.path.join('.') ?? '';
      if (issue?.code === 'invalid_type') throw new MetadataError(`missing ${at} in metadata`);
      throw new MetadataError(`metadata field ${at}: ${issue?.message ?? 'invalid'}`, at, issue?.message);
    },
  };
}

/** Value of a property whose name matches in any case. */
export function property(properties: Properties, name: string): string | undefined {
  if (Object.hasOwn(properties, name)) return properties[name];
  const folded = name.toLowerCase();
  for (const key of Object.keys(properties)) if (key.toLowerCase() === folded) return properties[key];
  return undefined;
}
