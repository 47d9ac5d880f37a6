// A connection to an Azure Service Bus namespace: senders, retries, and what has to be there before (upstream: common/component/azure/servicebus).
import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { entraCredential } from './entra-credential.ts';
import { lostConnectionOf } from './service-bus-connection.ts';
import { createServiceBusEntities, entraAccess, type ServiceBusEntities, sharedAccess } from './service-bus-entities.ts';
import type { ServiceBusSettings } from './service-bus-settings.ts';

export interface ServiceBus {
  readonly client: ServiceBusClient;
  /** Absent where nothing is to be made. */
  readonly entities: ServiceBusEntities | undefined;
  /** `prepare` runs before the first message to that entity. Rejects with AdapterError `unavailable`, as upstream says of everything. */
  send(entity: string, message: ServiceBusMessage, prepare: (() => Promise<void>) | undefined, signal: AbortSignal | undefined): Promise<void>;
  /** All in one transfer, or none of them. */
  sendBatch(entity: string, messages: ServiceBusMessage[], prepare: (() => Promise<void>) | undefined, maxBytes: number): Promise<void>;
  close(): Promise<void>;
}

const [longestPauseMs, pauseGrowth] = [60_000, 1.5];

export async function openServiceBus(settings: ServiceBusSettings, host: Host, log: Logger): Promise<ServiceBus> {
  if (host.tcp === undefined) throw new Error(`Azure Service Bus needs TCP sockets, which this runtime (${host.runtime}) does not have`);
  const { default: sdk } = (await import('@azure/service-bus')) as unknown as { default: typeof import('@azure/service-bus') }; // CommonJS: once bundled, `default` is all it exports
  const { connectionString, namespaceName, disableEntityManagement } = settings;
  const options = {
    // Sending is tried again below; the pauses are those of lost subscriptions.
    retryOptions: { maxRetries: 0, timeoutInMs: settings.timeoutInSec * 1000, retryDelayInMs: settings.minConnectionRecoveryInSec * 1000, maxRetryDelayInMs: settings.maxConnectionRecoveryInSec * 1000 },
  };
  let client: ServiceBusClient;
  let entities: ServiceBusEntities | undefined;
  if (connectionString === '') {
    const credential = await entraCredential(settings, host, log);
    client = new sdk.ServiceBusClient(namespaceName, credential, options);
    if (!disableEntityManagement) entities = createServiceBusEntities(host, namespaceName, entraAccess(credential), settings);
  } else {
    client = new sdk.ServiceBusClient(connectionString, options);
    const { sharedAccessKeyName: keyName, sharedAccessKey: key, fullyQualifiedNamespace } = sdk.parseServiceBusConnectionString(connectionString);
    const isEmulator = /usedevelopmentemulator=true/i.test(connectionString);
    if (isEmulator && !disableEntityManagement) log.warn('UseDevelopmentEmulator=true detected in connection string. Azure emulator does not support topic management APIs. Dapr will skip admin operations. To suppress this warning, explicitly set disableEntityManagement: true.');
    if (!disableEntityManagement && !isEmulator) {
      if (keyName === undefined || key === undefined) throw new Error('the connection string needs SharedAccessKeyName and SharedAccessKey to make queues, topics and subscriptions; or set disableEntityManagement');
      entities = createServiceBusEntities(host, fullyQualifiedNamespace, sharedAccess(keyName, key), settings);
    }
  }

  const senders = new Map<string, Promise<ServiceBusSender>>();
  const closing = new AbortController();
  const senderOf = (entity: string, prepare: (() => Promise<void>) | undefined): Promise<ServiceBusSender> => {
    const known = senders.get(entity);
    if (known !== undefined) return known;
    const made = (async () => {
      await prepare?.();
      return client.createSender(entity);
    })();
    senders.set(entity, made);
    made.catch(() => senders.delete(entity));
    return made;
  };
  const failed = (error: unknown) => new AdapterError('unavailable', textOf(error), error);
  const open = async (entity: string, prepare: (() => Promise<void>) | undefined) =>
    senderOf(entity, prepare).catch((error) => {
      throw new AdapterError('unavailable', `failed to create a sender: ${textOf(error)}`, error);
    });
  return {
    client,
    entities,
    send: async (entity, message, prepare, signal) => {
      const sender = await open(entity, prepare);
      const ending = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
      for (let tries = 0, pauseMs = settings.publishInitialRetryIntervalInMs; ; tries++, pauseMs = Math.min(longestPauseMs, pauseMs * pauseGrowth)) {
        const lost = lostConnectionOf(client);
        try {
          await sender.sendMessages(message, { abortSignal: AbortSignal.any([...(signal ? [signal] : []), lost]) });
          return;
        } catch (error) {
          const cause: unknown = lost.aborted && !ending.aborted ? lost.reason : error;
          const again = (lost.aborted || mayHelp(error)) && tries < settings.publishMaxRetries && !ending.aborted;
          if (!again) throw failed(cause);
          log.warn(`Could not publish Service Bus message (${String(message.messageId ?? 'nil')}). Retrying...: ${textOf(cause)}`);
          await pause(pauseMs * (0.5 + Math.random()), ending);
        }
      }
    },
    sendBatch: async (entity, messages, prepare, maxSizeInBytes) => {
      try {
        const sender = await senderOf(entity, prepare);
        const batch = await sender.createMessageBatch({ maxSizeInBytes });
        for (const message of messages) if (!batch.tryAddMessage(message)) throw new Error('the message is too large');
        await sender.sendMessages(batch, { abortSignal: lostConnectionOf(client) });
      } catch (error) {
        throw failed(error);
      }
    },
    close: async () => {
      closing.abort();
      await client.close();
    },
  };
}

/** The library knows which of Service Bus's errors are temporary; upstream's list has some more, and connections that cannot be made (`ECONNREFUSED`). */
const mayHelp = (error: unknown): boolean => {
  const { retryable, code } = error as { retryable?: boolean; code?: string };
  return retryable === true || /^E[A-Z_]+$/.test(code ?? '') || ['MessageLockLost', 'SessionLockLost', 'SessionCannotBeLocked', 'ServiceTimeout', 'ServiceBusy'].includes(code ?? '');
};
