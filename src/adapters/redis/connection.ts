// The connection to Redis that all Redis components share: one node, a cluster, or a master told by sentinels (client: ioredis).
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { RedisLogin } from './entra-login.ts';
import type { RedisSettings } from './settings.ts';

export type RedisArgument = string | number | Uint8Array;
/** Texts of the server are bytes; an error inside a list (of EXEC) is an Error. */
export type RedisReply = Uint8Array | number | null | Error | RedisReply[];

export interface RedisConnection {
  /** For messages: `host:port`, comma-separated. */
  readonly address: string;
  /** In a cluster all keys of one command must share a slot, and commands without a key reach any node. */
  readonly clustered: boolean;
  /**
   * Runs one command; many at once share one connection and travel together.
   * While Redis cannot be reached the command waits for the next tries (redisMaxRetries, at most readTimeout).
   * Rejects with AdapterError: `unavailable` when there was no answer, `internal` with the server's words when it refused.
   */
  command(name: string, ...args: RedisArgument[]): Promise<RedisReply>;
  /** The same on every master of a cluster (SCAN, INFO); without a cluster on the one server. */
  masters(): Promise<Pick<RedisConnection, 'command'>[]>;
  /**
   * Another connection with the same settings; `blocking`: without a limit on how long an answer may take (XREADGROUP BLOCK, SUBSCRIBE).
   * `listening`: for subscriptions only. With useEntraID it stays signed in while this one is open.
   */
  another(options?: AnotherOptions): Promise<RedisConnection>;
  /** The client of ioredis, for what commands cannot do (subscriptions). */
  readonly client: Redis | Cluster;
  /** Waits a moment for commands on their way, then closes. */
  close(): Promise<void>;
}

export interface AnotherOptions {
  blocking?: boolean;
  listening?: boolean;
}

export interface OpenOptions {
  host: Host;
  log: Logger;
  /** Aborted when the component may no longer take time to start. */
  signal: AbortSignal;
  /** What daprd says when Redis does not answer; where it ends with `at` the address follows: `redis store: error connecting to redis at`. */
  failing: string;
}

const closingMs = 1000;
const healthySigns = /^(LOADING|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|READONLY)\b/;

/** Connects and says PING; rejects when Redis does not answer it within the retries or the signal aborts. */
export async function openRedis(settings: RedisSettings, options: OpenOptions): Promise<RedisConnection> {
  const login = settings.entra && (await signedIn(settings, options));
  const connection = await connect(settings, options.log, login, {});
  const close = async () => {
    login?.close();
    await connection.close();
  };
  try {
    await untilAborted(connection.command('PING'), options.signal);
    return { ...connection, close };
  } catch (error) {
    login?.close();
    connection.client.disconnect();
    throw new AdapterError('unavailable', `${options.failing}${options.failing.endsWith(' at') ? ` ${settings.address}` : ''}: ${textOf(error)}`, error);
  }
}

async function signedIn({ entra, tls, address }: RedisSettings, { host, log, signal }: OpenOptions): Promise<RedisLogin | undefined> {
  if (entra === undefined) return undefined;
  if (tls === undefined) log.warn(`redis at ${address}: enableTLS is false, so tokens of Microsoft Entra ID travel as plain text`);
  const { entraLogin } = await import('./entra-login.ts');
  const login = entraLogin(entra, host, log);
  return untilAborted(login, signal).catch((error) => {
    void login.then((late) => late.close(), () => undefined);
    throw new AdapterError(error instanceof AdapterError ? error.kind : 'invalid', `redis client configuration error: ${textOf(error)}`, error);
  });
}

async function connect(settings: RedisSettings, log: Logger, login: RedisLogin | undefined, { blocking = false, listening = false }: AnotherOptions): Promise<RedisConnection> {
  const { default: ioredis } = (await import('ioredis')) as unknown as { default: typeof import('ioredis') }; // CommonJS: once bundled, `default` is all it exports
  const common = perNode(settings, login, blocking, listening);
  const client = settings.mode === 'cluster' ? new ioredis.Cluster(settings.addresses.map((a) => ({ ...a })), clusterOptions(settings, common)) : new ioredis.Redis(nodeOptions(settings, common, blocking));
  login?.keep(client);
  const clustered = settings.mode === 'cluster';

  // ioredis tells why it cannot connect by events only; commands just learn that it gave up.
  let trouble: string | undefined;
  let lost = false;
  client.on('error', (error: Error & { lastNodeError?: Error }) => {
    trouble = textOf(error.lastNodeError ?? error);
  });
  client.on('ready', () => {
    if (lost) log.info(`redis at ${settings.address} is connected again`);
    lost = false;
    trouble = undefined;
  });
  client.on('reconnecting', () => {
    if (!lost) log.warn(`redis at ${settings.address}: connection lost${trouble === undefined ? '' : ` (${trouble})`}, connecting again`);
    lost = true;
  });

  const failure = (error: unknown): AdapterError => {
    const message = textOf(error);
    if (error instanceof Error && error.name === 'ReplyError') return new AdapterError(healthySigns.test(message) ? 'unavailable' : 'internal', message, error);
    if (message === 'Command timed out') return new AdapterError('unavailable', trouble ?? `no answer from redis at ${settings.address} within ${settings.readTimeoutMs} ms`, error);
    return new AdapterError('unavailable', trouble ?? message, error);
  };
  const runner = (on: Redis | Cluster) => async (name: string, ...args: RedisArgument[]): Promise<RedisReply> => {
    try {
      const running = on.callBuffer(name, ...args.map(bufferOf)) as Promise<RedisReply>;
      // A cluster's own queue knows no time limit.
      return await (clustered && !blocking && settings.readTimeoutMs !== undefined ? within(running, settings.readTimeoutMs) : running);
    } catch (error) {
      throw failure(error);
    }
  };
  const command = runner(client);

  return {
    address: settings.address,
    clustered,
    client,
    command,
    masters: async () => {
      if (!('nodes' in client)) return [{ command }];
      await command('PING'); // the nodes are known once the cluster has answered
      return client.nodes('master').map((node) => ({ command: runner(node) }));
    },
    another: async (wanted = {}) => connect(settings, log, login, wanted),
    close: async () => {
      if (client.status === 'ready') await within(client.quit(), closingMs).catch(() => undefined);
      client.disconnect();
    },
  };
}

function nodeOptions(settings: RedisSettings, common: RedisOptions, blocking: boolean): RedisOptions {
  const sentinels = settings.mode === 'sentinel' ? settings.addresses.map((a) => ({ ...a })) : undefined;
  return {
    ...(sentinels ? sentinelOptions(settings, sentinels) : { ...settings.addresses[0] }),
    ...common,
    db: settings.mode === 'cluster' ? 0 : settings.database,
    maxRetriesPerRequest: blocking ? null : settings.maxRetries,
    retryStrategy: (times) => pause(settings, times),
  };
}

function perNode(settings: RedisSettings, login: RedisLogin | undefined, blocking: boolean, listening: boolean): RedisOptions {
  const username = login?.user ?? settings.username;
  const password = login?.password() ?? settings.password;
  return {
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(settings.tls ? { tls: tlsOptions(settings.tls) } : {}),
    ...(settings.dialTimeoutMs === undefined ? { connectTimeout: 0 } : { connectTimeout: settings.dialTimeoutMs }),
    ...(settings.readTimeoutMs === undefined || blocking ? {} : { commandTimeout: settings.readTimeoutMs, socketTimeout: settings.readTimeoutMs * 2 }),
    // What was under way when the connection broke is sent again, as redisMaxRetries asks for.
    autoResendUnfulfilledCommands: settings.maxRetries > 0,
    // In RESP2 a connection that listens takes no AUTH, which every new token asks for.
    protocol: login !== undefined && listening ? 3 : 2,
    disableClientInfo: true,
  };
}

const sentinelOptions = (settings: RedisSettings, sentinels: { host: string; port: number }[]): RedisOptions => ({
  sentinels,
  name: settings.sentinelMaster,
  ...(settings.sentinelUsername === '' ? {} : { sentinelUsername: settings.sentinelUsername }),
  ...(settings.sentinelPassword === '' ? {} : { sentinelPassword: settings.sentinelPassword }),
  ...(settings.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(settings.tls) } : {}),
  sentinelRetryStrategy: (times) => pause(settings, times),
});

const clusterOptions = (settings: RedisSettings, common: RedisOptions): ClusterOptions => ({
  redisOptions: common,
  clusterRetryStrategy: (times) => pause(settings, times),
  scaleReads: 'master',
  // Behind TLS the certificate names the host, not the address it resolves to.
  ...(settings.tls ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
});

const tlsOptions = ({ verify, cert, key }: NonNullable<RedisSettings['tls']>) => ({ rejectUnauthorized: verify, ...(cert ? { cert, key } : {}) });

// ioredis knows no other bytes than Buffers.
const bufferOf = (arg: RedisArgument): string | number | Buffer => (typeof arg === 'object' ? (Buffer.isBuffer(arg) ? arg : Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength)) : arg);

/** Doubles from the shortest pause to the longest; as in go-redis the longest wins when it is the smaller. */
const pause = ({ minRetryMs, maxRetryMs }: RedisSettings, times: number): number => Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(times - 1, 30) * (1 + Math.random()));

function within<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Command timed out')), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(new Error('context deadline exceeded'));
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
