// State in Redis as daprd wrote it is read here, and what is written here is the same field by field: over sockets and over REST.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SetRequest, StateStore, StateValue } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import golden from '../fixtures/redis/state.json' with { type: 'json' };
import { describeWithServer } from '../harness/describe.ts';
import { startRedis } from '../harness/servers.ts';
import { startUpstashProxy } from '../harness/upstash-proxy.ts';
import { openComponent } from './open.ts';

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const json = (value: unknown): StateValue => ({ json: JSON.stringify(value) });
const request = (key: string, value: StateValue, more: Partial<SetRequest> = {}): SetRequest => ({ key: `golden||${key}`, value, metadata: {}, concurrency: '', consistency: '', ...more });
const hour = { metadata: { ttlInSeconds: '3600' } };

// The same calls that a daprd was given when it wrote the fixture.
async function writeAll(store: StateStore): Promise<void> {
  const set = (...args: Parameters<typeof request>) => store.set(request(...args), background);
  await set('number', json(123));
  await set('true', json(true));
  await set('null', json(null));
  await set('text', json('s <&> ü 💡 \u2028'));
  await set('object', json({ a: 1.5 }));
  await set('large', json(12345678901));
  await set('ttl', json(1), hour);
  await set('twice', json(1));
  await set('twice', json(2));
  await set('first', json(1), { concurrency: 'first-write' });
  const operation = 'upsert' as const;
  await store.transact?.([{ operation, ...request('tx1', json({ n: 1 }), { concurrency: 'first-write' }) }, { operation, ...request('tx2', json('two'), hour) }], {}, background);
  await set('bytes', { bytes: new Uint8Array([0, 255, 0xc3, 0x28]) });
  await set('empty', { bytes: new Uint8Array(0) });
  await set('json-bytes', json({ b: [1, 2] }), { metadata: { contentType: 'application/json' } });
  await store.transact?.([{ operation, ...request('tx-bytes', { bytes: new Uint8Array([8, 1, 0x12, 0xff]) }) }], {}, background);
}

describeWithServer('redis', 'state stored in Redis', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  let proxy: Awaited<ReturnType<typeof startUpstashProxy>>;
  const stores: Record<string, StateStore> = {};
  beforeAll(async () => {
    redis = await startRedis();
    proxy = await startUpstashProxy({ redisPort: redis.port, token: 't' });
    stores['state.redis'] = (await openComponent<StateStore>('state.redis', { redisHost: `127.0.0.1:${redis.port}` })).port;
    stores['state.upstash.redis'] = (await openComponent<StateStore>('state.upstash.redis', { url: proxy.url, token: 't' })).port;
  });
  afterAll(async () => {
    await Promise.all(Object.values(stores).map((store) => store.close()));
    await proxy?.stop();
    await redis?.stop();
  });

  const types = ['state.redis', 'state.upstash.redis'];
  test.each(types)('%s reads what daprd wrote', async (type) => {
    await redis.command('FLUSHALL');
    for (const { key, hash } of golden.rows) await redis.command('HSET', key, ...Object.entries(hash).flatMap(([name, value]) => [name, bytesOf(value)]));
    for (const { key, hash } of golden.rows) {
      const { data, etag } = await (stores[type] as StateStore).get({ key, metadata: {}, consistency: '' }, background);
      expect([key, Buffer.from(data as Uint8Array).toString('base64'), etag]).toEqual([key, hash.data, Buffer.from(hash.version, 'base64').toString()]);
    }
  });

  test.each(types)('%s writes what daprd writes', async (type) => {
    await redis.command('FLUSHALL');
    await writeAll(stores[type] as StateStore);
    const keys = ((await redis.command('KEYS', '*')) as string[]).sort();
    const rows = [];
    for (const key of keys) {
      const fields = (await redis.commandBuffer('HGETALL', key)) as Buffer[];
      const hash: Record<string, string> = {};
      for (let i = 0; i < fields.length; i += 2) hash[String(fields[i])] = (fields[i + 1] as Buffer).toString('base64');
      rows.push({ key, hash, expires: Number(await redis.command('TTL', key)) > 3500 });
    }
    expect(rows).toEqual(golden.rows);
  });
});
