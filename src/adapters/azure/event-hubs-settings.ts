// Metadata of the Azure Event Hubs components (upstream: common/component/azure/eventhubs/metadata.go).
import type { Logger } from '../../core/log.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { entraAliases, entraFields, type EntraSettings } from './entra-settings.ts';

const fields = {
  connectionString: field.text().default('').describe('`Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…`, with `;EntityPath=…` where it is good for one Event Hub only. This or eventHubNamespace is required'),
  eventHubNamespace: field.text().default('').describe('Host name of the namespace, for Microsoft Entra ID'),
  consumerID: field.text().default('').describe('Consumer group to read as'),
  consumerGroup: field.text().default('').describe('As consumerID, and goes before it'),
  storageConnectionString: field.text().default('').describe('Storage account for the checkpoints; goes before the other storage properties'),
  storageAccountName: field.text().default('').describe('Name of that account. Reading needs it or storageConnectionString'),
  storageAccountKey: field.text().default('').describe('Key of that account. Without it: Microsoft Entra ID'),
  storageContainerName: field.text().default('').describe('Container for the checkpoints, which is made where it is missing. Reading needs it'),
  enableEntityManagement: field.flag().default(false).describe('Event Hubs and consumer groups are made where they are missing; with Microsoft Entra ID only'),
  resourceGroupName: field.text().default('').describe('Resource group of the namespace; needed to make Event Hubs'),
  subscriptionID: field.text().default('').describe('Azure subscription of the namespace; needed to make Event Hubs'),
  messageRetentionInDays: field.integer().default(1).describe('Days for which messages are kept, 1 to 90; for what is made'),
  partitionCount: field.integer().default(1).describe('Number of partitions, 1 to 1024; for what is made'),
  enableInOrderMessageDelivery: field.flag().default(false).describe('The events of a partition are handled one after the other'),
  getAllMessageProperties: field.flag().default(false).describe('Properties of an event are told to the app as well'),
  backOffPolicy: field.text().default('constant').describe('Pauses between tries of an event the app refused: constant (default) or exponential'),
  backOffDuration: field.duration().default(5000).describe('Pause with the policy constant'),
  backOffInitialInterval: field.duration().default(500).describe('First pause with the policy exponential'),
  backOffMaxInterval: field.duration().default(60_000).describe('Longest pause with the policy exponential'),
  backOffMaxElapsedTime: field.duration().default(900_000).describe('With the policy exponential: no more tries after this time; 0 never'),
  backOffMaxRetries: field.integer().default(3).describe('Tries after the first; then the event is passed over. Negative: until the app takes it'),
  ...entraFields,
};

export const eventHubsMetadata = schema(fields, entraAliases);
export const eventHubsBindingMetadata = schema({ ...fields, eventHub: field.text().default('').describe('The Event Hub. Required where the connection string has no EntityPath') }, entraAliases);

export interface EventHubsSettings extends EntraSettings {
  connectionString: string;
  eventHubNamespace: string;
  consumerID: string;
  consumerGroup: string;
  storageConnectionString: string;
  storageAccountName: string;
  storageAccountKey: string;
  storageContainerName: string;
  enableEntityManagement: boolean;
  resourceGroupName: string;
  subscriptionID: string;
  messageRetentionInDays: number;
  partitionCount: number;
  enableInOrderMessageDelivery: boolean;
  getAllMessageProperties: boolean;
}

export interface EventHubsAddress {
  /** As the names of checkpoints begin: host, and port where there is one. */
  namespace: string;
  /** '' where any Event Hub of the namespace may be named. */
  hub: string;
  /** '' for Microsoft Entra ID. */
  connectionString: string;
}

/** Throws in upstream's words. */
export function eventHubsAddress(settings: EventHubsSettings, log: Logger, eventHub?: string): EventHubsAddress {
  const { connectionString } = settings;
  if (connectionString === '' && settings.eventHubNamespace === '') throw new MetadataError('one of connectionString or eventHubNamespace is required');
  if (connectionString !== '' && settings.eventHubNamespace !== '') throw new MetadataError('only one of connectionString or eventHubNamespace should be passed');
  if (settings.storageConnectionString !== '' && settings.storageAccountName !== '') log.warn('Property storageAccountName is ignored when storageConnectionString is present');
  if (connectionString === '') {
    if (eventHub === '') throw new MetadataError("property 'eventHub' is required when connecting with Azure AD");
    const { eventHubNamespace } = settings;
    return { namespace: eventHubNamespace.includes('.') ? eventHubNamespace : `${eventHubNamespace}.servicebus.windows.net`, hub: eventHub ?? '', connectionString };
  }
  const parts = connectionParts(connectionString);
  const endpoint = parts.get('endpoint') ?? '';
  if (!/^\w+:\/\/[^/]+/.test(endpoint)) throw new MetadataError('the connection string has no Endpoint=sb://…');
  const hub = parts.get('entitypath') || (eventHub ?? '');
  if (eventHub === '' && hub === '') throw new MetadataError("the provided connection string does not contain a value for 'EntityPath' and no 'eventHub' property was passed");
  if (settings.enableEntityManagement) log.warn('Entity management support is not available when connecting with a connection string');
  return { namespace: endpoint.replace(/^\w+:\/\//, '').replace(/\/.*$/, ''), hub, connectionString };
}

/** Names in lower case. */
function connectionParts(text: string): Map<string, string> {
  return new Map(text.split(';').flatMap((part): [string, string][] => {
    const equals = part.indexOf('=');
    return equals < 0 ? [] : [[part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim()]];
  }));
}

/** What the checks for reading say is missing; undefined: nothing. */
export function missingForReading(settings: EventHubsSettings, group: string): string | undefined {
  if (group === '') return 'property consumerID is required to subscribe to an Event Hub topic';
  if (settings.storageConnectionString === '' && settings.storageAccountName === '') return 'property storageAccountName is required to subscribe to an Event Hub topic';
  if (settings.storageContainerName === '') return 'property storageContainerName is required to subscribe to an Event Hub topic';
  return undefined;
}
