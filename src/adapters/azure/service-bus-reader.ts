// One reader of a queue or subscription of Azure Service Bus: locks, hands over, completes or abandons (upstream: subscription.go there).
import type { ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import { type CallContext, background, withSignal } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
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
  const { maxActiveMessages, maxConcurrentHandlers, handlerTimeoutInSec, lockRenewalInSec } = settings;
  const stop = new AbortController();
  const inHand = new Set<ServiceBusReceivedMessage>();
  const turns: (() => void)[] = [];
  const slowDown = createThrottle(settings.maxRetriableErrorsPerSec);
  let running = 0;
  let idle = () => {};

  const turn = async (): Promise<void> => {
    if (maxConcurrentHandlers > 0 && running >= maxConcurrentHandlers) await new Promise<void>((resolve) => turns.push(resolve));
    running++;
  };
  const endTurn = () => {
    running--;
    turns.shift()?.();
  };
  const settle = async (message: ServiceBusReceivedMessage, accepted: boolean): Promise<void> => {
    try {
      await (accepted ? receiver.completeMessage(message) : receiver.abandonMessage(message));
    } catch (error) {
      log.warn(`Error ${accepted ? 'completing' : 'abandoning'} message ${idText(message.messageId)} on ${entity}: ${textOf(error)}`);
    }
  };
  const process = async (message: ServiceBusReceivedMessage): Promise<void> => {
    inHand.add(message);
    let accepted = true;
    await turn();
    try {
      // Not begun yet when the reading ends: somebody else's.
      if (stop.signal.aborted) accepted = false;
      else await handle(message, handlerTimeoutInSec > 0 ? withSignal(background, once(() => AbortSignal.timeout(handlerTimeoutInSec * 1000))) : background);
    } catch (error) {
      accepted = false;
      if (!stop.signal.aborted) log.error(`App handler returned an error for message ${idText(message.messageId)} on ${entity}: ${textOf(error)}`);
    }
    endTurn();
    await settle(message, accepted);
    inHand.delete(message);
    if (inHand.size === 0) idle();
    // Only then the library asks for another message.
    if (!accepted) await slowDown(stop.signal);
  };

  const renew = async (): Promise<void> => {
    const waiting = [...inHand];
    const worker = async () => {
      for (let message = waiting.pop(); message !== undefined; message = waiting.pop()) {
        if (!inHand.has(message)) continue;
        await receiver.renewMessageLock(message).catch((error) => log.warn(`Error renewing message locks for ${entity}: couldn't renew active message lock for message ${idText(message?.messageId)}: ${textOf(error)}`));
      }
    };
    await Promise.all(Array.from({ length: renewalsAtOnce }, worker));
  };
  const renewal = lockRenewalInSec > 0 ? setInterval(() => void renew(), lockRenewalInSec * 1000) : undefined;

  // It connects again by itself, for ever.
  const subscription = receiver.subscribe(
    { processMessage: process, processError: async ({ error, errorSource }) => log.warn(`Subscription to ${entity}: ${errorSource}: ${textOf(error)}`) },
    { autoCompleteMessages: false, maxConcurrentCalls: maxActiveMessages },
  );
  return {
    close: async () => {
      stop.abort();
      for (const next of turns.splice(0)) next();
      await subscription.close().catch(() => undefined); // its connection may be gone
      if (inHand.size > 0) await new Promise<void>((resolve) => (idle = resolve));
      clearInterval(renewal);
      await receiver.close().catch(() => undefined);
    },
  };
}

const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => (made ??= make());
};

/** So many per second, up to ten at once after a quiet time; 0: no limit. */
function createThrottle(perSecond: number): (signal: AbortSignal) => Promise<void> {
  if (perSecond === 0) return async () => undefined;
  const gapMs = 1000 / perSecond;
  let next = 0;
  return async (signal) => {
    const now = Date.now();
    next = Math.max(next + gapMs, now - 10 * gapMs);
    if (next > now) await pause(next - now, signal);
  };
}
