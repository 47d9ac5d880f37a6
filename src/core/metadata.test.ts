import { describe, expect, it } from 'vitest';
import { field, isTruthy, parseBool, property, schema } from './metadata.ts';

const example = schema({
  redisHost: field.text().describe('where'),
  failover: field.flag().default(false),
  redisMaxRetries: field.integer().default(3),
  dialTimeout: field.durationMs().optional(),
  timeout: field.duration().optional(),
  hosts: field.list().optional(),
}, { maxRetries: 'redisMaxRetries' });

describe('schema', () => {
  it('matches names in any case and fills defaults', () => expect(example.parse({ REDISHOST: 'a:1', unknown: 'x' })).toEqual({ redisHost: 'a:1', failover: false, redisMaxRetries: 3 }));
  it('takes an alias only where the name itself is absent', () => {
    expect(example.parse({ redisHost: 'a', maxRetries: '7' }).redisMaxRetries).toBe(7);
    expect(example.parse({ redisHost: 'a', maxRetries: '7', redisMaxRetries: '5' }).redisMaxRetries).toBe(5);
  });
  it('refuses two spellings of one name', () => expect(() => example.parse({ redisHost: 'a', REDISHOST: 'b' })).toThrow('key redishost is duplicate in the metadata'));
  it('names the missing field', () => expect(() => example.parse({})).toThrow('missing redisHost in metadata'));
  it('reads bare numbers as seconds or milliseconds', () => expect(example.parse({ redisHost: 'a', dialTimeout: '5', timeout: '5' })).toMatchObject({ dialTimeout: 5, timeout: 5000 }));
  it('reads Go durations in both', () => expect(example.parse({ redisHost: 'a', dialTimeout: '2s', timeout: '100ms' })).toMatchObject({ dialTimeout: 2000, timeout: 100 }));
  it('knows lenient booleans', () => {
    expect(example.parse({ redisHost: 'a', failover: ' Yes ' }).failover).toBe(true);
    expect(example.parse({ redisHost: 'a', failover: 'oui' }).failover).toBe(false);
  });
  it('does not trim lists', () => expect(example.parse({ redisHost: 'a', hosts: 'x, y' }).hosts).toEqual(['x', ' y']));
});

it('parseBool takes what Go takes', () => expect(['1', 't', 'True', '0', 'F', 'false', 'yes', 'tRue', '', 'constructor'].map(parseBool)).toEqual([true, true, true, false, false, false, undefined, undefined, undefined, undefined]));
it('isTruthy takes the six words only', () => expect(['y', 'YES', 'true', 't', 'on', '1', 'no', '', 'truee'].map(isTruthy)).toEqual([true, true, true, true, true, true, false, false, false]));
it('property looks in any case, exact first', () => {
  expect(property({ KeyPrefix: 'a' }, 'keyPrefix')).toBe('a');
  expect(property({ keyprefix: 'a', keyPrefix: 'b' }, 'keyPrefix')).toBe('b');
});
