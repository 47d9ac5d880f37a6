// Rules every state store shares: concurrency and consistency words, lifetimes, what counts as an etag.
import { AdapterError } from '../../core/errors.ts';
import type { SetRequest, StateValue } from './port.ts';
import { goEscape, utf8 } from '../../core/go-json.ts';

/** Refuses unknown words; source: components-contrib/state/requests_options.go. */
export function checkOptions(request: Pick<SetRequest, 'concurrency' | 'consistency'>): void {
  if (!['', 'eventual', 'strong'].includes(request.consistency)) throw new AdapterError('invalid', `unrecognized consistency model '${request.consistency}'`);
  if (!['', 'first-write', 'last-write'].includes(request.concurrency)) throw new AdapterError('invalid', `unrecognized concurrency model '${request.concurrency}'`);
}

/** The etag of a request, undefined where none (or an empty one) is given. */
export const etagOf = (request: { etag?: string | undefined }): string | undefined => (request.etag === '' ? undefined : request.etag);

/**
 * `ttlInSeconds` of a request: undefined when absent, a whole number from -1 (never expires) to 2147483647.
 * Source: components-contrib/state/utils ParseTTL.
 */
export function ttlOf(metadata: Record<string, string>): number | undefined {
  const text = metadata.ttlInSeconds;
  if (text === undefined || text === '') return undefined;
  // Go's ParseInt with 64 bits, then the bounds; both bounds have one text.
  const parsed = /^[+-]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  const wrong = parsed === undefined ? 'invalid syntax' : BigInt.asIntN(64, parsed) !== parsed ? 'value out of range' : undefined;
  const seconds = Number(parsed);
  if (wrong !== undefined || seconds < -1 || seconds > 2147483647) {
    throw new AdapterError('invalid', `incorrect value for metadata 'ttlInSeconds': ${wrong === undefined ? 'must be -1 or greater' : `strconv.ParseInt: parsing ${JSON.stringify(text)}: ${wrong}`}`);
  }
  return seconds;
}

/** The bytes to keep: JSON without HTML escapes (redis and its kin). */
export const bytesOf = (value: StateValue): Uint8Array => ('json' in value ? utf8(value.json) : value.bytes);
/** The bytes to keep where daprd's store writes with encoding/json, so that reads show the same escapes (in-memory, sqlite, postgresql). */
export const escapedBytesOf = (value: StateValue): Uint8Array => ('json' in value ? utf8(goEscape(value.json)) : value.bytes);

/** The prefix of a delete by prefix, ended by its separator. Throws where there is none; source: components-contrib/state/requests.go. */
export function wholePrefix(prefix: string): string {
  if (prefix === '' || prefix === '||') throw new AdapterError('invalid', 'a prefix is required for deleteWithPrefix request');
  return prefix.endsWith('||') ? prefix : `${prefix}||`;
}
