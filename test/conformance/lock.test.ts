// The lock stores that the conformance suite runs against, and what each keeps.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LockStore } from '../../src/blocks/lock/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { startPostgres, startRedis } from '../harness/servers.ts';
import { startUpstash, startUpstashProxy } from '../harness/upstash-proxy.ts';
import { describeLockStore } from './lock.ts';
import { openComponent } from './open.ts';

describeLockStore({ type: 'lock.in-memory', shared: false, start: async () => ({ metadata: {}, stop: async () => undefined }) });
describeLockStore({
  type: 'lock.redis',
  servers: ['redis'],
  shared: true,
  start: async () => {
    const redis = await startRedis();
    return { metadata: { redisHost: `127.0.0.1:${redis.port}` }, stop: () => redis.stop() };
  },
});
describeLockStore({
  type: 'lock.upstash.redis',
  servers: ['redis'],
  shared: true,
  start: async () => {
    const { url, stop } = await startUpstash('secret');
    return { metadata: { url, token: 'secret' }, stop };
  },
});
describeLockStore({
  type: 'lock.sqlite',
  shared: true,
  start: async () => {
    const dir = mkdtempSync(join(tmpdir(), 'outrigger-lock-'));
    return { metadata: { connectionString: join(dir, 'state.db') }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
  },
});
describeLockStore({
  type: 'lock.postgresql',
  servers: ['postgres'],
  shared: true,
  start: async () => {
    const postgres = await startPostgres();
    return { metadata: { connectionString: `host=127.0.0.1 port=${postgres.port} user=postgres database=postgres` }, stop: () => postgres.stop() };
  },
});

const open = async (type: string, metadata: Record<string, string>) => (await openComponent<LockStore>(type, metadata)).port;

describeWithServer('redis', 'lock.redis in Redis', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  const host = () => `127.0.0.1:${redis.port}`;

  test('keeps the owner as a text with a lifetime, as daprd does', async () => {
    const store = await open('lock.redis', { redisHost: host() });
    await store.tryLock({ key: 'lock||app||r', owner: 'me', seconds: 60 }, background);
    expect(await redis.command('GET', 'lock||app||r')).toBe('me');
    expect(Number(await redis.command('TTL', 'lock||app||r'))).toBeGreaterThan(50);
    await redis.command('SET', 'lock||app||theirs', 'daprd', 'EX', '60', 'NX');
    expect(await store.tryLock({ key: 'lock||app||theirs', owner: 'me', seconds: 60 }, background)).toBe(false);
    expect(await store.unlock({ key: 'lock||app||theirs', owner: 'daprd' }, background)).toBe('success');
    expect(await redis.command('EXISTS', 'lock||app||theirs')).toBe(0);
    await store.close();
  });
  test('lock.upstash.redis sees the same locks', async () => {
    const proxy = await startUpstashProxy({ redisPort: redis.port, token: 't' });
    const [near, far] = [await open('lock.redis', { redisHost: host() }), await open('lock.upstash.redis', { url: proxy.url, token: 't' })];
    const request = { key: 'lock||app||both', owner: '\u00fc \u{1f600}', seconds: 60 };
    expect(await far.tryLock(request, background)).toBe(true);
    expect(await near.tryLock(request, background)).toBe(false);
    expect(await near.unlock(request, background)).toBe('success');
    expect(await far.unlock(request, background)).toBe('missing');
    await near.close();
    await proxy.stop();
  });
  test('a key of another type counts as locked and cannot be released', async () => {
    const store = await open('lock.redis', { redisHost: host() });
    await redis.command('HSET', 'hash', 'a', 'b');
    expect(await store.tryLock({ key: 'hash', owner: 'me', seconds: 60 }, background)).toBe(false);
    await expect(store.unlock({ key: 'hash', owner: 'me' }, background)).rejects.toThrow('WRONGTYPE');
    await store.close();
  });
  test('what cannot keep a lock is refused', async () => {
    await expect(open('lock.redis', {})).rejects.toThrow('metadata property redisHost is empty');
    await expect(open('lock.redis', { redisHost: host(), redisType: 'cluster' })).rejects.toThrow('this component does not support connecting to Redis Cluster');
    await expect(open('lock.redis', { redisHost: '127.0.0.1:1', redisMaxRetries: '-1' })).rejects.toThrow(/^error connecting to Redis: connect ECONNREFUSED/);
    const replica = await startRedis({ flags: ['--replicaof', `127.0.0.1 ${redis.port}`] });
    for (const end = Date.now() + 10_000; !String(await redis.command('INFO', 'replication')).includes('connected_slaves:1') && Date.now() < end; ) await new Promise((done) => setTimeout(done, 50));
    await expect(open('lock.redis', { redisHost: host() })).rejects.toThrow('replication is not supported');
    await replica.stop();
  });
});

describe('lock.sqlite', () => {
  test('shares a file with state.sqlite, and a name that is no name is refused', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'outrigger-lock-'));
    const connectionString = join(dir, 'state.db');
    const [state, lock] = [await openComponent('state.sqlite', { connectionString }), await open('lock.sqlite', { connectionString })];
    expect(await lock.tryLock({ key: 'k', owner: 'me', seconds: 1 }, background)).toBe(true);
    await expect(open('lock.sqlite', { connectionString, tableName: 'a;b' })).rejects.toThrow('invalid identifier: a;b');
    await lock.close();
    await state.port.close();
    const again = await open('lock.sqlite', { connectionString });
    expect(await again.tryLock({ key: 'k', owner: 'you', seconds: 1 }, background)).toBe(false);
    await again.close();
    rmSync(dir, { recursive: true, force: true });
  });
});
