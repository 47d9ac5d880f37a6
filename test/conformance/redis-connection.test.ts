// Redis in every form it is run in, and what happens when it is not there: refused, silent, gone and back.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import type { AdapterError } from '../../src/core/errors.ts';
import { describeWithServer } from '../harness/describe.ts';
import { freePort } from '../harness/ports.ts';
import { start, which } from '../harness/process.ts';
import { startRedis } from '../harness/servers.ts';
import { openComponent } from './open.ts';

const open = async (metadata: Record<string, string>, initTimeoutMs = 5000) => (await openComponent<StateStore>('state.redis', metadata, { initTimeoutMs })).port;
const set = (store: StateStore, key: string, value: unknown) => store.set({ key, value: { json: JSON.stringify(value) }, metadata: {}, concurrency: '', consistency: '' }, background);
const get = async (store: StateStore, key: string) => {
  const { data } = await store.get({ key, metadata: {}, consistency: '' }, background);
  return data === null ? null : new TextDecoder().decode(data);
};
/** How work failed and how long that took. */
const failure = async (work: Promise<unknown>) => {
  const from = performance.now();
  const error = await work.then(
    () => undefined,
    (e: unknown) => e as AdapterError,
  );
  return { kind: error?.kind, message: error?.message, ms: performance.now() - from };
};

describeWithServer('redis', 'a Redis that is not there', () => {
  test('is an error when the component opens, after the tries it may take', async () => {
    const patient = await failure(open({ redisHost: '127.0.0.1:1' }));
    expect(patient.message).toBe('redis store: error connecting to redis at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1');
    expect(patient.ms).toBeGreaterThan(1000);
    expect(patient.ms).toBeLessThan(3500);
    expect((await failure(open({ redisHost: '127.0.0.1:1', redisMaxRetries: '-1' }))).ms).toBeLessThan(500);
  });
  test('takes no longer than initTimeout', async () => {
    const { message, ms } = await failure(open({ redisHost: '127.0.0.1:1', redisMaxRetries: '100' }, 300));
    expect(message).toContain('context deadline exceeded');
    expect(ms).toBeLessThan(1000);
  });
  test('that is silent is given up after readTimeout', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    const { port } = silent.address() as { port: number };
    const { message, ms } = await failure(open({ redisHost: `127.0.0.1:${port}`, readTimeout: '200' }));
    expect(message).toContain(`no answer from redis at 127.0.0.1:${port} within 200 ms`);
    expect(ms).toBeLessThan(1500);
    silent.close();
  });
  test('goes and comes back: quick errors in between, then all is well again', { timeout: 30_000 }, async () => {
    const redis = await startRedis({ persist: true });
    const store = await open({ redisHost: `127.0.0.1:${redis.port}` });
    await set(store, 'k', 1);
    await redis.kill();
    const failures = await Promise.all(Array.from({ length: 50 }, (_, i) => failure(i % 2 ? get(store, 'k') : set(store, `k${i}`, i))));
    for (const { kind, ms, message } of failures) {
      expect([kind, message]).toEqual(['unavailable', expect.stringContaining('ECONNREFUSED')]);
      expect(ms).toBeLessThan(4000);
    }
    expect((await failure(get(store, 'k'))).kind).toBe('unavailable');
    await redis.restart();
    await expect.poll(() => get(store, 'k').catch(() => 'not yet'), { timeout: 5000 }).toBe('1');
    await set(store, 'k', 2);
    expect(await get(store, 'k')).toBe('2');
    await store.close();
    await redis.stop();
  });
  test('restarted in the midst of writes: each is either done or an error, within the retries', { timeout: 30_000 }, async () => {
    const redis = await startRedis({ persist: true });
    const store = await open({ redisHost: `127.0.0.1:${redis.port}` });
    const acknowledged: number[] = [];
    let failed = 0;
    let over = false;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; !over; i++) {
        await set(store, `w${writer}-${i}`, i).then(
          () => acknowledged.push(writer * 1e6 + i),
          () => failed++,
        );
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await redis.kill();
    await redis.restart();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    over = true;
    await Promise.all(writers);
    expect(acknowledged.length).toBeGreaterThan(100);
    const read = await Promise.all(acknowledged.map((n) => get(store, `w${Math.floor(n / 1e6)}-${n % 1e6}`)));
    expect(read).toEqual(acknowledged.map((n) => String(n % 1e6)));
    expect(failed).toBeLessThan(8 * 4);
    await store.close();
    await redis.stop();
  });
});

describeWithServer('redis', 'Redis in its other forms', () => {
  test('a database by number, a user with a password', async () => {
    const redis = await startRedis();
    await redis.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all');
    const store = await open({ redisHost: '127.0.0.1', redisPort: String(redis.port), redisUsername: 'app', redisPassword: 'secret', redisDB: '3' });
    await set(store, 'k', 1);
    expect(await redis.command('EXISTS', 'k')).toBe(0);
    await redis.command('SELECT', '3');
    expect(await redis.command('HGET', 'k', 'data')).toBe('1');
    await store.close();
    expect((await failure(open({ redisHost: `127.0.0.1:${redis.port}`, redisUsername: 'app', redisPassword: 'wrong' }))).message).toContain('WRONGPASS');
    await redis.stop();
  });

  test('a cluster', async () => {
    const redis = await startRedis({ flags: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] });
    await redis.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await expect.poll(() => redis.command('CLUSTER', 'INFO'), { timeout: 10_000 }).toContain('cluster_state:ok');
    const store = await open({ redisHost: `127.0.0.1:${redis.port}`, redisType: 'cluster' });
    const keys = Array.from({ length: 50 }, (_, i) => `c||${String(i).padStart(2, '0')}`);
    await Promise.all(keys.map((key, i) => set(store, key, i)));
    expect(await Promise.all(keys.map((key) => get(store, key)))).toEqual(keys.map((_, i) => String(i)));
    expect((await store.keysLike?.({ pattern: 'c||%' }, background))?.keys).toEqual(keys);
    const together = ['{x}1', '{x}2'].map((key) => ({ operation: 'upsert' as const, key, value: { json: '1' }, metadata: {}, concurrency: '', consistency: '' }));
    await store.transact?.(together, {}, background);
    expect(await get(store, '{x}2')).toBe('1');
    await expect(store.transact?.(together.map((o, i) => ({ ...o, key: `apart${i}` })), {}, background)).rejects.toThrow('CROSSSLOT');
    await store.close();
    await redis.stop();
    expect((await failure(open({ redisHost: `127.0.0.1:${redis.port}`, redisType: 'cluster', readTimeout: '500' }))).ms).toBeLessThan(2000);
  });

  test('a master told by sentinels', async () => {
    const redis = await startRedis();
    const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), 'outrigger-sentinel-'))];
    writeFileSync(join(folder, 'sentinel.conf'), `port ${port}\nbind 127.0.0.1\nsentinel monitor mine 127.0.0.1 ${redis.port} 1\n`);
    const sentinel = start([which('redis-server') as string, join(folder, 'sentinel.conf'), '--sentinel'], { cwd: folder });
    const store = await open({ redisHost: `127.0.0.1:${port}`, failover: 'true', sentinelMasterName: 'mine' });
    await set(store, 'k', 'by sentinel');
    expect(await redis.command('HGET', 'k', 'data')).toBe('"by sentinel"');
    await store.close();
    await sentinel.stop();
    await redis.stop();
    rmSync(folder, { recursive: true });
  });

  test.runIf(which('openssl'))('TLS: the certificate is checked unless that is switched off', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-'));
    const [key, cert, port] = [join(folder, 'key.pem'), join(folder, 'cert.pem'), await freePort()];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=redis'], { stdio: 'ignore' });
    const redis = await startRedis({ flags: ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no'] });
    const metadata = { redisHost: `127.0.0.1:${port}`, enableTLS: 'true', redisMaxRetries: '-1' };
    expect((await failure(open(metadata))).message).toMatch(/certificate/i);
    const store = await open({ ...metadata, insecureSkipTLSVerify: 'true' });
    await set(store, 'k', 1);
    expect(await redis.command('HGET', 'k', 'data')).toBe('1');
    await store.close();
    await redis.stop();
    rmSync(folder, { recursive: true });
  });
});
