// Component metadata that the two Kafka components share, with Dapr's checks (components-contrib/common/component/kafka/metadata.go).
import type { Logger } from '../../core/log.ts';
import { field, MetadataError, parseBool, type Properties, property, schema } from '../../core/metadata.ts';
import { awsFields, type AwsSettings, prefixedAwsAliases } from '../aws/fields.ts';
import { type RetryPolicy, retryPolicy } from '../retry-policy.ts';
import type { RegistrySettings } from './schema-registry.ts';

const { endpoint: _, ...credentialFields } = awsFields;
const fields = {
  brokers: field.text().default('').describe('Addresses of the brokers, comma-separated: `host:9092`'),
  authType: field.text().default('').describe('none, password, mtls, certificate, oidc, oidc_private_key_jwt or awsiam (Amazon MSK)'),
  authRequired: field.text().default('').describe('Deprecated: true or false, where authType is not given'),
  consumerGroup: field.text().default('').describe('Group of consumers that share the messages; default: consumerID, which is the app id'),
  consumerID: field.text().default('').describe('Group of consumers where consumerGroup is not given'),
  clientId: field.text().default('').describe('Name of this client as the brokers show it. Default: sarama'),
  initialOffset: field.text().default('').describe('Where a group begins that has read nothing yet: newest (default) or oldest'),
  maxMessageBytes: field.integer().default(0).describe('Largest message that is published, in bytes; default 1048576'),
  saslUsername: field.text().default('').describe('User, with authType password'),
  saslPassword: field.text().default('').describe('Password of the user'),
  saslMechanism: field.text().default('').describe('SHA-256, SHA-512 or PLAINTEXT (default)'),
  oidcTokenEndpoint: field.text().default('').describe('URL that gives tokens, with authType oidc and oidc_private_key_jwt'),
  oidcClientID: field.text().default('').describe('OAuth2 client'),
  oidcClientSecret: field.text().default('').describe('Secret of the OAuth2 client, with authType oidc'),
  oidcScopes: field.text().default('').describe('Scopes of the token, comma-separated. Default: openid'),
  oidcExtensions: field.text().default('').describe('JSON object of texts that are sent to the broker with the token'),
  oidcClientAssertionCert: field.text().default('').describe('Certificate of the key that signs for the client, PEM text, with authType oidc_private_key_jwt'),
  oidcClientAssertionKey: field.text().default('').describe('RSA key that signs for the client, PEM text'),
  oidcResource: field.text().default('').describe('`resource` of the request for a token'),
  oidcAudience: field.text().default('').describe('Audience of the signed assertion and of the token; default: the token endpoint'),
  oidcKid: field.text().default('').describe('`kid` header of the signed assertion'),
  disableTls: field.flag().default(false).describe('No TLS although there is authentication'),
  skipVerify: field.flag().default(false).describe('The certificate of the brokers is not checked: unsafe'),
  caCert: field.text().default('').describe('Certificate authority of the brokers, PEM text'),
  clientCert: field.text().default('').describe('Client certificate, PEM text, with authType mtls'),
  clientKey: field.text().default('').describe('Key of the client certificate, PEM text'),
  consumeRetryEnabled: field.flag().optional().describe('A message that the app refused is tried again, its partition waits; see backOffPolicy. Default: true for pub/sub, false for bindings'),
  consumeRetryInterval: field.text().default('').describe('Pause before a lost group is joined again; a number means milliseconds. Default 100ms'),
  heartbeatInterval: field.duration().default(3000).describe('How often a consumer says that it is alive. Default 3s'),
  sessionTimeout: field.duration().default(10_000).describe('After how long without that it counts as gone. Default 10s'),
  version: field.text().default('').describe('Version of the brokers; what they can do is asked of them'),
  escapeHeaders: field.flag().default(false).describe('Values of headers and the key are percent-encoded when messages are delivered'),
  clientConnectionTopicMetadataRefreshInterval: field.duration().default(480_000).describe('How often the list of topics and brokers is renewed. Default 8m'),
  clientConnectionKeepAliveInterval: field.duration().default(0).describe('TCP keep-alive; accepted, connections are always kept alive'),
  dialTimeout: field.duration().default(30_000).describe('How long connecting may take. Default 30s'),
  readTimeout: field.duration().default(30_000).describe('How long an answer may take. Default 30s'),
  writeTimeout: field.duration().default(30_000).describe('Accepted; readTimeout counts for the whole request. Default 30s'),
  metadataTimeout: field.duration().default(0).describe('Accepted; readTimeout counts'),
  channelBufferSize: field.integer().default(256).describe('Messages of a partition that are fetched ahead. Default 256'),
  consumerFetchMin: field.integer().default(1).describe('Bytes that a fetch waits for. Default 1'),
  consumerFetchDefault: field.integer().default(1_048_576).describe('Bytes of a partition that a fetch brings at most. Default 1048576'),
  consumerGroupRebalanceStrategy: field.text().default('range').describe('How partitions are shared in a group: range (default), roundrobin, sticky'),
  compression: field.text().default('none').describe('Of published messages: none (default), gzip, snappy, lz4 or zstd'),
  producerRequiredAcks: field.text().default('all').describe('Who must have a message before it counts as published: all replicas (default), local the leader, none nobody'),
  producerRetryMax: field.integer().default(5).describe('How often publishing is tried again. Default 5'),
  schemaRegistryURL: field.text().default('').describe('Schema registry, with the API of Confluent, for messages with valueSchemaType Avro: `http://host:8081`'),
  schemaRegistryAPIKey: field.text().default('').describe('User of the schema registry'),
  schemaRegistryAPISecret: field.text().default('').describe('Password of the schema registry'),
  schemaCachingEnabled: field.flag().default(true).describe('Schemas are remembered; else the registry is asked for each message. Default true'),
  schemaLatestVersionCacheTTL: field.duration().default(300_000).describe('How long the latest schema of a subject is remembered. Default 5m'),
  useAvroJSON: field.flag().default(false).describe('The JSON of messages is Avro\'s own, which names the type of each value of a union: {"string": "x"}'),
  excludeHeaderMetaRegex: field.text().default('').describe('Metadata whose name matches becomes no header, and headers no metadata'),
  backOffPolicy: field.text().default('constant').describe('Pauses between tries of a message: constant (default) or exponential'),
  backOffDuration: field.duration().default(5000).describe('Pause with the policy constant. Default 5s'),
  backOffInitialInterval: field.duration().default(500).describe('First pause with the policy exponential. Default 500ms'),
  backOffMaxInterval: field.duration().default(60_000).describe('Longest pause with the policy exponential. Default 60s'),
  backOffMaxElapsedTime: field.duration().default(900_000).describe('With the policy exponential: no more tries after this time; 0 never. Default 15m'),
  backOffMaxRetries: field.integer().default(-1).describe('Tries after the first; negative: until the app takes it. Default -1'),
  ...credentialFields,
  region: field.text().default('').describe('AWS region of the brokers: authType awsiam needs it, and the other AWS fields are for it too'),
};

/** Schema of one component: what both have, and what only it has. */
export const kafkaSchema = schema(fields, prefixedAwsAliases);
export const kafkaBindingSchema = schema({
  ...fields,
  topics: field.text().default('').describe('Topics that are read, comma-separated'),
  publishTopic: field.text().default('').describe('Topic that is written'),
}, prefixedAwsAliases);

export interface KafkaSettings {
  brokers: string[];
  clientId: string;
  group: string;
  fromOldest: boolean;
  auth: KafkaAuth;
  /** Undefined: no TLS. */
  tls: { ca?: string; cert?: string; key?: string; verify: boolean } | undefined;
  /** Undefined: a refused message is passed over. */
  retry: RetryPolicy | undefined;
  rejoinMs: number;
  heartbeatMs: number;
  sessionMs: number;
  escapeHeaders: boolean;
  metadataAgeMs: number;
  dialMs: number;
  readMs: number;
  ahead: number;
  fetchMinBytes: number;
  fetchBytes: number;
  strategy: 'range' | 'roundrobin' | 'sticky';
  compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
  acks: -1 | 0 | 1;
  retries: number;
  maxMessageBytes: number;
  exclude: RegExp | undefined;
  registry: RegistrySettings | undefined;
}
export type KafkaAuth =
  | { type: 'none' }
  | { type: 'password'; mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string }
  | { type: 'awsiam'; aws: AwsSettings }
  | ({ type: 'oidc'; secret: string } & OidcClient)
  | ({ type: 'oidc_private_key_jwt'; key: string; audience: string; resource: string; kid: string } & OidcClient);
export interface OidcClient {
  endpoint: string;
  client: string;
  scopes: string[];
  extensions: Record<string, string>;
}

type Fields = ReturnType<typeof kafkaSchema.parse>;
const refuse = (message: string): never => {
  throw new MetadataError(message);
};
const pem = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s:,-]+-----END \1-----/;

/** Throws a MetadataError with Dapr's words. `retries`: what consumeRetryEnabled is where nothing says so. */
export function settingsOf(m: Fields, properties: Properties, log: Logger, retries: boolean): KafkaSettings {
  const authType = authTypeOf(m, log);
  const initialOffset = (properties.initialOffset ?? '').toLowerCase();
  if (!['', 'oldest', 'newest'].includes(initialOffset)) refuse(`kafka error: invalid initialOffset: ${properties.initialOffset}`);
  if (m.brokers === '') refuse("kafka error: missing 'brokers' attribute");
  if (m.caCert !== '' && !pem.test(m.caCert)) refuse('kafka error: invalid ca certificate');
  const auth = authOf(authType, m, log);
  if (m.disableTls) log.info('kafka: TLS connectivity to broker disabled');
  if (m.skipVerify) log.info("kafka: you are using 'skipVerify' to skip server config verify which is unsafe!");
  if (authType === 'mtls' && m.disableTls) refuse("kafka: cannot configure mTLS authentication when TLSDisable is 'true'");
  if (m.version !== '' && !/^(0\.\d+\.\d+\.\d+|[1-9]\d*\.\d+\.\d+)$/.test(m.version)) refuse('kafka error: invalid kafka version');
  if (m.producerRetryMax < 0) refuse(`kafka error: invalid value for 'producerRetryMax': ${m.producerRetryMax} (must be >= 0)`);
  return {
    brokers: m.brokers.split(',').map((broker) => broker.trim()),
    clientId: m.clientId || 'sarama',
    group: m.consumerGroup || (property(properties, 'consumerID') ?? ''),
    fromOldest: initialOffset === 'oldest',
    auth,
    tls: m.disableTls || authType === 'none' ? undefined : { verify: !m.skipVerify, ...(m.caCert ? { ca: m.caCert } : {}), ...(authType === 'mtls' ? { cert: m.clientCert, key: m.clientKey } : {}) },
    retry: (m.consumeRetryEnabled ?? retries) ? retryPolicy(m) : undefined,
    rejoinMs: rejoinOf(m.consumeRetryInterval),
    heartbeatMs: m.heartbeatInterval,
    sessionMs: m.sessionTimeout,
    escapeHeaders: m.escapeHeaders,
    metadataAgeMs: m.clientConnectionTopicMetadataRefreshInterval > 0 ? m.clientConnectionTopicMetadataRefreshInterval : 480_000,
    dialMs: m.dialTimeout > 0 ? m.dialTimeout : 30_000,
    readMs: m.readTimeout > 0 ? m.readTimeout : 30_000,
    ahead: Math.max(1, m.channelBufferSize),
    fetchMinBytes: m.consumerFetchMin,
    fetchBytes: m.consumerFetchDefault,
    strategy: strategyOf(m.consumerGroupRebalanceStrategy, log),
    compression: compressionOf(m.compression),
    acks: acksOf(m.producerRequiredAcks, log),
    retries: m.producerRetryMax,
    maxMessageBytes: m.maxMessageBytes > 0 ? m.maxMessageBytes : 1_048_576,
    exclude: excludeOf(m.excludeHeaderMetaRegex),
    registry: registryOf(m, log),
  };
}

function authTypeOf(m: Fields, log: Logger): string {
  if (m.authType !== '' || m.authRequired === '') return m.authType.toLowerCase();
  log.warn('AuthRequired is deprecated, use AuthType instead.');
  const required = parseBool(m.authRequired);
  if (required === undefined) return refuse("kafka error: invalid value for 'authRequired' attribute");
  return !required ? 'none' : m.saslPassword !== '' ? 'password' : 'mtls';
}

function authOf(type: string, m: Fields, log: Logger): KafkaAuth {
  const need = (value: string, what: string): string => (value === '' ? refuse(`kafka error: missing ${what} for authType '${type}'`) : value);
  switch (type) {
    case '': return refuse("kafka error: 'authType' attribute was missing or empty");
    case 'none': return { type: 'none' };
    case 'password': {
      const username = need(m.saslUsername, 'SASL Username'), password = need(m.saslPassword, 'SASL Password');
      return { type, mechanism: m.saslMechanism === 'SHA-256' ? 'scram-sha-256' : m.saslMechanism === 'SHA-512' ? 'scram-sha-512' : 'plain', username, password };
    }
    case 'oidc': {
      const endpoint = need(m.oidcTokenEndpoint, 'OIDC Token Endpoint'), client = need(m.oidcClientID, 'OIDC Client ID'), secret = need(m.oidcClientSecret, 'OIDC Client Secret');
      return { type, endpoint, client, secret, scopes: scopesOf(m, log), extensions: extensionsOf(type, m) };
    }
    case 'oidc_private_key_jwt': {
      const endpoint = need(m.oidcTokenEndpoint, 'OIDC Token Endpoint'), client = need(m.oidcClientID, 'OIDC Client ID');
      need(m.oidcClientAssertionCert, 'OIDC Client Assertion Cert');
      const key = need(m.oidcClientAssertionKey, 'OIDC Client Assertion Key');
      return { type, endpoint, client, key, audience: m.oidcAudience, resource: m.oidcResource, kid: m.oidcKid, scopes: scopesOf(m, log), extensions: extensionsOf(type, m) };
    }
    case 'mtls':
      if (m.clientCert !== '' && !pem.test(m.clientCert)) refuse('kafka error: invalid client certificate');
      if (m.clientKey !== '' && !pem.test(m.clientKey)) refuse('kafka error: invalid client key');
      if ((m.clientKey === '') !== (m.clientCert === '')) refuse('kafka error: clientKey or clientCert is missing');
      if (m.clientCert === '') refuse('unable to load client certificate and key pair. Err: tls: failed to find any PEM data in certificate input');
      return { type: 'none' };
    case 'certificate':
      if (m.caCert === '') refuse("missing CA certificate property 'caCert' for authType 'certificate'");
      return { type: 'none' };
    case 'awsiam':
      if (m.region === '') refuse('failed to validate AWS IAM authentication fields: metadata property AWSRegion is missing');
      return { type, aws: { endpoint: '', region: m.region, accessKey: m.accessKey, secretKey: m.secretKey, sessionToken: m.sessionToken, assumeRoleArn: m.assumeRoleArn, sessionName: m.sessionName, trustAnchorArn: m.trustAnchorArn, trustProfileArn: m.trustProfileArn } };
    default: return refuse("kafka error: invalid value for 'authType' attribute");
  }
}

function scopesOf(m: Fields, log: Logger): string[] {
  if (m.oidcScopes !== '') return m.oidcScopes.split(',');
  log.warn("Warning: no OIDC scopes specified, using default 'openid' scope only. This is a security risk for token reuse.");
  return ['openid'];
}
function extensionsOf(type: string, m: Fields): Record<string, string> {
  if (m.oidcExtensions === '') return {};
  const improper = () => refuse(`kafka error: improper OIDC Extensions format for authType '${type}'`);
  let value: unknown;
  try {
    value = JSON.parse(m.oidcExtensions);
  } catch {
    return improper();
  }
  const isTexts = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0 && Object.values(value).every((text) => typeof text === 'string');
  return isTexts ? (value as Record<string, string>) : improper();
}

function registryOf(m: Fields, log: Logger): RegistrySettings | undefined {
  if (m.schemaRegistryURL === '') return undefined;
  log.info(`Schema registry URL '${m.schemaRegistryURL.replace(/\/\/[^@/]*@/, '//')}' provided. Configuring the Schema Registry client.`);
  log.info(`Schema caching enabled: ${m.schemaCachingEnabled}`);
  return { url: m.schemaRegistryURL, user: m.schemaRegistryAPIKey, password: m.schemaRegistryAPISecret, caching: m.schemaCachingEnabled, latestMs: m.schemaLatestVersionCacheTTL, avroJson: m.useAvroJSON };
}

function rejoinOf(text: string): number {
  if (text === '') return 100;
  if (/^-?\d+$/.test(text)) return text.startsWith('-') || Number(text) > 0xffffffff ? refuse(`kafka error: invalid value for 'consumeRetryInterval' attribute: ${text}`) : Number(text);
  return field.durationMs().parse(text);
}
function strategyOf(text: string, log: Logger): KafkaSettings['strategy'] {
  const strategy = text.toLowerCase();
  if (strategy === 'range' || strategy === 'roundrobin' || strategy === 'sticky') return strategy;
  log.warn(`Invalid consumer group rebalance strategy: ${strategy}. Using default strategy: 'range'`);
  return 'range';
}
function compressionOf(text: string): KafkaSettings['compression'] {
  if (text === '' || text === 'none') return 'none';
  if (text === 'gzip' || text === 'snappy' || text === 'lz4' || text === 'zstd') return text;
  return refuse(`kafka error: invalid compression: ${text}`);
}
function acksOf(text: string, log: Logger): KafkaSettings['acks'] {
  const acks = text.toLowerCase();
  if (acks === '' || acks === 'all') return -1;
  if (acks === 'local') return 1;
  if (acks !== 'none') refuse(`kafka error: invalid value for 'producerRequiredAcks': ${JSON.stringify(text)} (must be "all", "local", or "none")`);
  log.warn("kafka: producerRequiredAcks is set to 'none' (fire-and-forget) — messages may be silently lost if a broker fails to write them");
  return 0;
}
function excludeOf(text: string): RegExp | undefined {
  if (text === '') return undefined;
  try {
    return new RegExp(text, 'u');
  } catch {
    return refuse(`kafka error: invalid excludeHeaderMetaRegex: ${text}`);
  }
}
