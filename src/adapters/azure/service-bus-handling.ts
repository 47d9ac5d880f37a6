// Messages of Azure Service Bus in the hands of the app: how many at once, how they are settled, how refusals slow down (upstream: handleMessages in common/component/azure/servicebus/subscription.go).
import type { ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus';
import { type CallContext, background, withSignal } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { idText } from './service-bus-message.ts';
import type { ServiceBusSettings } from './service-bus-settings.ts';

/** Resolves with why which messages were refused; the others were taken. Rejects where all were. */
export type Work = (messages: readonly ServiceBusReceivedMessage[], context: CallContext) => Promise<ReadonlyMap<ServiceBusReceivedMessage, unknown>>;

export interface Handling {
  /** Aborted when the reading ends. */
  readonly signal: AbortSignal;
  /** Not settled yet. */
  readonly inHand: ReadonlySet<ServiceBusReceivedMessage>;
  /** Hands messages to the app together, as soon as a handler is free, and settles each. Resolves when the next may come. */
  handle(receiver: Pick<ServiceBusReceiver, 'completeMessage' | 'abandonMessage'>, messages: readonly ServiceBusReceivedMessage[]): Promise<void>;
  /** Nothing begins any more: what waits for a handler is somebody else's. */
  stop(): void;
  /** Resolves when everything in hand is settled. */
  idle(): Promise<void>;
}

/** Settlements under way at once. */
const settledAtOnce = 20;

/** `entity`: what the log calls it, `topic orders`. */
export function createHandling(settings: ServiceBusSettings, entity: string, log: Logger, work: Work): Handling {
  const { maxConcurrentHandlers, handlerTimeoutInSec } = settings;
  const stop = new AbortController();
  const inHand = new Set<ServiceBusReceivedMessage>();
  const turns: (() => void)[] = [];
  const slowDown = createThrottle(settings.maxRetriableErrorsPerSec);
  const outcomes = new WeakMap<object, OneOutcome>();
  let running = 0;
  let quiet = () => {};

  const turn = async (): Promise<void> => {
    if (maxConcurrentHandlers > 0 && running >= maxConcurrentHandlers) await new Promise<void>((resolve) => turns.push(resolve));
    running++;
  };
  const endTurn = () => {
    running--;
    turns.shift()?.();
  };
  const refusals = async (messages: readonly ServiceBusReceivedMessage[]): Promise<ReadonlyMap<ServiceBusReceivedMessage, unknown>> => {
    try {
      return await work(messages, handlerTimeoutInSec > 0 ? withSignal(background, once(() => AbortSignal.timeout(handlerTimeoutInSec * 1000))) : background);
    } catch (error) {
      return new Map(messages.map((message) => [message, error]));
    }
  };
  return {
    signal: stop.signal,
    inHand,
    handle: async (receiver, messages) => {
      for (const message of messages) inHand.add(message);
      await turn();
      // Not begun yet when the reading ends: somebody else's.
      const left = stop.signal.aborted;
      const refused = left ? new Map(messages.map((message) => [message, undefined])) : await refusals(messages);
      endTurn();
      const settle = outcomes.get(receiver) ?? createOneOutcome();
      outcomes.set(receiver, settle);
      const waiting = [...messages].reverse();
      const worker = async () => {
        for (let message = waiting.pop(); message !== undefined; message = waiting.pop()) {
          const accepted = !refused.has(message);
          const id = idText(message.messageId);
          if (!accepted && !stop.signal.aborted) log.error(`App handler returned an error for message ${id} on ${entity}: ${textOf(refused.get(message))}`);
          try {
            await settle(accepted, () => (accepted ? receiver.completeMessage(message) : receiver.abandonMessage(message)));
          } catch (error) {
            log.warn(`Error ${accepted ? 'completing' : 'abandoning'} message ${id} on ${entity}: ${textOf(error)}`);
          }
          inHand.delete(message);
        }
      };
      await Promise.all(Array.from({ length: Math.min(settledAtOnce, messages.length) }, worker));
      if (inHand.size === 0) quiet();
      // Only then another message is asked for.
      if (refused.size > 0) await slowDown(stop.signal);
    },
    stop: () => {
      stop.abort();
      for (const next of turns.splice(0)) next();
    },
    idle: async () => {
      if (inHand.size > 0) await new Promise<void>((resolve) => (quiet = resolve));
    },
  };
}

const once = <T>(make: () => T): (() => T) => {
  let made: T | undefined;
  return () => (made ??= make());
};

type OneOutcome = (accepted: boolean, settle: () => Promise<void>) => Promise<void>;

/**
 * Completes several at once, or abandons several at once, never both: rhea (3.0.5, write_dispositions) sends the outcome of the first of
 * two neighbouring deliveries for both when they are settled in one turn of the event loop, and an abandoned message would be completed.
 */
function createOneOutcome(): OneOutcome {
  const waiting: { accepted: boolean; go(): void }[] = [];
  let current = true;
  let running = 0;
  const next = () => {
    if (running > 0 || waiting[0] === undefined) return;
    current = waiting[0].accepted;
    for (const one of waiting.splice(0)) {
      if (one.accepted !== current) waiting.push(one);
      else {
        running++;
        one.go();
      }
    }
  };
  return async (accepted, settle) => {
    if (running > 0 && accepted === current && waiting.length === 0) running++;
    else
      await new Promise<void>((resolve) => {
        waiting.push({ accepted, go: resolve });
        next();
      });
    try {
      await settle();
    } finally {
      running--;
      next();
    }
  };
}

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
