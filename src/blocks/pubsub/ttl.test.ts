import { expect, it } from 'vitest';
import { expirationOf, hasExpired, ttlOf } from './ttl.ts';

it.each([
  [{ ttlInSeconds: '60' }, 60_000],
  [{ TTLINSECONDS: '+60' }, 60_000],
  [{ ttlInSeconds: '1h30m' }, 5_400_000],
  [{ ttl: '5', ttlInSeconds: '60' }, 5000],
  [{ ttl: '', ttlInSeconds: '60' }, undefined],
  [{ ttlInSeconds: '0' }, 0],
  [{ ttlInSeconds: '-5s' }, 0],
  [{ ttlInSeconds: '-5' }, undefined],
  [{ ttlInSeconds: '1.5' }, undefined],
  [{ ttlInSeconds: 'soon' }, undefined],
  [{ ttlInSeconds: '' }, undefined],
  [{ ttlInSeconds: '00' }, undefined],
  [{ ttlInSeconds: '9223372036854775807' }, 9_223_372_036_854],
  [{ ttlInSeconds: '9223372036854775808' }, undefined],
  [{ ttlInSeconds: '9999999h' }, undefined],
  [{}, undefined],
  [undefined, undefined],
])('%j lives %s ms', (metadata, ms) => expect(ttlOf(metadata)).toBe(ms));

it('writes expirations in UTC', () => expect(expirationOf(61_500, Date.UTC(2024, 0, 1))).toBe('2024-01-01T00:01:01Z'));
it.each([
  ['2024-01-01T00:00:00Z', true],
  ['2024-01-01T01:00:00+01:00', true],
  ['2024-01-01T00:00:10Z', false],
  ['2024-01-01T00:00:00', false],
  ['yesterday', false],
  ['', false],
  [5, false],
  [undefined, false],
])('%j is over: %s', (expiration, over) => expect(hasExpired(expiration, Date.UTC(2024, 0, 1, 0, 0, 5))).toBe(over));
