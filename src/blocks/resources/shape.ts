// Schemas over decoded YAML, with the looseness Kubernetes' reader gives Dapr's resources: keys in any case, numbers where text belongs.
import * as z from 'zod';

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
/** What a user calls the kind of value found. */
export const kindOf = (value: unknown): string => (Array.isArray(value) ? 'a list' : value === null || value === undefined ? 'nothing' : isObject(value) ? 'an object' : typeof value === 'boolean' ? `the boolean ${value}` : typeof value === 'string' ? 'a text' : `the number ${value}`);
const must = (what: string) => ({ error: (issue: { input?: unknown }) => `must be ${what}, found ${kindOf(issue.input)}` });
/** null leaves the zero value, as in Go. */
const given = (value: unknown) => value ?? undefined;

/** Text; numbers and booleans become the text Kubernetes' YAML reader makes of them (floats with the digits of 32 bits). */
export const text = () => z.preprocess((value) => (typeof value === 'number' || typeof value === 'bigint' ? numberText(value) : typeof value === 'boolean' ? String(value) : (value ?? '')), z.string(must('a text')));
/** A boolean; a quoted one is none. */
export const flag = () => z.preprocess((value) => value ?? false, z.boolean(must('true or false without quotes')));
export const whole = () => z.preprocess(given, z.int(must('a whole number')).optional());
export const list = <T extends z.ZodType>(item: T) => z.preprocess((value) => value ?? [], z.array(item, must('a list')));
/** Object with free keys. */
export const map = <T extends z.ZodType>(item: T) => z.preprocess((value) => value ?? {}, z.record(z.string(), item, must('an object')));
/** Any value; undefined where absent or null. */
export const any = () => z.preprocess(given, z.unknown());
export const anyMap = () => map(z.unknown());
/** Object of these keys, in any case; others are ignored. Of two spellings the last in byte order counts, objects are merged, as Go reads them. */
export const object = <S extends z.ZodRawShape>(shape: S) => z.preprocess((value) => (isObject(value ?? {}) ? foldKeys((value ?? {}) as Record<string, unknown>, Object.keys(shape)) : value), z.object(shape, must('an object')));

function foldKeys(value: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const byFolded = new Map(names.map((name) => [name.toLowerCase(), name]));
  for (const key of Object.keys(value).sort()) {
    const name = byFolded.get(key.toLowerCase());
    if (name === undefined || value[key] === null) continue;
    const [before, given] = [out[name], value[key]];
    out[name] = isObject(before) && isObject(given) ? { ...before, ...given } : given;
  }
  return out;
}

/** Where and what, in words: `spec.metadata[2].value must be …`. */
export function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (!issue) return 'is invalid';
  const path = issue.path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`)).join('');
  return `${path || 'the document'} ${issue.message}`;
}

/** Go's strconv.FormatFloat(x, 'g', -1, 32); a whole number as it is. */
function numberText(value: number | bigint): string {
  if (typeof value === 'bigint') return String(value);
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return single > 0 ? '+Inf' : single < 0 ? '-Inf' : 'NaN';
  let digits = 1;
  while (digits < 9 && Math.fround(Number(single.toPrecision(digits))) !== single) digits++;
  const [mantissa, exponent] = Number(single.toPrecision(digits)).toExponential().split('e') as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(Number(single.toPrecision(digits)));
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
}
