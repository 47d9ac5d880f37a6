// The connection to NATS servers as Dapr's metadata describes it (client: the NATS project's own).
import type { Authenticator, NatsConnection, TlsOptions } from '@nats-io/transport-node';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';

export interface NatsSettings {
  /** One or more, comma-separated: `nats://user:password@host:4222`, `nats://token@host`, `tls://host`, `host`. */
  url: string;
  name: string;
  jwt: string;
  seedKey: string;
  token: string;
  /** PEM text or the path of a file. */
  clientCert: string;
  clientKey: string;
}

const connectMs = 2000;
const closingMs = 1000;

export interface NatsAddress {
  servers: string[];
  user: string;
  /** Undefined: the user is a token. */
  password: string | undefined;
  tls: boolean;
}

/** Servers, and the user that the first one with a user names. */
export function parseServers(text: string): NatsAddress {
  const address: NatsAddress = { servers: [], user: '', password: undefined, tls: false };
  for (const url of text.split(',').map((part) => part.trim()).filter((part) => part !== '')) {
    const parts = /^(?:([a-z]+):\/\/)?(?:([^@/]*)@)?([^/?#@]+)/i.exec(url);
    if (parts === null) throw new Error(`nats: ${url} is no address of a server`);
    const [, scheme = 'nats', user = '', host = ''] = parts;
    if (scheme !== 'nats' && scheme !== 'tls') throw new Error(`nats: addresses with ${scheme}:// are not supported, only nats:// and tls://`);
    if (scheme === 'tls') address.tls = true;
    if (user !== '' && address.user === '') {
      const colon = user.indexOf(':');
      address.user = decodeURIComponent(colon < 0 ? user : user.slice(0, colon));
      if (colon >= 0) address.password = decodeURIComponent(user.slice(colon + 1));
    }
    address.servers.push(host);
  }
  return address;
}

/** CommonJS: once bundled, `default` is all it exports. */
export const loadNats = async () => ((await import('@nats-io/transport-node')) as unknown as { default: typeof import('@nats-io/transport-node') }).default;
export const loadJetStream = async () => ((await import('@nats-io/jetstream')) as unknown as { default: typeof import('@nats-io/jetstream') }).default;

/** Connects once; lost connections are made again for ever. Rejects with nats.go's words. */
export async function connectNats(settings: NatsSettings, host: Host, log: Logger): Promise<NatsConnection> {
  const { connect, jwtAuthenticator, tokenAuthenticator, usernamePasswordAuthenticator } = await loadNats();
  const address = parseServers(settings.url);
  const authenticator = ((): Authenticator | undefined => {
    if (settings.jwt !== '') return jwtAuthenticator(settings.jwt, new TextEncoder().encode(settings.seedKey.trim()));
    if (settings.clientCert === '' && settings.token !== '') return tokenAuthenticator(settings.token);
    if (address.user === '') return undefined;
    return address.password === undefined ? tokenAuthenticator(address.user) : usernamePasswordAuthenticator(address.user, address.password);
  })();
  const tls = await tlsOf(settings, address.tls, host);
  let connection: NatsConnection;
  try {
    connection = await connect({
      servers: address.servers,
      name: settings.name,
      timeout: connectMs,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
      ...(authenticator === undefined ? {} : { authenticator }),
      ...(tls === undefined ? {} : { tls }),
    });
  } catch (error) {
    throw new AdapterError('unavailable', goText(error), error);
  }
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') log.warn(`nats: disconnected from ${status.server}, connecting again`);
      if (status.type === 'reconnect') log.info(`nats: connected again to ${status.server}`);
      if (status.type === 'error') log.error(`nats: ${textOf(status.error)}`);
    }
  })();
  return connection;
}

/** Sends what is on its way, then closes; without a server at once. */
export async function closeNats(connection: NatsConnection): Promise<void> {
  if (connection.isClosed()) return;
  const timer = setTimeout(() => void connection.close(), closingMs);
  await connection.drain().catch(() => connection.close());
  clearTimeout(timer);
}

async function tlsOf({ clientCert, clientKey }: NatsSettings, wanted: boolean, host: Host): Promise<TlsOptions | undefined> {
  const text = async (value: string): Promise<string> => {
    if (value.includes('-----BEGIN ')) return value;
    if (host.files === undefined) throw new Error('files cannot be read on this runtime: give the certificate itself');
    return new TextDecoder().decode(await host.files.read(value));
  };
  if (clientCert === '' && !wanted) return undefined; // TLS where the server asks for it
  // The only way to name an authority of one's own, as in every Go program.
  const caFile = host.env.SSL_CERT_FILE;
  const ca = caFile && host.files ? { ca: await text(caFile) } : {};
  return clientCert === '' ? ca : { cert: await text(clientCert), key: await text(clientKey), ...ca };
}

/** What nats.go says for the same trouble. */
export function goText(error: unknown): string {
  const { name, message, cause } = error as { name?: string; message?: string; cause?: { name?: string } };
  if (name === 'JetStreamNotEnabled' && cause?.name === 'RequestError') return 'nats: no response from stream';
  if (name === 'TimeoutError' || cause?.name === 'TimeoutError') return 'nats: timeout';
  if (name === 'AuthorizationError') return 'nats: Authorization Violation';
  if (name === 'ClosedConnectionError' || name === 'DrainingConnectionError') return 'nats: connection closed';
  if (message === 'connection refused') return 'nats: no servers available for connection';
  const text = textOf(error);
  return text.startsWith('nats: ') ? text : `nats: ${text}`;
}
