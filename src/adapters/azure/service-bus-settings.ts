// Metadata of the Azure Service Bus components (upstream: common/component/azure/servicebus/metadata.go).
import type { Logger } from '../../core/log.ts';
import { field, MetadataError, type Properties, property, schema } from '../../core/metadata.ts';
import { ttlOf } from '../../blocks/pubsub/ttl.ts';
import { entraAliases, entraFields } from './entra-settings.ts';

const deprecated = 'publishInitialRetryInternalInMs';

/** `usual`: what is in hand at once, handlers at once, and seconds for a handler, which differ between pub/sub and binding. */
const fields = (usual: { messages: number; handlers: number; seconds: number }) => ({
  connectionString: field.text().default('').describe('`Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…`. This or namespaceName is required'),
  namespaceName: field.text().default('').describe('Host name of the namespace, for Microsoft Entra ID'),
  timeoutInSec: field.integer().default(60).describe('Seconds for one call to Service Bus'),
  handlerTimeoutInSec: field.integer().default(usual.seconds).describe('Seconds for the app to handle one message; 0: no limit'),
  lockRenewalInSec: field.integer().default(20).describe('Seconds between renewals of the locks of messages in hand; 0: never'),
  maxActiveMessages: field.integer().default(usual.messages).describe('Messages in hand at once'),
  maxConcurrentHandlers: field.integer().default(usual.handlers).describe('Messages the app handles at once; 0: no limit'),
  maxRetriableErrorsPerSec: field.integer().default(10).describe('Refused messages per second, after which taking more slows down; 0: no limit'),
  minConnectionRecoveryInSec: field.integer().default(2).describe('Shortest pause before a lost connection is made again'),
  maxConnectionRecoveryInSec: field.integer().default(300).describe('Longest pause before a lost connection is made again'),
  publishMaxRetries: field.integer().default(5).describe('How often sending is tried again where that may help'),
  publishInitialRetryIntervalInMs: field.integer().default(500).describe('First pause before that, milliseconds'),
  disableEntityManagement: field.flag().default(false).describe('Queues, topics and subscriptions are there already, none is made'),
  maxDeliveryCount: field.integer().optional().describe('Deliveries before a message goes to the dead letter queue; for what is made'),
  lockDurationInSec: field.integer().optional().describe('Seconds for which a message is locked; for what is made'),
  defaultMessageTimeToLiveInSec: field.integer().optional().describe('Seconds to live, where a message names none; for what is made. Also: ttlInSeconds'),
  autoDeleteOnIdleInSec: field.integer().optional().describe('Seconds without use before it is deleted, at least 300; for what is made'),
  ...entraFields,
});
const aliases = { [deprecated]: 'publishInitialRetryIntervalInMs', ...entraAliases };
const forPubSub = { messages: 1000, handlers: 0, seconds: 60 };

export const topicsMetadata = schema({ ...fields(forPubSub), consumerID: field.text().default('').describe('Name of the subscription; default: the app id') }, aliases);
export const queuesMetadata = schema(fields(forPubSub), aliases);
export const bindingMetadata = schema({ ...fields({ messages: 1, handlers: 1, seconds: 0 }), queueName: field.text().default('').describe('The queue. Required') }, aliases);

export type ServiceBusSettings = ReturnType<typeof queuesMetadata.parse>;

/** Throws MetadataError in upstream's words. The answer has its time to live from `ttlInSeconds` as well. */
export function checkServiceBus<S extends ServiceBusSettings>(settings: S, properties: Properties, log: Logger): S {
  if (property(properties, deprecated)) log.warn(`Found deprecated metadata property '${deprecated}'; please use 'publishInitialRetryIntervalInMs'`);
  if (settings.connectionString === '' && settings.namespaceName === '') throw new MetadataError('either one of connection string or namespace name are required');
  if (settings.connectionString !== '' && settings.namespaceName !== '') throw new MetadataError('connectionString and namespaceName cannot both be specified');
  if ('queueName' in settings && settings.queueName === '') throw new MetadataError('missing queueName');
  if (settings.maxActiveMessages < 1) throw new MetadataError('must be 1 or greater');
  if (settings.maxRetriableErrorsPerSec < 0) throw new MetadataError('must not be negative');
  const ttl = ttlOf(properties);
  const defaultMessageTimeToLiveInSec = settings.defaultMessageTimeToLiveInSec ?? (ttl === undefined ? undefined : Math.trunc(ttl / 1000));
  if (defaultMessageTimeToLiveInSec === 0) throw new MetadataError('defaultMessageTimeToLiveInSec must be greater than 0');
  if (settings.autoDeleteOnIdleInSec !== undefined && settings.autoDeleteOnIdleInSec < 300) throw new MetadataError('autoDeleteOnIdleInSec must be greater than or equal to 300');
  return { ...settings, defaultMessageTimeToLiveInSec };
}
