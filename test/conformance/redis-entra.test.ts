// Redis under tokens of Microsoft Entra ID: a real Redis whose ACL user takes the newest token as its only password, tokens from a contract server.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import type { Closable } from '../../src/blocks/components/definition.ts';
import type { ConfigurationStore } from '../../src/blocks/configuration/port.ts';
import type { LockStore } from '../../src/blocks/lock/port.ts';
import type { PubSub } from '../../src/blocks/pubsub/port.ts';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { rerouted, startEntra } from '../harness/entra.ts';
import { freePort } from '../harness/ports.ts';
import { type RedisServer, startRedis } from '../harness/servers.ts';
import { lines, openComponent, testHost } from './open.ts';

const [tenantId, clientId, secret, oid] = ['tenant-1', 'client-1', 'a secret', '6f1ed002-ab52-4b3c-9d65-3f2d6f3a7b10'];
const application = { azureTenantId: tenantId, azureClientId: clientId, azureClientSecret: secret };

describeWithServer(['redis', 'openssl'], 'Redis under Microsoft Entra ID', () => {
  let entra: Awaited<ReturnType<typeof startEntra>>;
  let redis: RedisServer;
  let tlsPort: number;
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-redis-entra-'));
  const opened: Closable[] = [];

  beforeAll(async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=redis'], { stdio: 'ignore' });
    entra = await startEntra([{ tenantId, clientId, secret }]);
    tlsPort = await freePort();
    redis = await startRedis({ flags: ['--tls-port', String(tlsPort), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert, '--tls-auth-clients', 'no'] });
  });
  beforeEach(async () => {
    entra.requests.length = 0;
    lines.length = 0;
    Object.assign(entra.state, { lifetimes: [], away: false, oid, onIssue: accept(redis) });
    await redis.command('CONFIG', 'RESETSTAT');
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((port) => port.close?.()));
    await redis.command('FLUSHALL');
  });
  afterAll(async () => {
    await redis?.stop();
    await entra?.stop();
    rmSync(folder, { recursive: true });
  });

  /** The newest token is the only password: who comes with an older one is refused. Connections that are there stay. */
  const accept = (server: RedisServer) => (token: string) => server.command('ACL', 'SETUSER', oid, 'on', 'resetpass', `>${token}`, '~*', '&*', '+@all');
  const open = async <Port extends Closable>(type: string, more: Record<string, string> = {}): Promise<Port> => {
    // No enableTLS: the port speaks nothing else.
    const metadata = { redisHost: `127.0.0.1:${tlsPort}`, insecureSkipTLSVerify: 'true', useEntraID: 'true', ...application, ...more };
    const { port } = await openComponent<Port>(type, metadata, { host: rerouted(testHost(), { 'https://login.microsoftonline.com': entra.origin }) });
    opened.push(port);
    return port;
  };
  /** What opens under a token that soon ends gets one that lasts with the next. */
  const openShort = <Port extends Closable>(type: string, more: Record<string, string> = {}): Promise<Port> => {
    entra.state.lifetimes = [3];
    return open<Port>(type, more);
  };
  /** Connections of the identity: the numbers Redis gave them. */
  const connections = async (server = redis): Promise<string[]> =>
    String(await server.command('CLIENT', 'LIST')).split('\n').filter((line) => line.includes(` user=${oid} `)).map((line) => (/^id=(\d+)/.exec(line) ?? [])[1] as string).sort();
  /** How often somebody signed in, and how often that was refused; HELLO signs in too. */
  const signIns = async (server = redis): Promise<{ auth: number; hello: number; refused: number }> => {
    const stats = String(await server.command('INFO', 'commandstats'));
    const of = (command: string, figure: string) => Number(new RegExp(`^cmdstat_${command}:.*\\b${figure}=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
    return { auth: of('auth', 'calls'), hello: of('hello', 'calls'), refused: of('auth', 'failed_calls') + of('auth', 'rejected_calls') };
  };
  const renewed = () => expect.poll(() => entra.requests.length, { timeout: 6000 }).toBe(2);
  const set = (store: StateStore, key: string, value: number) => store.set({ key, value: { json: String(value) }, metadata: {}, concurrency: '', consistency: '' }, background);
  const get = async (store: StateStore, key: string) => {
    const { data } = await store.get({ key, metadata: {}, consistency: '' }, background);
    return data && new TextDecoder().decode(data);
  };

  test('every component signs in over TLS, as the object id of its token', async () => {
    const store = await open<StateStore>('state.redis');
    await set(store, 'k', 1);
    expect([await get(store, 'k'), await connections()]).toEqual(['1', [expect.any(String)]]);
    const lock = await open<LockStore>('lock.redis');
    expect(await lock.tryLock({ key: 'r', owner: 'me', seconds: 5 }, background)).toBe(true);
    const binding = await open<Binding>('bindings.redis', { useEntraID: 'false', useAzureAD: 'true' }).catch((error: Error) => error);
    // The alias counts only where the name is absent, so this one is nobody to Redis.
    expect(binding).toMatchObject({ message: expect.stringContaining('redis binding: error connecting to redis') });
    const { useEntraID: _, ...byAlias } = { useEntraID: 'true', useAzureAD: 'true', enableTLS: 'true', redisHost: `127.0.0.1:${tlsPort}`, insecureSkipTLSVerify: 'true', ...application };
    const { port } = await openComponent<Binding>('bindings.redis', byAlias, { host: rerouted(testHost(), { 'https://login.microsoftonline.com': entra.origin }) });
    opened.push(port);
    await port.invoke?.({ operation: 'create', data: new TextEncoder().encode('x'), metadata: { key: 'b' } }, background);
    expect(await redis.command('GET', 'b')).toBe('x');
    expect((await connections()).length).toBe(3);
    expect(entra.requests.map(({ fields }) => fields.scope)).toEqual(Array(3).fill('https://redis.azure.com/.default'));
  });

  test('before a token ends the connection signs in with the next; one that is made later comes with it too', async () => {
    const store = await openShort<StateStore>('state.redis');
    await set(store, 'k', 1);
    const [before] = [await connections()];
    await renewed();
    await expect.poll(() => signIns(), { timeout: 5000 }).toEqual({ auth: 2, hello: 0, refused: 0 });
    expect(await connections()).toEqual(before);
    await redis.command('CLIENT', 'KILL', 'ID', before[0] as string);
    await expect.poll(() => get(store, 'k').catch(() => undefined), { timeout: 5000 }).toBe('1');
    expect(await signIns()).toEqual({ auth: 3, hello: 0, refused: 0 });
    expect(entra.requests.length).toBe(2);
  }, 15_000);

  test('a new token that Redis does not know yet is tried until it does', async () => {
    const store = await openShort<StateStore>('state.redis');
    const late: string[] = [];
    entra.state.onIssue = async (token) => void late.push(token);
    await renewed();
    await expect.poll(async () => (await signIns()).refused, { timeout: 5000 }).toBe(1);
    await set(store, 'k', 2);
    await accept(redis)(late[0] as string);
    await expect.poll(() => signIns(), { timeout: 4000 }).toEqual({ auth: 3, hello: 0, refused: 1 });
    expect([await get(store, 'k'), lines.filter((line) => line.includes('redis refused the new token')).length]).toEqual(['2', 1]);
  }, 15_000);

  test('while Entra ID is away the store goes on, and has a new token when it is back', async () => {
    const store = await openShort<StateStore>('state.redis');
    entra.state.away = true;
    await expect.poll(() => lines.some((line) => line.includes('redis: no new token from Microsoft Entra ID, trying again')), { timeout: 6000 }).toBe(true);
    await set(store, 'k', 3);
    entra.state.away = false;
    await expect.poll(async () => (await signIns()).auth, { timeout: 6000 }).toBe(2);
    expect(await get(store, 'k')).toBe('3');
  }, 20_000);

  test('messages: the reader that waits for them signs in as well, cut off it comes back with the new token', async () => {
    const pubsub = await openShort<PubSub>('pubsub.redis', { consumerID: 'g', readTimeout: '500ms' });
    const got: string[] = [];
    const subscription = await pubsub.subscribe({ topic: 't', metadata: {} }, async ({ data }) => void got.push(new TextDecoder().decode(data as Uint8Array)));
    const publish = (text: string) => pubsub.publish({ topic: 't', data: new TextEncoder().encode(text), metadata: {} }, background);
    await publish('one');
    await expect.poll(() => got, { timeout: 5000 }).toEqual(['one']);
    const before = await connections();
    expect(before.length).toBe(2);
    await renewed();
    await expect.poll(() => signIns(), { timeout: 5000 }).toEqual({ auth: 4, hello: 0, refused: 0 });
    expect(await connections()).toEqual(before);
    for (const id of before) await redis.command('CLIENT', 'KILL', 'ID', id);
    await expect.poll(async () => (await connections()).length, { timeout: 5000 }).toBe(2);
    await publish('two');
    await expect.poll(() => got, { timeout: 5000 }).toEqual(['one', 'two']);
    expect((await signIns()).refused).toBe(0);
    await subscription.close();
  }, 20_000);

  const watch = async (server: RedisServer, more: Record<string, string>) => {
    const store = await openShort<ConfigurationStore>('configuration.redis', more);
    const changes: (string | undefined)[] = [];
    await store.subscribe({ keys: ['k'], metadata: {} }, async ({ items }) => void changes.push(items.get('k')?.value));
    const change = async (value: string) => {
      await server.command('SET', 'k', value);
      await expect.poll(() => changes.at(-1), { timeout: 5000 }).toBe(value);
    };
    await change('a');
    return change;
  };
  test('changes of configuration: the connection that listens signs in and stays', async () => {
    const change = await watch(redis, {});
    const before = await connections();
    expect(before.length).toBe(2);
    await renewed();
    // One came with HELLO, both signed in again.
    await expect.poll(() => signIns(), { timeout: 5000 }).toEqual({ auth: 3, hello: 1, refused: 0 });
    expect(await connections()).toEqual(before);
    await change('b');
    for (const id of before) await redis.command('CLIENT', 'KILL', 'ID', id);
    await expect.poll(async () => (await connections()).length, { timeout: 5000 }).toBe(2);
    await change('c');
  }, 20_000);
  test('changes of configuration, told by a Redis without RESP3: another connection listens in its place', async () => {
    const old = await startRedis({ flags: ['--rename-command', 'HELLO', ''] });
    entra.state.onIssue = accept(old);
    try {
      const change = await watch(old, { redisHost: `127.0.0.1:${old.port}`, enableTLS: 'false' });
      expect(lines.some((line) => line.includes('tokens of Microsoft Entra ID travel as plain text'))).toBe(true);
      const before = await connections(old);
      await renewed();
      await expect.poll(async () => (await connections(old)).filter((id) => before.includes(id)).length, { timeout: 5000 }).toBe(1);
      await expect.poll(async () => (await connections(old)).length, { timeout: 5000 }).toBe(2);
      await change('b');
      expect((await signIns(old)).refused).toBe(0);
    } finally {
      await Promise.all(opened.splice(0).map((port) => port.close?.()));
      await old.stop();
    }
  }, 20_000);

  test('a cluster', async () => {
    const cluster = await startRedis({ flags: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] });
    entra.state.onIssue = accept(cluster);
    try {
      await cluster.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      await expect.poll(() => cluster.command('CLUSTER', 'INFO'), { timeout: 10_000 }).toContain('cluster_state:ok');
      const store = await openShort<StateStore>('state.redis', { redisHost: `127.0.0.1:${cluster.port}`, redisType: 'cluster', enableTLS: 'false' });
      await set(store, 'k', 1);
      const before = (await signIns(cluster)).auth;
      await renewed();
      await expect.poll(async () => (await signIns(cluster)).auth, { timeout: 5000 }).toBeGreaterThan(before);
      for (const id of await connections(cluster)) await cluster.command('CLIENT', 'KILL', 'ID', id).catch(() => undefined); // some come and go
      await expect.poll(() => get(store, 'k').catch(() => undefined), { timeout: 8000 }).toBe('1');
      expect((await signIns(cluster)).refused).toBe(0);
    } finally {
      await Promise.all(opened.splice(0).map((port) => port.close?.()));
      await cluster.stop();
    }
  }, 30_000);

  test('no token, a token of nobody, a user beside it: the component does not open, and says why', async () => {
    await expect(open('state.redis', { azureClientSecret: 'wrong' })).rejects.toThrow(/^redis client configuration error: failed to acquire a token from Microsoft Entra ID: client secret: .*AADSTS7000215/);
    await expect(open('state.redis', { azureAuthMethods: 'none' })).rejects.toThrow("redis client configuration error: all Azure auth methods have been disabled with auth method 'None'");
    entra.state.oid = undefined;
    await expect(open('state.redis')).rejects.toThrow('redis client configuration error: could not parse object ID from Auth token');
    await expect(open('state.redis', { redisPassword: 'p' })).rejects.toThrow('redis client configuration error: username or password must not be specified when using Entra ID authentication');
  });
});
