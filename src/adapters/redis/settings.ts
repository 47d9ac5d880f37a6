// The connection metadata that all Redis components share (Dapr: components-contrib/common/component/redis/settings.go).
import * as z from 'zod';
import { parseDuration } from '../../core/duration.ts';
import { MetadataError, type MetadataSchema, parseBool, type Properties, property, schema } from '../../core/metadata.ts';
import { entraAliases, entraFields, type EntraSettings } from '../azure/entra-settings.ts';

// Decoder B of component metadata: strict Go parsing, bare numbers of a duration are milliseconds. Messages are Go's.
const decoded = <T>(go: keyof typeof kinds, read: (text: string) => T | undefined) =>
  z.string().transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `invalid ${go} ${JSON.stringify(text)}` });
    return z.NEVER;
  }).meta({ kind: kinds[go] });
/** Go's types as the component reference calls them. */
const kinds = { bool: 'boolean', int: 'whole number', uint: 'whole number', uint16: 'whole number', Duration: 'duration' } as const;
const wholeNumber = (least: number, most: number) => (text: string) => {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
};
/** Field kinds of the Redis family. */
export const redisField = {
  text: () => z.string(),
  flag: () => decoded('bool', parseBool),
  int: () => decoded('int', wholeNumber(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
  uint: () => decoded('uint', wholeNumber(0, Number.MAX_SAFE_INTEGER)),
  uint16: () => decoded('uint16', wholeNumber(0, 65_535)),
  /** Milliseconds; a negative number is kept as it is and switches the limit off. */
  duration: () => decoded('Duration', (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : parseDuration(text))),
};
const { text, flag, int, uint16, duration } = redisField;

/** The fields themselves, for schemas of components that speak to Redis. Durations are milliseconds; 0 stands for the default. */
export const connectionFields = {
  redisHost: text().default('').describe('`host:port` of Redis; several separated by commas for a cluster or for sentinels. Default localhost:6379'),
  redisPort: uint16().default(0).describe('Port for hosts that name none; must not contradict one that does. Default 6379'),
  redisUsername: text().default('').describe('ACL user; empty for the default user'),
  redisPassword: text().default('').describe('Password; empty for none'),
  sentinelUsername: text().default('').describe('ACL user of the sentinels'),
  sentinelPassword: text().default('').describe('Password of the sentinels'),
  redisDB: int().default(0).describe('Database number; not with redisType cluster'),
  redisType: text().default('node').describe('`node` or `cluster`'),
  redisMaxRetries: int().default(3).describe('How often a command is tried again while Redis cannot be reached; -1 never. 0 stands for 3'),
  redisMinRetryInterval: duration().default(0).describe('Shortest pause between two tries; default 8ms, for state and lock 2s'),
  redisMaxRetryInterval: duration().default(0).describe('Longest pause between two tries; default 512ms, for configuration 2s'),
  dialTimeout: duration().default(0).describe('How long making a connection may take; default 5s'),
  readTimeout: duration().default(0).describe('How long an answer may take; default 3s, -1 for ever'),
  writeTimeout: duration().default(0).describe('Accepted for compatibility: readTimeout covers sending and answering'),
  poolSize: int().default(0).describe('Accepted for compatibility: commands share one pipelined connection'),
  minIdleConns: int().default(0).describe('Accepted for compatibility'),
  maxConnAge: duration().default(0).describe('Accepted for compatibility'),
  poolTimeout: duration().default(0).describe('Accepted for compatibility'),
  idleTimeout: duration().default(0).describe('Accepted for compatibility'),
  idleCheckFrequency: duration().default(0).describe('Accepted for compatibility'),
  failover: flag().default(false).describe('redisHost names sentinels that tell the master'),
  sentinelMasterName: text().default('').describe('Name of the master that the sentinels watch'),
  enableTLS: flag().optional().describe('Connect with TLS. Default: only with useEntraID'),
  insecureSkipTLSVerify: flag().default(false).describe('Do not check the certificate of the server; for tests only'),
  clientCert: text().default('').describe('Client certificate, PEM text'),
  clientKey: text().default('').describe('Key of the client certificate, PEM text'),
  useEntraID: flag().default(false).describe('Sign in with a token of Microsoft Entra ID; the user is its object id. Not together with redisUsername or redisPassword'),
  ...entraFields,
};
type Fields = z.output<z.ZodObject<typeof connectionFields>>;

export interface Address {
  host: string;
  port: number;
}
/** Decoded connection metadata; durations in milliseconds with their defaults filled in, undefined = no limit. */
export interface RedisSettings {
  /** As daprd names it in messages: every address with its port, comma-separated. */
  readonly address: string;
  readonly addresses: readonly Address[];
  readonly mode: 'node' | 'cluster' | 'sentinel';
  readonly username: string;
  readonly password: string;
  readonly sentinelUsername: string;
  readonly sentinelPassword: string;
  readonly sentinelMaster: string;
  readonly database: number;
  readonly maxRetries: number;
  readonly minRetryMs: number;
  readonly maxRetryMs: number;
  readonly dialTimeoutMs: number | undefined;
  readonly readTimeoutMs: number | undefined;
  readonly tls: { readonly verify: boolean; readonly cert?: string; readonly key?: string } | undefined;
  /** How to get the tokens to sign in with, instead of user and password. */
  readonly entra: EntraSettings | undefined;
}

/** Which component asks: their retry defaults and legacy names differ. */
export type RedisUse = 'state' | 'lock' | 'pubsub' | 'bindings' | 'configuration';

/**
 * Schema of a Redis component: the connection fields and its own. The decoded metadata has the own fields and `connection`.
 * Messages are daprd's: `redis client configuration error: decode failed. 1 error(s) decoding: …`.
 */
export function redisSchema<S extends z.ZodRawShape>(use: RedisUse, own: S): MetadataSchema<z.output<z.ZodObject<S>> & { connection: RedisSettings }> {
  const fields = schema({ ...connectionFields, ...own } as typeof connectionFields & S, { ...entraAliases, useAzureAD: 'useEntraID', ...(use === 'state' || use === 'lock' ? { maxRetries: 'redisMaxRetries' } : {}) });
  return {
    ...fields,
    parse: (properties) => {
      let values: Fields & z.output<z.ZodObject<S>>;
      try {
        values = fields.parse(upgraded(use, properties)) as typeof values;
      } catch (error) {
        if (!(error instanceof MetadataError)) throw error;
        const what = error.field === undefined ? error.message : `1 error(s) decoding:\n\n* error decoding '${error.field}': ${error.problem}`;
        throw new MetadataError(`redis client configuration error: decode failed. ${what}`);
      }
      return { ...values, connection: settingsOf(use, values) };
    },
  };
}

/** An empty redisMaxRetries gives way to the legacy name; `maxRetryBackoff` was in nanoseconds. */
function upgraded(use: RedisUse, properties: Properties): Properties {
  if (use !== 'state' && use !== 'lock') return properties;
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(properties)) if (value !== '' || !/^redisM(ax|in)Retr(ies|yInterval)$/i.test(name)) out[name] = value;
  const backoff = properties.maxRetryBackoff;
  if (backoff && property(out, 'redisMinRetryInterval') === undefined) {
    if (!/^[+-]?\d+$/.test(backoff)) throw new MetadataError(`redis store error: can't parse maxRetryBackoff field: strconv.ParseInt: parsing ${JSON.stringify(backoff)}: invalid syntax`);
    out.redisMinRetryInterval = `${backoff}ns`;
  }
  return out;
}

function settingsOf(use: RedisUse, fields: Fields): RedisSettings {
  const fail = (message: string) => new MetadataError(`redis client configuration error: ${message}`);
  if (fields.useEntraID && (fields.redisUsername !== '' || fields.redisPassword !== '')) throw fail('username or password must not be specified when using Entra ID authentication');
  const list = fields.redisHost === '' ? ['localhost'] : fields.redisHost.split(',').map((host) => host.trim());
  const addresses = list.filter((host) => host !== '').map((host) => addressOf(host, fields.redisPort));
  const limit = (value: number, byDefault: number) => (value < 0 ? undefined : value || byDefault);
  return {
    address: addresses.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join(','),
    addresses,
    mode: fields.failover ? 'sentinel' : fields.redisType === 'cluster' ? 'cluster' : 'node',
    username: fields.redisUsername,
    password: fields.redisPassword,
    sentinelUsername: fields.sentinelUsername,
    sentinelPassword: fields.sentinelPassword,
    sentinelMaster: fields.sentinelMasterName,
    database: fields.redisDB,
    maxRetries: fields.redisMaxRetries < 0 ? 0 : fields.redisMaxRetries || 3,
    minRetryMs: Math.max(0, fields.redisMinRetryInterval || (use === 'state' || use === 'lock' ? 2000 : 8)),
    maxRetryMs: Math.max(0, fields.redisMaxRetryInterval || (use === 'configuration' ? 2000 : 512)),
    dialTimeoutMs: limit(fields.dialTimeout, 5000),
    readTimeoutMs: limit(fields.readTimeout, 3000),
    // daprd leaves TLS to enableTLS here too, and so sends the token to whoever listens.
    tls: (fields.enableTLS ?? fields.useEntraID) ? { verify: !fields.insecureSkipTLSVerify, ...(fields.clientCert && fields.clientKey ? { cert: fields.clientCert, key: fields.clientKey } : {}) } : undefined,
    entra: fields.useEntraID ? fields : undefined,
  };

  /** `host`, `host:port`, `[v6]:port`; what is none of these with a port is a host. */
  function addressOf(entry: string, port: number): Address {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(entry);
    if (!match) return { host: entry.replace(/^\[(.*)\]$/, '$1'), port: port || 6379 };
    const own = Number(match[3]);
    if (port !== 0 && port !== own) {
      throw fail(`redis host "${entry}" already contains port ${own}, but redisPort is set to ${port}; either remove the port from redisHost or remove the redisPort setting`);
    }
    return { host: match[1] ?? match[2] ?? '', port: own };
  }
}
