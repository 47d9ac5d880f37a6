// The Kafka client as the components' settings describe it (client: KafkaJS).
import type { Kafka, logLevel, SASLOptions } from 'kafkajs';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { HttpPort } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { KafkaSettings } from './settings.ts';
import { tokenSource } from './tokens.ts';

/** CommonJS: once bundled, `default` is all it exports. */
export const loadKafka = async () => ((await import('kafkajs')) as unknown as { default: typeof import('kafkajs') }).default;

/** Does not connect. */
export async function createClient(settings: KafkaSettings, http: HttpPort, log: Logger): Promise<Kafka> {
  const { Kafka, logLevel } = await loadKafka();
  const { tls } = settings;
  const sasl = saslOf(settings, http);
  return new Kafka({
    clientId: settings.clientId,
    brokers: settings.brokers,
    connectionTimeout: settings.dialMs,
    authenticationTimeout: settings.readMs,
    requestTimeout: settings.readMs,
    retry: { initialRetryTime: 250, retries: 3 },
    ssl: tls === undefined ? false : { rejectUnauthorized: tls.verify, ...(tls.ca ? { ca: [tls.ca] } : {}), ...(tls.cert ? { cert: tls.cert, key: tls.key } : {}) },
    ...(sasl === undefined ? {} : { sasl }),
    logLevel: logLevel.WARN,
    // What the library calls an error is mostly something it then mends; what matters reaches the log through our own events.
    logCreator: () => ({ namespace, level, log: { message, error } }: { namespace: string; level: logLevel; log: { message: string; [key: string]: unknown } }) => {
      if (level <= logLevel.WARN) log.debug(`kafka: ${namespace === '' ? '' : `[${namespace}] `}${message}${error === undefined ? '' : `: ${String(error)}`}`);
    },
  });
}

function saslOf({ auth, tls }: KafkaSettings, http: HttpPort): SASLOptions | undefined {
  if (auth.type === 'none') return undefined;
  if (auth.type === 'password') return { mechanism: auth.mechanism, username: auth.username, password: auth.password } as SASLOptions;
  const token = tokenSource(auth, http, { verify: tls?.verify ?? true, ...(tls?.ca ? { ca: tls.ca } : {}) });
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token(), extensions: auth.extensions }) };
}

/** What sarama says for the same trouble, where it says something of its own. */
export function goText(error: unknown): string {
  const { name, type, code, cause } = error as { name?: string; type?: string; code?: number; cause?: unknown };
  if ((name === 'KafkaJSNumberOfRetriesExceeded' || name === 'KafkaJSNonRetriableError') && cause !== undefined) return goText(cause);
  if (name === 'KafkaJSConnectionError' || name === 'KafkaJSConnectionClosedError' || name === 'KafkaJSRequestTimeoutError' || name === 'KafkaJSBrokerNotFound') return `kafka: client has run out of available brokers to talk to: ${textOf(error)}`;
  if (type !== undefined && typeof code === 'number') return `kafka server: ${textOf(error)}`;
  return textOf(error);
}
export const unavailable = (error: unknown): AdapterError => new AdapterError('unavailable', goText(error), error);
