// state.redis with RedisJSON: documents as daprd writes them. Needs the module: REDIS_JSON_MODULE=/path/to/rejson.so (Debian has none).
import { describe, expect, test } from 'vitest';
import type { SetRequest, StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import type { AdapterError } from '../../src/core/errors.ts';
import { startRedis } from '../harness/servers.ts';
import { openComponent } from './open.ts';

const module = process.env.REDIS_JSON_MODULE;
const json = { contentType: 'application/json' };

describe.skipIf(module === undefined)('state.redis with RedisJSON (REDIS_JSON_MODULE names the module)', () => {
  test('the same steps leave the same documents as with daprd', async () => {
    const redis = await startRedis({ flags: ['--loadmodule', module as string] });
    const { port: store } = await openComponent<StateStore>('state.redis', { redisHost: `127.0.0.1:${redis.port}` });
    const set = (key: string, value: unknown, more: Partial<SetRequest> = {}) =>
      store.set({ key, value: { json: JSON.stringify(value) }, metadata: json, concurrency: '', consistency: '', ...more }, background).then(
        () => 'done',
        (error: AdapterError) => error.kind,
      );
    const get = async (key: string, metadata: Record<string, string> = json) => {
      const { data, etag } = await store.get({ key, metadata, consistency: '' }, background);
      return [data === null ? null : new TextDecoder().decode(data), etag];
    };
    const remove = (key: string, etag?: string) => store.delete({ key, etag, metadata: json, concurrency: '', consistency: '' }, background).then(() => 'done', (error: AdapterError) => error.kind);
    const document = (key: string) => redis.command('JSON.GET', key);

    expect([await set('a', { n: 1 }), await document('a'), await get('a')]).toEqual(['done', '{"data":{"n":1},"version":1}', ['{"n":1}', '1']]);
    await expect(get('a', {})).rejects.toThrow('WRONGTYPE'); // a reader has to ask for the document
    expect([await set('a', { n: 2 }), await document('a')]).toEqual(['done', '{"data":{"n":2},"version":2}']);
    expect([await set('a', { n: 3 }, { etag: '1' }), await document('a')]).toEqual(['etagMismatch', '{"data":{"n":2},"version":2}']);
    expect([await set('a', { n: 3 }, { etag: '2' }), await document('a')]).toEqual(['done', '{"data":{"n":3},"version":3}']);
    // An absent document with an etag goes on from it; a hash would begin at 1.
    expect([await set('b', [1], { etag: '7' }), await document('b')]).toEqual(['done', '{"data":[1],"version":8}']);
    expect([await set('f', 1, { concurrency: 'first-write' }), await document('f')]).toEqual(['done', '{"data":1,"first-write":0,"version":1}']);
    expect([await set('f', 2, { concurrency: 'first-write' }), await set('f', 2)]).toEqual(['internal', 'internal']);
    expect([await set('f', 3, { etag: '1' }), await document('f'), await set('f', 4)]).toEqual(['done', '{"data":3,"version":2}', 'done']);
    // A document never takes the place of a hash; a hash does of a document.
    expect([await set('h', 1, { metadata: {} }), await set('h', 2), await redis.command('TYPE', 'h')]).toEqual(['done', 'internal', 'hash']);
    expect([await set('a', 9, { metadata: {} }), await redis.command('TYPE', 'a'), await get('a', {})]).toEqual(['done', 'hash', ['9', '1']]);
    expect([await set('t', 1, { metadata: { ...json, ttlInSeconds: '100' } }), Number(await redis.command('TTL', 't')) > 90]).toEqual(['done', true]);
    const upsert = (key: string, value: string, metadata: Record<string, string>) => ({ operation: 'upsert' as const, key, value: { json: value }, metadata, concurrency: '', consistency: '' });
    await store.transact?.([upsert('x1', '{"a":1}', json), upsert('x2', '5', {}), { operation: 'delete', key: 'b', metadata: json, concurrency: '', consistency: '' }], {}, background);
    expect([await document('x1'), await redis.command('TYPE', 'x2'), await redis.command('EXISTS', 'b')]).toEqual(['{"data":{"a":1},"version":1}', 'hash', 0]);
    await store.transact?.([upsert('y1', '"s"', {})], json, background);
    expect(await document('y1')).toBe('{"data":"s","version":1}');
    expect([await remove('x1', '9'), await remove('x1', '1'), await redis.command('EXISTS', 'x1')]).toEqual(['etagMismatch', 'done', 0]);
    await store.close();
    await redis.stop();
  });
});
