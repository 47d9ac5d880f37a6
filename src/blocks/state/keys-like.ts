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
    else source += escape(c === '\\' && i + 1 < pattern.length ? (pattern[++i] as string) : c);
  }
  return new RegExp(`^${source}$`, 'u');
}
const escape = (c: string) => c.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** One page of sorted keys; the token is the last key given, so it survives deletes and inserts between pages. */
export function pageOf(sorted: string[], { pageSize, continuationToken }: KeysLikeRequest): { keys: string[]; continuationToken?: string } {
  const rest = continuationToken === undefined ? sorted : sorted.filter((key) => key > continuationToken);
  if (pageSize === undefined || rest.length <= pageSize) return { keys: rest };
  const keys = rest.slice(0, pageSize);
  return { keys, continuationToken: keys[keys.length - 1] as string };
}
