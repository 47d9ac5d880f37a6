// Message time to live kept by the runtime: `ttlInSeconds` of a publish request, `expiration` of an event.
import { parseDuration } from '../../core/duration.ts';

// Go's longest duration, about 292 years.
const longest = 9_223_372_036_854;

/** Milliseconds, 0 for "already over"; undefined where none is given or it cannot be read. Source: components-contrib metadata.TryGetTTL. */
export function ttlOf(metadata: Readonly<Record<string, string>> | undefined): number | undefined {
  const text = named(metadata, 'ttl') ?? named(metadata, 'ttlinseconds');
  if (text === undefined || text === '') return undefined;
  const duration = parseDuration(text);
  if (duration !== undefined && Math.abs(duration) <= longest) return Math.max(0, duration);
  if (!/^\+?\d+$/.test(text)) return undefined;
  const seconds = BigInt(text);
  if (seconds === 0n || seconds > 9_223_372_036_854_775_807n) return undefined;
  return Math.min(longest, Number(seconds) * 1000);
}

function named(metadata: Readonly<Record<string, string>> | undefined, folded: string): string | undefined {
  for (const name in metadata) if (name.length === folded.length && name.toLowerCase() === folded) return metadata[name];
  return undefined;
}

/** RFC 3339 in UTC, whole seconds. */
export const expirationOf = (ttlMs: number, now = Date.now()): string => `${new Date(now + ttlMs).toISOString().slice(0, 19)}Z`;

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;
/** What is no timestamp never expires. */
export function hasExpired(expiration: unknown, now = Date.now()): boolean {
  if (typeof expiration !== 'string' || !rfc3339.test(expiration)) return false;
  return Date.parse(expiration.replace(',', '.')) < now;
}
