// PostgreSQL under tokens for passwords: a real server that knows the tokens of a contract server of Microsoft Entra ID, or is told by one that checks signatures as Amazon RDS does.
import { createHash, createHmac } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Binding } from '../../src/blocks/bindings/port.ts';
import type { Closable } from '../../src/blocks/components/definition.ts';
import type { ConfigurationStore } from '../../src/blocks/configuration/port.ts';
import type { LockStore } from '../../src/blocks/lock/port.ts';
import type { StateStore } from '../../src/blocks/state/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import { rerouted, startEntra } from '../harness/entra.ts';
import { startLdap } from '../harness/ldap.ts';
import { type PostgresServer, startPostgres } from '../harness/servers.ts';
import { openComponent, testHost } from './open.ts';

const [tenantId, clientId, secret] = ['tenant-1', 'client-1', 'a secret'];
const application = { azureTenantId: tenantId, azureClientId: clientId, azureClientSecret: secret };
/** By access key. */
const secrets: Readonly<Record<string, string>> = { AKIDMINE: 'my/secret+key', AKIDENV: 'of the environment' };
const region = 'eu-west-1';
const rdsName = 'mydb.123456789012.eu-west-1.rds.amazonaws.com';

/** What Amazon RDS makes of a password: the request it is, signed anew. */
function isSignedFor(token: string, host: string, user: string): boolean {
  const url = new URL(`https://${token}`);
  const of = (name: string) => url.searchParams.get(name) ?? '';
  const [accessKey = '', ...scope] = of('X-Amz-Credential').split('/');
  const age = Date.now() - Date.parse(of('X-Amz-Date').replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
  if (url.host !== host || of('Action') !== 'connect' || of('DBUser') !== user || !(age > -5000 && age < Number(of('X-Amz-Expires')) * 1000)) return false;
  if (scope.slice(1).join('/') !== `${region}/rds-db/aws4_request`) return false;
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const query = url.search.slice(1).split('&').filter((part) => !part.startsWith('X-Amz-Signature=')).sort();
  const request = `GET\n/\n${query.join('&')}\nhost:${host}\n\nhost\n${sha256('')}`;
  const key = scope.reduce<Buffer>((made, part) => createHmac('sha256', made).update(part).digest(), Buffer.from(`AWS4${secrets[accessKey]}`));
  return of('X-Amz-Signature') === createHmac('sha256', key).update(`AWS4-HMAC-SHA256\n${of('X-Amz-Date')}\n${scope.join('/')}\n${sha256(request)}`).digest('hex');
}

describeWithServer('postgres', 'PostgreSQL under tokens', () => {
  let server: PostgresServer;
  let entra: Awaited<ReturnType<typeof startEntra>>;
  let ldap: Awaited<ReturnType<typeof startLdap>>;
  const binds: { user: string; token: string; good: boolean }[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-postgres-login-'));
  const opened: Closable[] = [];

  beforeAll(async () => {
    entra = await startEntra([{ tenantId, clientId, secret }]);
    ldap = await startLdap((name, token) => {
      const user = name.replace('user=', '');
      const good = isSignedFor(token, `${rdsName}:${server.port}`, user);
      binds.push({ user, token, good });
      return good;
    });
    const rules = join(folder, 'pg_hba.conf');
    writeFileSync(rules, ['host all postgres 127.0.0.1/32 trust', 'host all app 127.0.0.1/32 scram-sha-256', `host all iam 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport=${ldap.port} ldapprefix="user="`, ''].join('\n'));
    chmodSync(folder, 0o755);
    server = await startPostgres({ flags: ['-c', `hba_file=${rules}`] });
    await server.sql('CREATE USER app; CREATE USER iam; GRANT ALL ON SCHEMA public TO app, iam; CREATE TABLE items (key text, value text, version text, metadata json); GRANT ALL ON items TO app, iam');
  });
  /** From now on Entra ID gives this token, and the database takes nothing else. */
  const rotate = async (token: string): Promise<void> => {
    entra.state.token = token;
    await server.sql(`ALTER USER app PASSWORD '${token}'`);
  };
  beforeEach(async () => {
    entra.requests.length = 0;
    binds.length = 0;
    Object.assign(entra.state, { lifetimeSeconds: 3600, away: false });
    await rotate(`eyJ0eXAi.${'a token is long '.repeat(100).replaceAll(' ', '-')}.1`);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((port) => port.close?.()));
    await server.sql('DROP OWNED BY app, iam; GRANT ALL ON SCHEMA public TO app, iam; GRANT ALL ON items TO app, iam');
  });
  afterAll(async () => {
    await server?.stop();
    await ldap?.stop();
    await entra?.stop();
    rmSync(folder, { recursive: true });
  });

  const open = async <Port extends Closable>(type: string, metadata: Record<string, string>, version = 'v1', env: Record<string, string> = {}): Promise<Port> => {
    const { port } = await openComponent<Port>(type, metadata, { version, host: rerouted(testHost(), { 'https://login.microsoftonline.com': entra.origin, 'https://login.chinacloudapi.cn': entra.origin }, env) });
    opened.push(port);
    return port;
  };
  const set = (store: StateStore, key: string, value: number) => store.set({ key, value: { json: String(value) }, metadata: {}, concurrency: '', consistency: '' }, background);
  const get = async (store: StateStore, key: string) => {
    const { data } = await store.get({ key, metadata: {}, consistency: '' }, background);
    return data && new TextDecoder().decode(data);
  };
  const cut = (user: string) => server.sql(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '${user}'`);

  /** Opens every component that speaks to PostgreSQL and has it say something. */
  const useAll = async (metadata: Record<string, string>): Promise<void> => {
    for (const version of ['v1', 'v2']) {
      const store = await open<StateStore>('state.postgresql', version === 'v1' ? { ...metadata, tableName: 'first' } : metadata, version);
      await set(store, 'k', 1);
      expect(await get(store, 'k')).toBe('1');
    }
    const lock = await open<LockStore>('lock.postgresql', metadata);
    expect(await lock.tryLock({ key: 'r', owner: 'me', seconds: 5 }, background)).toBe(true);
    const binding = await open<Binding>('bindings.postgresql', metadata);
    const answer = await binding.invoke?.({ operation: 'query', data: new Uint8Array(0), metadata: { sql: 'SELECT current_user::text' } }, background);
    expect(JSON.parse(new TextDecoder().decode(answer?.data))).toEqual([[/user=(\w+)/.exec(metadata.connectionString ?? '')?.[1]]]);
    const configuration = await open<ConfigurationStore>('configuration.postgresql', { ...metadata, table: 'items' });
    await server.sql("DELETE FROM items; INSERT INTO items VALUES ('k', 'v', '1', NULL)");
    expect((await configuration.get({ keys: ['k'], metadata: {} }, background)).get('k')?.value).toBe('v');
    // LISTEN goes over a connection of its own.
    const changes: (string | undefined)[] = [];
    await configuration.subscribe({ keys: ['k'], metadata: { pgNotifyChannel: 'changes' } }, async ({ items }) => void changes.push(items.get('k')?.value));
    await server.sql(`NOTIFY changes, '{"data":{"key":"k","value":"w","version":"2"}}'`);
    await expect.poll(() => changes).toEqual(['w']);
  };

  test('useAzureAD: every component, with the token instead of any password', async () => {
    await useAll({ connectionString: `host=127.0.0.1 port=${server.port} user=app password=masterpassword database=postgres`, useAzureAD: 'true', ...application });
    expect(new Set(entra.requests.map(({ fields }) => fields.scope))).toEqual(new Set(['https://ossrdbms-aad.database.windows.net/.default']));
  }, 20_000);

  test('useAzureAD: a fresh token for each connection, and none for those that are there', async () => {
    entra.state.lifetimeSeconds = 60; // too short to be used twice
    const store = await open<StateStore>('state.postgresql', { url: `postgres://app@127.0.0.1:${server.port}/postgres?sslmode=disable`, useAzureAD: 'true', ...application, azureEnvironment: 'AzureChinaCloud', cleanupInterval: '-1' }, 'v2');
    const atFirst = entra.requests.length;
    expect(entra.requests[0]?.fields.scope).toBe('https://ossrdbms-aad.database.chinacloudapi.cn/.default');
    expect(atFirst).toBe(Number(await server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")));
    for (let i = 0; i < 5; i++) await set(store, 'k', i);
    expect(entra.requests.length).toBe(atFirst);
    for (const more of [1, 2]) {
      await rotate(`token-${more}`);
      await cut('app');
      expect(await get(store, 'k')).toBe('4');
      expect(entra.requests.length).toBe(atFirst + more);
    }
    entra.state.away = true;
    await cut('app');
    // The last token is good for some time yet.
    expect(await get(store, 'k')).toBe('4');
    await rotate('another');
    await cut('app');
    await expect(get(store, 'k')).rejects.toMatchObject({ message: expect.stringContaining('password authentication failed') });
    entra.state.away = false;
    expect(await get(store, 'k')).toBe('4');
  }, 20_000);

  test('useAzureAD: what Entra ID says of a wrong secret is why the component does not open', async () => {
    const metadata = { connectionString: `host=127.0.0.1 port=${server.port} user=app database=postgres sslmode=disable`, useAzureAD: 'true', ...application, azureClientSecret: 'wrong' };
    await expect(open('state.postgresql', metadata, 'v2')).rejects.toThrow(/failed to connect to the database: failed to acquire a token from Microsoft Entra ID: client secret: .*AADSTS7000215/);
  });

  const rds = () => ({ connectionString: `host=${rdsName} hostaddr=127.0.0.1 port=${server.port} user=iam password=not-this dbname=postgres`, useAWSIAM: 'true' });
  test('useAWSIAM: every component, with a signed request for a password', async () => {
    await useAll({ ...rds(), awsRegion: region, awsAccessKey: 'AKIDMINE', awsSecretKey: secrets.AKIDMINE as string, awsSessionToken: 'temporary+/=' });
    expect(binds.length).toBeGreaterThan(5);
    expect(binds.every(({ user, good, token }) => user === 'iam' && good && token.includes('X-Amz-Security-Token=temporary%2B%2F%3D'))).toBe(true);
  }, 20_000);

  test('useAWSIAM: credentials of the environment; made anew for each connection', async () => {
    const store = await open<StateStore>('state.postgresql', { ...rds(), region, cleanupInterval: '-1' }, 'v2', { AWS_ACCESS_KEY_ID: 'AKIDENV', AWS_SECRET_ACCESS_KEY: secrets.AKIDENV as string });
    await set(store, 'k', 1);
    const before = binds.splice(0);
    expect(before.every(({ good }) => good)).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1000 - (Date.now() % 1000))); // a signature says the second
    await cut('iam');
    expect(await get(store, 'k')).toBe('1');
    expect(binds).toEqual([{ user: 'iam', good: true, token: expect.stringContaining('X-Amz-Credential=AKIDENV') }]);
    expect(before.map(({ token }) => token)).not.toContain(binds[0]?.token);
  });

  test('useAWSIAM: a wrong secret is refused by the server', async () => {
    await expect(open('state.postgresql', { ...rds(), region, accessKey: 'AKIDMINE', secretKey: 'wrong' }, 'v2')).rejects.toThrow('LDAP authentication failed for user "iam"');
    expect(binds.every(({ good }) => !good)).toBe(true);
  });

  // As a real daprd says them.
  test.each<[string, string, Record<string, string>, string]>([
    ['state.postgresql', 'v2', { useAWSIAM: 'true' }, "failed to validate AWS IAM authentication fields: metadata properties 'region' or 'AWSRegion' is missing"],
    ['state.postgresql', 'v1', { useAWSIAM: 'true' }, "failed to validate AWS IAM authentication fields: metadata properties 'region' or 'AWSRegion' is missing"],
    ['configuration.postgresql', 'v1', { useAWSIAM: 'true' }, "failed to validate AWS IAM authentication fields: metadata properties 'region' or 'AWSRegion' is missing"],
    ['state.postgresql', 'v1', { useAzureAD: 'true', azureAuthMethods: 'none' }, "all Azure auth methods have been disabled with auth method 'None'"],
    ['configuration.postgresql', 'v1', { useAzureAD: 'true', azureAuthMethods: 'none' }, "PostgreSQL configuration store connection error: all Azure auth methods have been disabled with auth method 'None'"],
    ['state.postgresql', 'v1', { queryExecMode: 'fast' }, 'invalid queryExecMode metadata value: fast'],
    ['state.postgresql', 'v1', { timeout: '1ms' }, "failed to parse metadata: invalid value for 'timeout': must be greater than 1s"],
  ])('%s/%s with %j', async (type, version, more, message) => {
    await expect(open(type, { connectionString: 'host=127.0.0.1 port=1 user=u', table: 'items', ...more }, version)).rejects.toMatchObject({ message });
  });
});
