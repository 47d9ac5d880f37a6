// One reader of a queue or subscription of Azure Service Bus: locks, hands over, completes or abandons (upstream: subscription.go there).
import type { ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import type { CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { createHandling } from './service-bus-handling.ts';
import { idText } from './service-bus-message.ts';
import type { ServiceBusSettings } from './service-bus-settings.ts';

export interface ReaderOptions {
  receiver: ServiceBusReceiver;
  /** What the log calls it: `topic orders`. */
  entity: string;
  settings: ServiceBusSettings;
  log: Logger;
  handle(message: ServiceBusReceivedMessage, context: CallContext): Promise<void>;
}

/** Lock renewals under way at once. */
const renewalsAtOnce = 20;

export function startServiceBusReader({ receiver, entity, settings, log, handle }: ReaderOptions): { close(): Promise<void> } {
  const { maxActiveMessages, lockRenewalInSec } = settings;
  const handling = createHandling(settings, entity, log, async ([message], context) => {
    if (message !== undefined) await handle(message, context);
    return new Map();
  });
  const renew = async (): Promise<void> => {
    const waiting = [...handling.inHand];
    const worker = async () => {
      for (let message = waiting.pop(); message !== undefined; message = waiting.pop()) {
        if (!handling.inHand.has(message)) continue;
        await receiver.renewMessageLock(message).catch((error) => log.warn(`Error renewing message locks for ${entity}: couldn't renew active message lock for message ${idText(message?.messageId)}: ${textOf(error)}`));
      }
    };
    await Promise.all(Array.from({ length: renewalsAtOnce }, worker));
  };
  const renewal = lockRenewalInSec > 0 ? setInterval(() => void renew(), lockRenewalInSec * 1000) : undefined;

  // It connects again by itself, for ever.
  const subscription = receiver.subscribe(
    { processMessage: (message) => handling.handle(receiver, [message]), processError: async ({ error, errorSource }) => log.warn(`Subscription to ${entity}: ${errorSource}: ${textOf(error)}`) },
    { autoCompleteMessages: false, maxConcurrentCalls: maxActiveMessages },
  );
  return {
    close: async () => {
      handling.stop();
      await subscription.close().catch(() => undefined); // its connection may be gone
      await handling.idle();
      clearInterval(renewal);
      await receiver.close().catch(() => undefined);
    },
  };
}
