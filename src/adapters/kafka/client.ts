// The Kafka client as the components' settings describe it (client: KafkaJS).
import type { Kafka, logLevel, SASLOptions } from 'kafkajs';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { addCodecs } from './codecs.ts';
import { mskTokenSource } from './msk-tokens.ts';
import type { KafkaSettings } from './settings.ts';
import { tokenSource } from './tokens.ts';

/** CommonJS: once bundled, `default` is all it exports. */
export const loadKafka = async () => ((await import('kafkajs')) as unknown as { default: typeof import('kafkajs') }).default;

/** Does not connect to the brokers. */
export async function createClient(settings: KafkaSettings, host: Host, log: Logger): Promise<Kafka> {
  const library = await loadKafka();
  const { Kafka, logLevel } = library;
  addCodecs(library);
  const { tls } = settings;
  const sasl = await saslOf(settings, host);
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

async function saslOf({ auth, tls }: KafkaSettings, host: Host): Promise<SASLOptions | undefined> {
  if (auth.type === 'none') return undefined;
  if (auth.type === 'password') return { mechanism: auth.mechanism, username: auth.username, password: auth.password } as SASLOptions;
  if (auth.type === 'awsiam') {
    const token = await mskTokenSource(auth.aws, host);
    return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token() }) };
  }
  const token = tokenSource(auth, host.http, { verify: tls?.verify ?? true, ...(tls?.ca ? { ca: tls.ca } : {}) });
  return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token(), extensions: auth.extensions }) };
}

/** What the library wrapped when it gave up. */
function rootOf(error: unknown): { name?: string; type?: string; code?: number; retriable?: boolean } {
  const { name, cause } = error as { name?: string; cause?: unknown };
  return (name === 'KafkaJSNumberOfRetriesExceeded' || name === 'KafkaJSNonRetriableError') && cause !== undefined && cause !== null ? rootOf(cause) : (error as object);
}
const connectionTrouble = new Set(['KafkaJSConnectionError', 'KafkaJSConnectionClosedError', 'KafkaJSRequestTimeoutError', 'KafkaJSBrokerNotFound', 'KafkaJSNumberOfRetriesExceeded']);

/** What sarama says for the same trouble, where it says something of its own. */
export function goText(error: unknown): string {
  const root = rootOf(error);
  if (connectionTrouble.has(root.name ?? '')) return `kafka: client has run out of available brokers to talk to: ${textOf(root)}`;
  return typeof root.code === 'number' && root.type !== undefined ? `kafka server: ${textOf(root)}` : textOf(root);
}

/** `invalid` where the brokers, or the partitioner, refused for good; anything else may go away. */
export function failure(error: unknown): AdapterError {
  const root = rootOf(error);
  const final = root.retriable === false && !connectionTrouble.has(root.name ?? '');
  return new AdapterError(final ? 'invalid' : 'unavailable', goText(error), error);
}
