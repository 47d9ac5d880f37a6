// The LIKE grammar of KEYS_LIKE for stores without SQL: `%` any run, `_` one character, `\` escapes.
import { AdapterError } from '../../core/errors.ts';
import type { KeysLikeRequest } from './port.ts';

export const emptyPattern = () => new AdapterError('invalid', 'keys like pattern is empty');

/** Throws on an empty pattern. */
export function likePattern(pattern: string): RegExp {
  if (pattern === '') throw emptyPattern();
  let source = '';
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i] as string;
    if (c === '%') source += '[^]*';
    else if (c === '_') source += '[^]';
    else source += literal(c === '\\' && i + 1 < pattern.length ? (pattern[++i] as string) : c);
  }
  return new RegExp(`^${source}$`, 'u');
}
const literal = (c: string) => c.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** One page of sorted keys; the token is the last key given, so it survives deletes and inserts between pages. */
export function pageOf(sorted: string[], { pageSize, continuationToken }: KeysLikeRequest): { keys: string[]; continuationToken?: string } {
  const rest = continuationToken === undefined ? sorted : sorted.filter((key) => key > continuationToken);
  if (pageSize === undefined || rest.length <= pageSize) return { keys: rest };
  const keys = rest.slice(0, pageSize);
  return { keys, continuationToken: keys[keys.length - 1] as string };
}

/** A text that stands for itself in a LIKE pattern. */
const literalPattern = (text: string) => text.replace(/[%_\\]/g, '\\$&');

/** Which keys a caller asks for: all, those that begin with `prefix`, or those like `pattern`. */
export interface KeyChoice {
  prefix?: string | undefined;
  pattern?: string | undefined;
}

/** The LIKE pattern over stored keys. Whatever the caller asks for, it stays below `stored`, the literal start of this app's keys. */
export function storedPattern(stored: string, { prefix, pattern }: KeyChoice): string {
  const wanted = pattern || `${literalPattern(prefix ?? '')}%`;
  // an escape character that escapes nothing is itself; some databases call it an error
  const whole = /(?<!\\)(?:\\\\)*\\$/.test(wanted) ? `${wanted}\\` : wanted;
  return literalPattern(stored) + whole;
}

/** The caller's names of those keys that the state API can address; actor state lies under the same prefix and is left out. */
export const addressable = (stored: string, keys: readonly string[]): string[] => keys.filter((key) => key.startsWith(stored)).map((key) => key.slice(stored.length)).filter((key) => !key.includes('||'));
