import { describe, expect, it } from 'vitest';
import { schema } from '../../core/metadata.ts';
import type { Host } from '../../core/host.ts';
import { postgresConnection, postgresConnectionAliases, postgresConnectionFields } from './connection.ts';

const fields = schema(postgresConnectionFields, postgresConnectionAliases);
const lines: string[] = [];
const write = (message: string) => void lines.push(message);
const log = { debug: write, info: write, warn: write, error: write, fatal: write, always: write, scope: () => log };
const host = (env: Record<string, string> = {}) => ({ env, files: { read: async (path: string) => new TextEncoder().encode(`text of ${path}`) } }) as unknown as Host;
const connection = (properties: Record<string, string>, env?: Record<string, string>) => postgresConnection(fields.parse(properties), host(env), log);

describe('connection settings', () => {
  it('are built from fields alone, from either form, and fields win', async () => {
    expect(await connection({ host: 'h', port: '6', user: 'u', password: 'p', database: 'd' })).toMatchObject({ host: 'h', port: 6, user: 'u', password: 'p', database: 'd' });
    expect(await connection({ connectionString: 'host=h port=6 user=u dbname=d', password: 'x y', host: 'other' })).toMatchObject({ host: 'other', port: 6, user: 'u', password: 'x y', database: 'd' });
    expect(await connection({ url: 'postgres://u:p@h:6/d', user: 'me', port: '7' })).toMatchObject({ host: 'h', port: 7, user: 'me', password: 'p', database: 'd' });
    // as daprd: the port of the URL belonged to its host
    expect((await connection({ url: 'postgres://u@h:6/d', host: 'other' })).port).toBeUndefined();
    expect(await connection({ connectionString: 'user=u' }, { PGHOST: 'from-env', PGPORT: '9' })).toMatchObject({ host: 'from-env', port: 9 });
  });
  it('leave nothing of pgx for the server, and hand its own settings on', async () => {
    const { options, maxConns, idleMs, lifetimeMs, connectTimeoutMs, timeoutMs } = await connection({ connectionString: 'host=h pool_max_conns=7 pool_max_conn_idle_time=2m pool_max_conn_lifetime=3m pool_min_conns=1 pool_health_check_period=1s statement_cache_capacity=1 connect_timeout=3 search_path=a\\ b options=-cx=y', timeout: '5s' });
    expect({ options, maxConns, idleMs, lifetimeMs, connectTimeoutMs, timeoutMs }).toEqual({ options: '-cx=y -c search_path=a\\ b', maxConns: 7, idleMs: 120_000, lifetimeMs: 180_000, connectTimeoutMs: 3000, timeoutMs: 5000 });
    expect(await connection({ host: 'h', maxConns: '1' })).toMatchObject({ maxConns: Math.max(4, navigator.hardwareConcurrency), idleMs: 1800_000, timeoutMs: 20_000 });
    expect(await connection({ host: 'h', maxConns: '3', connectionMaxIdleTime: '10s' })).toMatchObject({ maxConns: 3, idleMs: 10_000 });
  });
  it('know the modes of TLS', async () => {
    const tls = async (more: string) => (await connection({ connectionString: `host=h ${more}` })).tls.map((t) => (t === false ? 'plain' : t.rejectUnauthorized ? (t.checkServerIdentity ? 'signed' : 'full') : 'unchecked'));
    expect(await tls('')).toEqual(['unchecked', 'plain']);
    expect(await tls('sslmode=disable')).toEqual(['plain']);
    expect(await tls('sslmode=allow')).toEqual(['plain', 'unchecked']);
    expect(await tls('sslmode=require')).toEqual(['unchecked']);
    expect(await tls('sslmode=require sslrootcert=/ca')).toEqual(['signed']);
    expect(await tls('sslmode=verify-ca')).toEqual(['signed']);
    expect(await tls('sslmode=verify-full')).toEqual(['full']);
    expect((await connection({ host: '/run/postgresql' })).tls).toEqual([false]);
    expect((await connection({ host: 'h', sslRootCert: '/ca', connectionString: 'sslmode=verify-full sslcert=/c sslkey=/k' })).tls[0]).toMatchObject({ ca: 'text of /ca', cert: 'text of /c', key: 'text of /k' });
    expect((await connection({ host: 'db', hostaddr: '10.0.0.1' })).tls[0]).toMatchObject({ servername: 'db' });
    for (const hosts of [{ host: '10.0.0.1' }, { host: 'db' }, { host: '::1', hostaddr: '::1' }] as Record<string, string>[]) expect((await connection(hosts)).tls[0]).not.toHaveProperty('servername');
  });
  it('prepare statements unless told otherwise', async () => {
    expect((await connection({ host: 'h' })).prepare).toBe(true);
    expect((await connection({ host: 'h', queryExecMode: 'cache_statement' })).prepare).toBe(true);
    for (const queryExecMode of ['cache_describe', 'describe_exec', 'exec', 'simple_protocol']) expect((await connection({ host: 'h', queryExecMode })).prepare).toBe(false);
  });
  it.each<[Record<string, string>, string]>([
    [{}, 'failed to build connection string'],
    [{ host: 'h', user: 'u', useAzureAD: 'true', azureAuthMethods: 'none' }, "all Azure auth methods have been disabled with auth method 'None'"],
    [{ host: 'h', user: 'u', useAWSIAM: 'yes' }, "failed to validate AWS IAM authentication fields: metadata properties 'region' or 'AWSRegion' is missing"],
    [{ host: 'h', useAWSIAM: 'yes', awsRegion: 'r' }, 'the connection names no user'],
    [{ host: 'h', timeout: '1ms' }, "invalid value for 'timeout'"],
    [{ host: 'h', queryExecMode: 'fast' }, 'invalid queryExecMode metadata value: fast'],
    [{ host: 'a,b' }, 'more than one host is not supported'],
    [{ host: 'h', port: 'x' }, 'invalid port x'],
    [{ connectionString: 'host=h sslmode=maybe' }, 'sslmode is invalid: maybe'],
    [{ connectionString: 'service=s' }, 'service files are not supported'],
  ])('%j is refused: %s', async (properties, text) => {
    await expect(connection(properties)).rejects.toThrow(text);
  });
});
