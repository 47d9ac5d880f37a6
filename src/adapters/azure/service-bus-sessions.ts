// A reader of the sessions of an Azure Service Bus subscription: several sessions at once, the messages of each in their order (upstream: connectAndReceiveWithSessions in pubsub/azure/servicebus/topics).
import type { ServiceBusSessionReceiver } from '@azure/service-bus';
import { AdapterError, textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { isTruthy } from '../../core/metadata.ts';
import { pause } from '../../core/pause.ts';
import { createHandling, type Work } from './service-bus-handling.ts';
import type { ServiceBusSettings } from './service-bus-settings.ts';

export interface SessionSettings {
  /** A session without messages for so long makes room for another; 0: never. */
  idleMs: number;
  atOnce: number;
}
export interface SessionsOptions extends SessionSettings {
  /** The next session that has messages and no reader; waits for one, and rejects after some time. */
  accept(signal: AbortSignal): Promise<ServiceBusSessionReceiver>;
  /** What the log calls it: `topic orders`. */
  entity: string;
  settings: ServiceBusSettings;
  log: Logger;
  /** Most messages handed over together. */
  together: number;
  work: Work;
}

const usual = { idleSeconds: 60, atOnce: 8 };
const noSession = new Set(['ServiceTimeout', 'ServiceTimeoutError', 'OperationTimeoutError', 'SessionCannotBeLocked', 'SessionCannotBeLockedError']);
/** Where the service says at once that there is none. */
const lookAgainMs = 500;
/** The library sees that a connection was lost only when a wait for messages is over. */
const lookMs = 3000;
const graceMs = 5000;

/** What the metadata of a subscription says of sessions; undefined: none are wanted. Throws AdapterError. */
export function sessionSettings(metadata: Readonly<Record<string, string>>): SessionSettings | undefined {
  if (!isTruthy(metadata.requireSessions)) return undefined;
  const whole = (name: string, usually: number): number => (/^[+-]?\d+$/.test(metadata[name] ?? '') ? Number(metadata[name]) : usually);
  const atOnce = whole('maxConcurrentSessions', usual.atOnce);
  if (atOnce < 1) throw new AdapterError('invalid', 'maxConcurrentSessions must be 1 or greater');
  return { idleMs: Math.max(0, whole('sessionIdleTimeoutInSec', usual.idleSeconds)) * 1000, atOnce };
}

/** Undefined where it took too long: the library waits a minute to close a link whose connection is gone, and an abort does not end that. */
async function acceptInTime(accept: SessionsOptions['accept'], limitMs: number, signal: AbortSignal): Promise<ServiceBusSessionReceiver | undefined> {
  const over = new AbortController();
  const accepting = accept(signal);
  const receiver = await Promise.race([accepting, pause(limitMs, AbortSignal.any([signal, over.signal]))]).finally(() => over.abort());
  if (receiver === undefined) accepting.then((late) => late.close()).catch(() => undefined);
  return receiver ?? undefined;
}

export function startServiceBusSessions({ accept, entity, settings, log, together, work, idleMs, atOnce }: SessionsOptions): { close(): Promise<void> } {
  const { lockRenewalInSec, minConnectionRecoveryInSec, maxConnectionRecoveryInSec, timeoutInSec } = settings;
  const handling = createHandling(settings, entity, log, work);
  const { signal } = handling;
  const most = Math.min(atOnce, settings.maxActiveMessages);
  const open = new Set<Promise<void>>();
  let freed = () => {};
  signal.addEventListener('abort', () => freed());

  const read = async (receiver: ServiceBusSessionReceiver): Promise<void> => {
    const { sessionId } = receiver;
    const renewal = lockRenewalInSec > 0 ? setInterval(() => receiver.renewSessionLock().catch((error) => log.warn(`Error renewing session locks for ${entity}: ${textOf(error)}`)), lockRenewalInSec * 1000) : undefined;
    try {
      for (let since = Date.now(); !signal.aborted && !receiver.isClosed; ) {
        const left = since + idleMs - Date.now();
        if (idleMs > 0 && left <= 0) break;
        const messages = await receiver.receiveMessages(together, { maxWaitTimeInMs: idleMs > 0 ? Math.min(left, lookMs) : lookMs, abortSignal: signal });
        if (messages.length === 0) continue;
        await handling.handle(receiver, messages);
        since = Date.now();
      }
    } catch (error) {
      if (!signal.aborted) log.error(`Error reading from session ${sessionId} of ${entity}. ${textOf(error)}`);
    } finally {
      clearInterval(renewal);
      await receiver.close().catch(() => undefined); // its connection may be gone
    }
  };
  const run = async (): Promise<void> => {
    let waitMs = minConnectionRecoveryInSec * 1000;
    while (!signal.aborted) {
      if (open.size >= most) {
        await new Promise<void>((resolve) => (freed = resolve));
        continue;
      }
      const asked = Date.now();
      try {
        const receiver = await acceptInTime(accept, timeoutInSec * 1000 + graceMs, signal);
        if (receiver === undefined) continue;
        waitMs = minConnectionRecoveryInSec * 1000;
        log.debug(`Receiving messages for session ${receiver.sessionId} of ${entity}`);
        const reading = read(receiver).finally(() => {
          open.delete(reading);
          freed();
        });
        open.add(reading);
      } catch (error) {
        if (signal.aborted) break;
        if (noSession.has((error as { code?: string }).code ?? '')) {
          await pause(Math.max(0, lookAgainMs - (Date.now() - asked)), signal);
          continue;
        }
        log.warn(`Failed to connect to Azure Service Bus ${entity}; will retry in ${waitMs / 1000}s. Error: ${textOf(error)}`);
        await pause(waitMs, signal);
        waitMs = Math.min(waitMs * 1.5, maxConnectionRecoveryInSec * 1000);
      }
    }
  };
  const running = run();
  return {
    close: async () => {
      handling.stop();
      await running;
      await Promise.all(open);
    },
  };
}
