// A connection to an Azure Event Hubs namespace: producers, consumers, checkpoints, and what has to be there before (upstream: common/component/azure/eventhubs/eventhubs.go).
import type { EventData, EventHubConsumerClient, EventHubProducerClient } from '@azure/event-hubs';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { type BlobContainer, blobContainer } from './blob-container.ts';
import { connectedAccount } from './blob-settings.ts';
import { azureCloud } from './cloud.ts';
import { type EntraCredential, entraCredential } from './entra-credential.ts';
import { type Checkpoints, createCheckpoints } from './event-hubs-checkpoints.ts';
import { createEventHubsEntities } from './event-hubs-entities.ts';
import type { EventHubsAddress, EventHubsSettings } from './event-hubs-settings.ts';
import { storageAccount } from './storage-client.ts';

export interface Consumer {
  client: EventHubConsumerClient;
  checkpoints: Checkpoints;
}
export interface EventHubs {
  /** All in one transfer, or none of them. `maxBytes` 0: as many as the service takes. Rejects with AdapterError `unavailable`, as upstream says of everything. */
  publish(hub: string, events: readonly EventData[], options: { partitionKey?: string; maxBytes?: number }, signal: AbortSignal | undefined): Promise<void>;
  /** A client for one subscription; makes hub, group and container where they are missing. The caller closes it. */
  consumer(hub: string, group: string): Promise<Consumer>;
  close(): Promise<void>;
}

/** Upstream's client tries as often, and waits as long in between; for reading, which is tried for ever, the waits are shorter. */
const retryOptions = { maxRetries: 3, retryDelayInMs: 4000, maxRetryDelayInMs: 120_000, mode: 0 /* exponential */ };
const readingRetryOptions = { ...retryOptions, retryDelayInMs: 1000 };
/** The library does not see that a connection broke under an event: it is sent again after this time. */
const sendTimeoutMs = 15_000;
const storageRetries = 3;
/** Ownership lasts a minute and is renewed every ten seconds, as with Microsoft's other clients. All free partitions of our share are claimed at once, not one in each round. */
const loadBalancingOptions = { strategy: 'greedy', updateIntervalInMs: 10_000, partitionOwnershipExpirationIntervalInMs: 60_000 } as const;

export async function openEventHubs(settings: EventHubsSettings, { connectionString, namespace, hub: only }: EventHubsAddress, host: Host, log: Logger): Promise<EventHubs> {
  if (host.tcp === undefined) throw new Error(`Azure Event Hubs needs TCP sockets, which this runtime (${host.runtime}) does not have`);
  azureCloud(settings.azureEnvironment); // upstream refuses an unknown one, used or not
  const sdk = await import('@azure/event-hubs');
  const credential: EntraCredential | undefined = connectionString !== '' ? undefined : await entraCredential(settings, host, log).catch((error) => {
    throw new Error(`failed to get credentials from Azure AD: ${textOf(error)}`, { cause: error });
  });
  const entities = settings.enableEntityManagement && credential !== undefined ? createEventHubsEntities(host, credential, settings, namespace, log) : undefined;

  const fits = (hub: string) => {
    if (connectionString !== '' && only !== '' && only !== hub) throw new Error(`the requested topic '${hub}' does not match the Event Hub name in the connection string`);
  };
  const producers = new Map<string, Promise<EventHubProducerClient>>();
  const producerOf = (hub: string): Promise<EventHubProducerClient> => {
    const known = producers.get(hub);
    if (known !== undefined) return known;
    const made = (async () => {
      fits(hub);
      await entities?.hub(hub);
      const options = { retryOptions: { ...retryOptions, timeoutInMs: sendTimeoutMs } };
      return credential === undefined ? new sdk.EventHubProducerClient(connectionString, hub, options) : new sdk.EventHubProducerClient(namespace, hub, credential, options);
    })();
    producers.set(hub, made);
    made.catch(() => producers.delete(hub));
    return made;
  };

  let container: Promise<BlobContainer> | undefined;
  const openContainer = async (): Promise<BlobContainer> => {
    const { storageConnectionString, storageAccountName: accountName, storageAccountKey: accountKey, storageContainerName } = settings;
    const account = storageConnectionString === '' ? await storageAccount('blob', { accountName, accountKey, endpoint: '' }, settings, host, log) : await connectedAccount(storageConnectionString);
    const opened = blobContainer(host, account, storageContainerName, storageRetries);
    await opened.ensure('', AbortSignal.timeout(60_000));
    return opened;
  };
  const checkpointsOf = async (hub: string, group: string): Promise<Checkpoints> => {
    container ??= openContainer();
    container.catch(() => {
      container = undefined;
    });
    const opened = await container.catch((error) => {
      throw new Error(`unable to connect to the checkpoint store: ${textOf(error)}`, { cause: error });
    });
    return createCheckpoints(opened, namespace, hub, group);
  };
  return {
    publish: async (hub, events, { partitionKey, maxBytes = 0 }, signal) => {
      const failing = (what: string) => (error: unknown) => {
        throw new AdapterError('unavailable', `${what}: ${textOf(error)}`, error);
      };
      const producer = await producerOf(hub).catch(failing('error trying to establish a connection'));
      const abort = signal === undefined ? {} : { abortSignal: signal };
      const batch = await producer.createBatch({ ...(partitionKey === undefined ? {} : { partitionKey }), ...(maxBytes === 0 ? {} : { maxSizeInBytes: maxBytes }), ...abort }).catch(failing('error creating event batch'));
      for (const event of events) if (!batch.tryAdd(event)) failing('error adding messages to batch')(new Error('the EventData could not be added because it is too large for the batch'));
      await producer.sendBatch(batch, abort).catch(failing('error publishing batch'));
    },
    consumer: async (hub, group) => {
      fits(hub);
      const checkpoints = await checkpointsOf(hub, group);
      if (entities !== undefined) {
        await entities.hub(hub);
        await entities.consumerGroup(group, hub);
      }
      const options = { retryOptions: readingRetryOptions, loadBalancingOptions };
      const client = credential === undefined ? new sdk.EventHubConsumerClient(group, connectionString, hub, checkpoints, options) : new sdk.EventHubConsumerClient(group, namespace, hub, credential, checkpoints, options);
      return { client, checkpoints };
    },
    close: async () => {
      for (const opening of producers.values()) await opening.then((producer) => producer.close()).catch(() => undefined);
      producers.clear();
    },
  };
}
