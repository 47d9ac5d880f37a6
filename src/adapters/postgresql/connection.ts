// Connection settings that every PostgreSQL component shares (Dapr: components-contrib/common/authentication/postgresql).
import { AdapterError } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { field, MetadataError } from '../../core/metadata.ts';
import { parseDuration } from '../../core/duration.ts';
import { awsFields, type AwsSettings, prefixedAwsAliases } from '../aws/fields.ts';
import { entraAliases, entraFields, type EntraSettings } from '../azure/entra-settings.ts';
import { dsnSettings, urlSettings } from './dsn.ts';
import type { PasswordSource, RdsServer } from './login.ts';

const { endpoint: _, ...credentialFields } = awsFields;

/** Fields for a component's schema. */
export const postgresConnectionFields = {
  connectionString: field.text().default('').describe('Key=value pairs or a `postgres://` URL. The fields below override its parts.'),
  host: field.text().default('').describe('Name or address of the server.'),
  hostaddr: field.text().default('').describe('Address of the server; `host` then only names it for the check of its certificate.'),
  port: field.text().default('').describe('Port of the server. Default 5432.'),
  database: field.text().default('').describe('Name of the database.'),
  user: field.text().default('').describe('User to connect as.'),
  password: field.text().default('').describe('Password of the user.'),
  sslRootCert: field.text().default('').describe('File with the certificates (PEM) that the server must be signed by.'),
  connectionMaxIdleTime: field.duration().default(0).describe('How long an unused connection stays open. Default 30m.'),
  maxConns: field.integer().default(0).describe('Most connections at once; 0 and 1: the larger of 4 and the number of processors.'),
  queryExecMode: field.text().default('').describe('`cache_statement` (default), or `cache_describe`, `describe_exec`, `exec`, `simple_protocol`: no prepared statements, for PgBouncer.'),
  timeout: field.duration().default(20_000).describe('Longest time to connect and to wait for an answer. At least 1s.'),
  useAzureAD: field.flag().default(false).describe('Log in with a token of Microsoft Entra ID as the password: Azure Database for PostgreSQL.'),
  useAWSIAM: field.flag().default(false).describe('Log in with a token of AWS IAM as the password: Amazon RDS and Aurora. The AWS fields are for it.'),
  ...entraFields,
  ...credentialFields,
  region: field.text().default('').describe('AWS region of the database: useAWSIAM needs it'),
};
export const postgresConnectionAliases = { ...entraAliases, ...prefixedAwsAliases, url: 'connectionString', connMaxIdleTime: 'connectionMaxIdleTime', timeoutInSeconds: 'timeout' };

export interface PostgresConnectionSettings extends EntraSettings, Omit<AwsSettings, 'endpoint'> {
  connectionString: string;
  host: string;
  hostaddr: string;
  port: string;
  database: string;
  user: string;
  password: string;
  sslRootCert: string;
  connectionMaxIdleTime: number;
  maxConns: number;
  queryExecMode: string;
  timeout: number;
  useAzureAD: boolean;
  useAWSIAM: boolean;
}

/** TLS options as node:tls takes them; false: no TLS. */
export type PostgresTls = false | { rejectUnauthorized: boolean; checkServerIdentity?: () => undefined; servername?: string; ca?: string; cert?: string; key?: string; passphrase?: string };

export interface PostgresConnection {
  /** Undefined: what `pg` takes by itself, which reads the PG* variables. */
  host: string | undefined;
  port: number | undefined;
  user: string | undefined;
  /** A function is asked for each connection. */
  password: string | PasswordSource | undefined;
  database: string | undefined;
  applicationName: string | undefined;
  /** Server settings in the form of the start-up packet: `-c search_path=x`. */
  options: string | undefined;
  /** Ways to connect, to be tried in order: `sslmode=prefer` has two. */
  tls: PostgresTls[];
  connectTimeoutMs: number;
  timeoutMs: number;
  maxConns: number;
  idleMs: number;
  lifetimeMs: number;
  /** Statements are prepared once per connection. */
  prepare: boolean;
}

// What libpq and pgx know and we have no use for; anything else in a connection string is a setting of the server.
const ours = new Set(['host', 'hostaddr', 'port', 'user', 'password', 'database', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'connect_timeout', 'application_name', 'fallback_application_name', 'options']);
const ignored = new Set(['sslsni', 'sslnegotiation', 'sslcompression', 'passfile', 'target_session_attrs', 'min_protocol_version', 'max_protocol_version', 'ssl_min_protocol_version', 'ssl_max_protocol_version',
  'channel_binding', 'krbsrvname', 'krbspn', 'gssencmode', 'gsslib', 'client_encoding', 'keepalives', 'keepalives_idle', 'keepalives_interval', 'keepalives_count', 'tcp_user_timeout', 'load_balance_hosts',
  'statement_cache_capacity', 'description_cache_capacity', 'default_query_exec_mode']);
const execModes = ['cache_statement', 'cache_describe', 'describe_exec', 'exec', 'simple_protocol'];

/**
 * Puts connection string, fields and files together. Throws where something is missing, wrong or not supported: MetadataError, AdapterError for the
 * fields of AWS IAM, else Error; components of daprd word these differently.
 */
export async function postgresConnection(settings: PostgresConnectionSettings, host: Host, log: Logger): Promise<PostgresConnection> {
  if (settings.timeout < 1000) throw new MetadataError("invalid value for 'timeout': must be greater than 1s");
  const { connectionString } = settings;
  const isUrl = /^postgres(ql)?:\/\//.test(connectionString);
  const parts = isUrl ? urlSettings(connectionString) : dsnSettings(connectionString);
  // A host that takes the place of the one in a URL takes its port with it, as daprd does it.
  if (isUrl && (settings.host || settings.hostaddr)) parts.delete('port');
  for (const name of ['host', 'hostaddr', 'port', 'database', 'user', 'password'] as const) if (settings[name] !== '') parts.set(name, settings[name]);
  if (settings.sslRootCert !== '') parts.set('sslrootcert', settings.sslRootCert);
  if (parts.size === 0) throw new MetadataError('failed to build connection string');

  const env = (name: string) => host.env[name] || undefined;
  const part = (name: string, variable?: string) => parts.get(name) || (variable === undefined ? undefined : env(variable));
  const name = part('host', 'PGHOST');
  const address = part('hostaddr', 'PGHOSTADDR');
  if (name?.includes(',') || part('port')?.includes(',')) throw new Error('failed to parse connection string: more than one host is not supported');
  if (parts.has('service')) throw new Error('failed to parse connection string: service files are not supported');
  const portText = part('port', 'PGPORT');
  const user = part('user', 'PGUSER');
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65536)) throw new Error(`failed to parse connection string: invalid port ${portText}`);
  const attributes = part('target_session_attrs');
  if (attributes !== undefined && attributes !== 'any') log.warn(`Ignoring target_session_attrs=${attributes} of the connection string`);

  const mode = settings.queryExecMode || part('default_query_exec_mode') || 'cache_statement';
  if (!execModes.includes(mode)) throw new Error(`invalid queryExecMode metadata value: ${mode}`);
  const connectSeconds = Number(part('connect_timeout', 'PGCONNECT_TIMEOUT') ?? 0);
  const poolMax = Number(part('pool_max_conns') ?? 0);
  const server = [...parts].filter(([key]) => !ours.has(key) && !ignored.has(key) && !key.startsWith('pool_')).map(([key, value]) => `-c ${key}=${value.replace(/[\\ ]/g, '\\$&')}`);
  return {
    host: address ?? name,
    port,
    user,
    password: settings.useAzureAD || settings.useAWSIAM ? await passwordSource(settings, { host: name ?? address ?? 'localhost', port: port ?? 5432, user: user ?? '' }, host, log) : part('password'),
    database: part('database'),
    applicationName: part('application_name') ?? part('fallback_application_name'),
    options: [part('options', 'PGOPTIONS'), ...server].filter((o) => o !== undefined).join(' ') || undefined,
    tls: await tlsModes(part, name, host),
    connectTimeoutMs: connectSeconds > 0 ? Math.min(connectSeconds * 1000, settings.timeout) : settings.timeout,
    timeoutMs: settings.timeout,
    maxConns: settings.maxConns > 1 ? settings.maxConns : poolMax > 0 ? Math.max(2, poolMax) : Math.max(4, globalThis.navigator?.hardwareConcurrency ?? 4),
    idleMs: settings.connectionMaxIdleTime > 0 ? settings.connectionMaxIdleTime : (parseDuration(part('pool_max_conn_idle_time') ?? '') ?? 30 * 60_000),
    lifetimeMs: settings.useAWSIAM ? 8 * 60_000 : (parseDuration(part('pool_max_conn_lifetime') ?? '') ?? 60 * 60_000),
    prepare: mode === 'cache_statement',
  };
}

/** As in daprd, Entra ID goes first where both are wanted. */
async function passwordSource(settings: PostgresConnectionSettings, server: RdsServer, host: Host, log: Logger): Promise<PasswordSource> {
  const { entraPassword, rdsPassword } = await import('./login.ts');
  if (settings.useAzureAD) return entraPassword(settings, host, log);
  const fault = settings.region === '' ? "metadata properties 'region' or 'AWSRegion' is missing" : server.user === '' ? 'the connection names no user' : undefined;
  if (fault !== undefined) throw new AdapterError('invalid', `failed to validate AWS IAM authentication fields: ${fault}`);
  return rdsPassword(server, { ...settings, endpoint: '' }, host);
}

/** libpq's sslmode as the TLS options to try; source: PostgreSQL's documentation, "SSL Support". */
async function tlsModes(part: (name: string, variable?: string) => string | undefined, name: string | undefined, host: Host): Promise<PostgresTls[]> {
  const mode = part('sslmode', 'PGSSLMODE') ?? 'prefer';
  if (mode === 'disable' || name?.startsWith('/')) return [false];
  const text = async (key: string, variable: string) => {
    const path = part(key, variable);
    if (path === undefined || path === 'system') return undefined;
    if (host.files === undefined) throw new Error(`${key}: files are not available on this runtime`);
    return new TextDecoder().decode(await host.files.read(path));
  };
  const [ca, cert, key] = [await text('sslrootcert', 'PGSSLROOTCERT'), await text('sslcert', 'PGSSLCERT'), await text('sslkey', 'PGSSLKEY')];
  const passphrase = part('sslpassword');
  // `pg` names the host it connects to; with hostaddr that is an address, and TLS knows no addresses as names.
  const servername = part('hostaddr', 'PGHOSTADDR') !== undefined && name !== undefined && !/^[\d.]+$|:/.test(name) ? name : undefined;
  const own = { ...(cert ? { cert } : {}), ...(key ? { key } : {}), ...(passphrase ? { passphrase } : {}), ...(servername ? { servername } : {}) };
  const unchecked = { rejectUnauthorized: false, ...own };
  const full = { rejectUnauthorized: true, ...(ca ? { ca } : {}), ...own };
  const signedOnly = { ...full, checkServerIdentity: () => undefined };
  switch (mode) {
    case 'allow':
      return [false, unchecked];
    case 'prefer':
      return [unchecked, false];
    case 'require':
      return [ca ? signedOnly : unchecked];
    case 'verify-ca':
      return [signedOnly];
    case 'verify-full':
      return [full];
    default:
      throw new Error(`failed to parse connection string: sslmode is invalid: ${mode}`);
  }
}
