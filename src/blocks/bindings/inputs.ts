// Input bindings: events from outside on their way to the app (Dapr: pkg/runtime/processor/binding/input).
import { textOf } from '../../core/errors.ts';
import { background, type CallContext } from '../../core/context.ts';
import type { Logger } from '../../core/log.ts';
import { measured, type Meter } from '../../core/meter.ts';
import type { Binding, BindingEvent } from './port.ts';
import type { ComponentStore, Loaded } from '../components/store.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { saysInput, worksAs } from './direction.ts';

/** The app as input bindings see it. `route` is the path the component names, by default its own name. */
export interface BindingApp {
  /** Whether the app wants the events. Rejects when the app gives no answer. */
  wants(route: string): Promise<boolean>;
  /** What the app answered; rejects when it refused the event, with a StatusFailure where it said so itself. */
  deliver(event: BindingEvent, to: { name: string; route: string }, context: CallContext): Promise<Uint8Array | undefined>;
}

export interface Inputs {
  /**
   * The app is ready: reads from every input binding that it wants, anew if it did before. Resolves when each was tried once.
   * Never rejects: trouble with one (the app gives no answer, nothing can be read) is in the log, holds up no other, and is tried again after a while.
   */
  start(): Promise<void>;
  /** Components were opened: reads from those that came since, if the app is ready. Never rejects. */
  resume(): Promise<void>;
  /** A component is about to be closed: takes no more of its events and resolves when those at the app are answered. */
  release(name: string): Promise<void>;
  /** Takes no more events and resolves when those at the app are answered. */
  stop(): Promise<void>;
}

/** Pause before a binding in trouble is tried again: doubled each time, up to the longest. */
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

interface Reading {
  name: string;
  closed: boolean;
  /** Aborted with `closed`: an event is not tried again. */
  stopped: AbortController;
  running: Set<Promise<unknown>>;
  reader: { close(): Promise<void> } | undefined;
}

export function createInputs({ components, app, log: parent, resiliency, meter }: { components: ComponentStore; app: BindingApp; log: Logger; resiliency?: Resiliency; meter?: Meter | undefined }): Inputs {
  const log = parent.scope('dapr.runtime.processor.binding');
  let readings: Reading[] = [];
  /** Every binding that was looked at since the app became ready; undefined while it is not. */
  let seen: WeakSet<Loaded> | undefined;
  let turn = Promise.resolve();
  let again: ReturnType<typeof setTimeout> | undefined;
  let pauseMs = firstPauseMs;
  /** One start or stop after the other. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    turn = turn.then(work, work);
    return turn;
  };

  const stopSome = async (isGone: (reading: Reading) => boolean): Promise<void> => {
    const stopping = readings.filter(isGone);
    readings = readings.filter((reading) => !isGone(reading));
    await Promise.all(stopping.map(async (reading) => {
      reading.closed = true;
      reading.stopped.abort();
      await Promise.allSettled(reading.running);
      await reading.reader?.close().catch((error: unknown) => log.error(`error closing an input binding: ${textOf(error)}`));
    }));
  };

  const startOne = async ({ name, properties }: Loaded<Binding>, read: NonNullable<Binding['read']>): Promise<void> => {
    const route = properties.route || name;
    if (!saysInput(properties) && !(await app.wants(route))) return log.info(`app has not subscribed to binding ${name}.`);
    const reading: Reading = { name, closed: false, stopped: new AbortController(), running: new Set(), reader: undefined };
    readings.push(reading);
    const policy = resiliency?.inbound(name, 'Binding');
    const stop = reading.stopped.signal;
    const to = { name, route };
    const deliver = (event: BindingEvent, context: CallContext) => (policy ? policy.run(context, (limited) => app.deliver(event, to, limited), { stop }) : app.deliver(event, to, context));
    const arrived = meter?.inputEvent(name);
    try {
      reading.reader = await read((event, context = background) => {
        if (reading.closed) return Promise.reject(new Error('input binding is closed'));
        const delivered = Promise.resolve(arrived ? measured(arrived, () => deliver(event, context)) : deliver(event, context));
        const running = delivered.finally(() => reading.running.delete(running));
        reading.running.add(running);
        running.catch((error: unknown) => log.debug(`error from app consumer for binding [${name}]: ${textOf(error)}`));
        return running;
      });
    } catch (error) {
      readings = readings.filter((one) => one !== reading);
      log.error(`error reading from input binding ${name}: ${textOf(error)}`);
      throw error;
    }
  };

  const startNew = async (known: WeakSet<Loaded>): Promise<void> => {
    let troubled = false;
    await Promise.all([...components.bindings.values()].map(async (loaded) => {
      if (known.has(loaded)) return;
      known.add(loaded);
      const read = loaded.port.read?.bind(loaded.port);
      if (read === undefined || !worksAs('input', loaded.properties)) return;
      try {
        await startOne(loaded, read);
      } catch (error) {
        log.warn(`failed to read from bindings: ${textOf(error)}`);
        known.delete(loaded);
        troubled = true;
      }
    }));
    if (!troubled) return;
    clearTimeout(again);
    again = setTimeout(() => void resume(), pauseMs);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  };
  const resume = () => inTurn(async () => {
    if (seen !== undefined) await startNew(seen);
  });
  const calm = () => {
    clearTimeout(again);
    pauseMs = firstPauseMs;
  };

  return {
    start: () => inTurn(async () => {
      calm();
      await stopSome(() => true);
      seen = new WeakSet();
      await startNew(seen);
    }),
    resume,
    release: (name) => inTurn(() => stopSome((reading) => reading.name === name)),
    stop: () => inTurn(() => {
      calm();
      seen = undefined;
      return stopSome(() => true);
    }),
  };
}
