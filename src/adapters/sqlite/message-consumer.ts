// One subscription of pubsub.sqlite: takes messages for its group, hands them to the handler, writes down what became of them.
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { SharedDatabase } from './database.ts';
import type { GroupReader, LoggedMessage, Outcome } from './message-log.ts';

export interface ConsumerOptions {
  database: SharedDatabase;
  reader: GroupReader;
  /** Who has a message in hand; no two consumers have the same. */
  owner: string;
  /** Messages with the handler at once. */
  atOnce: number;
  /** Messages taken at most. With more than `atOnce` new ones are taken when all of them are done, and given back when one of them fails. */
  inHand: number;
  lease: number;
  /** What the log calls it. */
  title: string;
  log: Logger;
  handle(message: LoggedMessage): Promise<void>;
  /** Called after messages were finished. */
  onFinished(): void;
}
export interface Consumer {
  /** There may be something new. */
  wake(): void;
  /** Takes nothing more, waits for what is in hand and writes that down. */
  close(): Promise<void>;
}

// Beyond 2^31-1 ms a timer fires at once.
const longestTimer = 2_147_483_647;
const pauseAfterFailureMs = 200;
// With more at hand, what was done is written down together with what is done soon after: each write takes the lock from publishers.
const settleWithinMs = 20;

export function startConsumer(options: ConsumerOptions): Consumer {
  const { database, reader, owner, atOnce, inHand, lease, title, log } = options;
  /** Taken, not yet with the handler. */
  let ready: LoggedMessage[] = [];
  const settled: { id: number; outcome: Outcome; why?: unknown }[] = [];
  let running = 0;
  const ahead = inHand > atOnce;
  let closing = false;
  let working = false;
  let again = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let soon: ReturnType<typeof setTimeout> | undefined;
  let idle: (() => void) | undefined;

  const wakeAt = (time: number | undefined) => {
    clearTimeout(timer);
    if (time === undefined || closing) return;
    timer = setTimeout(wake, Math.min(longestTimer, Math.max(1, time - Date.now())));
    (timer as { unref?(): void }).unref?.();
  };
  const giveBack = () => {
    for (const { id } of ready) settled.push({ id, outcome: 'released' });
    ready = [];
  };
  const deliver = async (message: LoggedMessage): Promise<void> => {
    running++;
    try {
      if (message.expiresAt === undefined || message.expiresAt > Date.now()) await options.handle(message);
      settled.push({ id: message.id, outcome: 'done' });
    } catch (why) {
      // A failure while the subscription ends says nothing about the message.
      settled.push({ id: message.id, outcome: closing ? 'released' : 'failed', why });
      if (ahead) giveBack();
    }
    running--;
    if (!closing) startReady();
    if (running > 0 && ahead && !closing) soon ??= setTimeout(wake, settleWithinMs);
    else wake();
  };
  function startReady(): void {
    while (ready.length > 0 && running < atOnce) void deliver(ready.shift() as LoggedMessage);
  }
  /** One round: writes down what has ended and takes what there is room for, in one transaction. True: there may be more to do. */
  const round = async (): Promise<boolean> => {
    const ended = settled.splice(0);
    const taken = running + ready.length;
    const room = closing || (ahead && taken > 0) ? 0 : inHand - taken;
    if (ended.length === 0) {
      if (room === 0) return false;
      const next = await database.read(() => reader.hasMore(owner));
      if (next !== true) {
        wakeAt(next);
        return false;
      }
    }
    try {
      const { given, more } = await database.write(() => ({
        given: ended.filter(({ id, outcome }) => reader.settle(owner, id, outcome)),
        more: room > 0 ? reader.take(owner, room) : undefined,
      }));
      for (const { id, why } of given) log.error(`${title}: message ${id} is removed after its last attempt: ${textOf(why)}`);
      ready.push(...(more?.messages ?? []));
      if (closing) giveBack();
      else startReady();
      if (more !== undefined && more.messages.length < room) wakeAt(more.nextAt);
      if (ended.some(({ outcome }) => outcome === 'done')) options.onFinished();
    } catch (error) {
      settled.unshift(...ended);
      throw error;
    }
    return settled.length > 0;
  };
  const work = async () => {
    working = true;
    do {
      again = false;
      try {
        if (await round()) again = true;
      } catch (error) {
        log.error(`${title}: ${textOf(error)}. Will retry.`);
        await new Promise((resolve) => setTimeout(resolve, pauseAfterFailureMs));
        again = true;
      }
    } while (again);
    working = false;
    if (closing && running === 0) idle?.();
  };
  function wake(): void {
    clearTimeout(soon);
    soon = undefined;
    again = true;
    if (!working) void work();
  }

  // Signs of life, only while there is something to hold on to.
  const pulse = setInterval(() => {
    if (running > 0 || ready.length > 0) database.write(() => reader.extend(owner)).catch((error) => log.warn(`${title}: ${textOf(error)}`));
  }, lease / 3);
  (pulse as { unref?(): void }).unref?.();
  wake();

  return {
    wake,
    close: async () => {
      if (!closing) {
        closing = true;
        clearTimeout(timer);
        giveBack();
        await new Promise<void>((resolve) => {
          idle = resolve;
          wake();
        });
        clearInterval(pulse);
      }
    },
  };
}
