// Queries on state.redis. Needs RedisJSON and RediSearch, which Debian does not have: REDIS_STACK=host:port of a server of one's own with both.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { parseQuery } from '../../src/blocks/state/query.ts';
import { background } from '../../src/core/context.ts';
import { openComponent } from './open.ts';

const redisHost = process.env.REDIS_STACK;

describe.skipIf(redisHost === undefined)('queries on state.redis with RediSearch (REDIS_STACK names the server)', () => {
  const index = `orgs${Date.now()}`;
  const queryIndexes = JSON.stringify([{ name: index, indexes: [{ key: 'person.org', type: 'TEXT' }, { key: 'person.id', type: 'NUMERIC' }, { key: 'city', type: 'TEXT' }, { key: 'n', type: 'NUMERIC' }] }]);
  const people = [
    { person: { org: 'Dev Ops', id: 1036 }, city: 'Seattle', n: 0.123456789 },
    { person: { org: 'Hardware', id: 1028 }, city: 'Or', n: 1 },
    { person: { org: 'Finance', id: 1071 }, city: 'Sacra-mento', n: 12345678 },
    ...Array.from({ length: 12 }, (_, i) => ({ person: { org: 'Many', id: 5000 + i }, city: 'x', n: 0 })),
  ];
  const keys = people.map((_, i) => `${index}||p${i}`);
  const metadata = { contentType: 'application/json' };
  let store: StateStore;
  beforeAll(async () => {
    const loaded = await openComponent<StateStore>('state.redis', { redisHost: redisHost as string, queryIndexes });
    store = loaded.port;
    expect(store.features).toEqual(['ETAG', 'TRANSACTIONAL', 'TTL', 'QUERY_API', 'KEYS_LIKE']);
    for (const [i, value] of people.entries()) await store.set({ key: keys[i] as string, value: { json: JSON.stringify(value) }, metadata, concurrency: '', consistency: '' }, background);
    await vi.waitFor(async () => expect(await query({})).toHaveLength(people.length));
  });
  afterAll(async () => {
    for (const key of keys) await store?.delete({ key, metadata, concurrency: '', consistency: '' }, background);
    await store?.close();
  });
  const ask = (query: unknown) => store.query!(parseQuery(JSON.stringify(query)), { queryIndexName: index }, background);
  const sort = [{ key: 'person.id', order: 'ASC' }];
  const query = async (q: object) => (await ask({ sort, ...q })).results.map(({ key }) => Number(key.slice(key.indexOf('||p') + 3)));

  test('give keys, values and etags; without a limit all of them', async () => {
    const { results, token } = await ask({ filter: { EQ: { 'person.org': 'Many' } }, sort });
    expect(results).toHaveLength(12);
    expect([results[0]?.key, JSON.parse(new TextDecoder().decode(results[0]?.data)), results[0]?.etag, token]).toEqual([keys[3], people[3], '1', undefined]);
  });
  test('know every operator', async () => {
    expect(await query({ filter: { EQ: { 'person.org': 'Dev Ops' } } })).toEqual([0]);
    expect(await query({ filter: { NEQ: { 'person.org': 'Many' } } })).toEqual([1, 0, 2]);
    expect(await query({ filter: { IN: { 'person.org': ['Dev Ops', 'Hardware'] } } })).toEqual([1, 0]);
    expect(await query({ filter: { IN: { 'person.id': [1071, 1028] } } })).toEqual([1, 2]);
    expect(await query({ filter: { AND: [{ GT: { 'person.id': 1028 } }, { LTE: { 'person.id': 1071 } }] } })).toEqual([0, 2]);
    expect(await query({ filter: { OR: [{ LT: { 'person.id': 1036 } }, { AND: [{ GTE: { 'person.id': 1071 } }, { NEQ: { city: 'x' } }] }] } })).toEqual([1, 2]);
  });
  test('find numbers in full, and words with punctuation or of the grammar', async () => {
    expect(await query({ filter: { EQ: { n: 0.123456789 } } })).toEqual([0]);
    expect(await query({ filter: { EQ: { n: 12345678 } } })).toEqual([2]);
    expect(await query({ filter: { EQ: { city: 'or' } } })).toEqual([1]);
    expect(await query({ filter: { EQ: { city: 'Sacra-mento' } } })).toEqual([2]);
    expect(await query({ filter: { EQ: { city: 'q) | @var1:[0 9999' } } })).toEqual([]);
    expect(await query({ filter: { EQ: { city: 'a|b\\c/d?`e' } } })).toEqual([]);
  });
  test('come in pages', async () => {
    const first = await ask({ sort, page: { limit: 10 } });
    expect([first.results.length, first.token]).toEqual([10, '10']);
    const second = await ask({ sort, page: { limit: 10, token: first.token } });
    expect([second.results.length, second.token]).toEqual([5, '15']);
    expect((await ask({ sort, page: { limit: 10, token: second.token } })).results).toEqual([]);
  });
});
