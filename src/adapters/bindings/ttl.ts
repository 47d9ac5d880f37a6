// Lifetimes in the metadata of a binding's request (Dapr: components-contrib/metadata/utils.go TryGetTTL).
import { parseDuration } from '../../core/duration.ts';
import { AdapterError } from '../../core/errors.ts';
import { property } from '../../core/metadata.ts';

/** Whole seconds of `ttl` or `ttlInSeconds` in any case: a Go duration or a number of seconds. What is wrong with it comes back, not thrown: some bindings write first. */
export function ttlOf(metadata: Readonly<Record<string, string>>): number | undefined | AdapterError {
  const text = property(metadata, 'ttl') ?? property(metadata, 'ttlInSeconds');
  if (text === undefined || text === '') return undefined;
  const duration = parseDuration(text);
  if (duration !== undefined) return Math.max(0, Math.trunc(duration / 1000));
  if (!/^[+-]?\d+$/.test(text)) return new AdapterError('invalid', `ttl value must be a valid integer: actual is '${text}'`);
  if (Number(text) <= 0) return new AdapterError('invalid', `ttl value must be higher than zero: actual is '${Number(text)}'`);
  return Math.min(Number(text), 9_223_372_036);
}
