// How PostgreSQL stores behave when connections are bad: stalled, cut, refused; and what they ask of the server.
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { freePort } from '../harness/ports.ts';
import { type PostgresServer, startPostgres } from '../harness/servers.ts';
import { openComponent } from './open.ts';

/** A relay to the server that can stall and cut. */
async function startRelay(port: number) {
  const pairs = new Set<[Socket, Socket]>();
  let stalled = false;
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (data) => !stalled && to.write(data));
      from.on('error', () => {});
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
  });
  await new Promise<void>((done) => relay.listen(0, '127.0.0.1', done));
  return {
    port: (relay.address() as { port: number }).port,
    /** From now on nothing passes, and nobody is told. */
    stall: () => void (stalled = true),
    goOn: () => void (stalled = false),
    cut: () => { for (const [near] of pairs) near.resetAndDestroy(); },
    stop: () => { for (const [near] of pairs) near.destroy(); relay.close(); },
  };
}

describeWithServer('postgres', 'state.postgresql', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
    await server.sql("CREATE SCHEMA other; CREATE USER app PASSWORD 'hidden-word'");
  });
  afterAll(() => server?.stop());

  const open = async (metadata: Record<string, string>, version = 'v2') => (await openComponent<StateStore>('state.postgresql', metadata, { version })).port;
  const dsn = (port: number) => `host=127.0.0.1 port=${port} user=postgres database=postgres sslmode=disable`;
  const item = (key: string, value: unknown, more: object = {}) => ({ key, value: { json: JSON.stringify(value) }, metadata: {}, concurrency: '', consistency: '', ...more });
  const get = async (store: StateStore, key: string) => {
    const { data } = await store.get({ key, metadata: {}, consistency: '' }, background);
    return data && JSON.parse(new TextDecoder().decode(data));
  };

  test('a server that does not answer: `unavailable` after the timeout, then it goes on', async () => {
    const relay = await startRelay(server.port);
    const store = await open({ connectionString: dsn(relay.port), timeout: '1s', maxConns: '2' });
    await store.set(item('k', 1), background);
    relay.stall();
    const started = Date.now();
    const calls = await Promise.allSettled([get(store, 'k'), store.set(item('x', 1), background), store.delete(item('k', 1), background), store.transact!([{ operation: 'upsert', ...item('a', 1) }, { operation: 'upsert', ...item('b', 1) }], {}, background)]);
    expect(calls.map((c) => c.status === 'rejected' && c.reason.kind)).toEqual(['unavailable', 'unavailable', 'unavailable', 'unavailable']);
    expect(Date.now() - started).toBeLessThan(5000);
    relay.goOn();
    relay.cut(); // what was sent meanwhile is lost, as after a broken route
    expect(await get(store, 'k')).toBe(1);
    await store.set(item('k', 2), background);
    expect(await get(store, 'k')).toBe(2);
    await store.close();
    relay.stop();
  });

  test('idle connections that are cut are replaced without anybody noticing', async () => {
    const relay = await startRelay(server.port);
    const store = await open({ connectionString: dsn(relay.port) });
    await Promise.all(Array.from({ length: 8 }, (_, i) => store.set(item(`k${i}`, i), background)));
    for (let round = 0; round < 3; round++) {
      relay.cut();
      expect(await Promise.all(Array.from({ length: 8 }, (_, i) => get(store, `k${i}`)))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    }
    await store.close();
    relay.stop();
  });

  test('sessions ended by the administrator are replaced', async () => {
    const store = await open({ connectionString: `${dsn(server.port)} application_name=victim` });
    await store.set(item('k', 1), background);
    await server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'");
    expect(await get(store, 'k')).toBe(1);
    await store.close();
  });

  test('no more connections than allowed', async () => {
    const store = await open({ connectionString: `${dsn(server.port)} application_name=counted`, maxConns: '3' });
    await store.set(item('n', 1), background);
    const reads = Promise.all(Array.from({ length: 300 }, () => get(store, 'n')));
    const counted = Number(await server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"));
    expect(new Set(await reads)).toEqual(new Set([1]));
    expect(counted).toBeGreaterThan(0);
    expect(counted).toBeLessThanOrEqual(3);
    await store.close();
  });

  test('settings of the server stand in the connection string', async () => {
    const store = await open({ connectionString: `${dsn(server.port)} search_path=other`, queryExecMode: 'exec' });
    await store.set(item('k', 'here'), background);
    expect(await server.sql('SELECT convert_from(value, \'UTF8\') FROM other.state')).toBe('"here"');
    await store.close();
  });

  test('what cannot work is told when the store opens, without the password', async () => {
    const message = async (metadata: Record<string, string>) => open(metadata).then(() => 'opened', (error: Error) => error.message);
    expect(await message({ connectionString: `host=127.0.0.1 port=${await freePort()} user=app password=hidden-word` })).toMatch(/^failed to connect to the database: .*ECONNREFUSED/);
    expect(await message({ connectionString: `host=localhost port=${await freePort()} user=app password=hidden-word` })).toMatch(/ECONNREFUSED/);
    expect(await message({ connectionString: `host=127.0.0.1 port=${server.port} user=nobody-here password=hidden-word` })).toMatch(/role "nobody-here" does not exist \(SQLSTATE 28000\)$/);
    expect(await message({ connectionString: `host=127.0.0.1 port=${server.port} user=app password=hidden-word database=none` })).toMatch(/database "none" does not exist \(SQLSTATE 3D000\)$/);
    expect(await message({ connectionString: `${dsn(server.port)} sslmode=require` })).toMatch(/does not support SSL/);
    expect(await message({ connectionString: dsn(server.port), tablePrefix: 'a; DROP TABLE state; --' })).toBe('invalid identifier: a; DROP TABLE state; --state');
    for (const metadata of [{ connectionString: 'password=hidden-word nonsense' }, { connectionString: `host=127.0.0.1 port=${server.port} user=app password=hidden-word database=none` }]) expect(await message(metadata)).not.toContain('hidden-word');
  });

  test.each(['v1', 'v2'])('%s: an expired row that nobody removed counts as absent', async (version) => {
    const store = await open({ connectionString: dsn(server.port), ...(version === 'v1' ? { tableName: 'expiring' } : { tablePrefix: 'expiring_' }), metadataTableName: `meta_${version}` }, version);
    await store.set(item('k', 1, { metadata: { ttlInSeconds: '100' } }), background);
    const { etag } = await store.get({ key: 'k', metadata: {}, consistency: '' }, background);
    await server.sql(version === 'v1' ? "UPDATE expiring SET expiredate = now() - interval '1 second'" : "UPDATE expiring_state SET expires_at = now() - interval '1 second'");
    expect(await get(store, 'k')).toBeNull();
    await expect(store.set(item('k', 2, { etag }), background)).rejects.toMatchObject({ kind: 'etagMismatch' });
    await store.set(item('k', 3, { concurrency: 'first-write' }), background);
    expect(await get(store, 'k')).toBe(3);
    await expect(store.set(item('k', 4, { concurrency: 'first-write' }), background)).rejects.toMatchObject({ kind: 'etagMismatch', message: 'no item was updated' });
    await store.close();
  });
});
