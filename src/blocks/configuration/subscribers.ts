// Who wants to hear of which keys of one configuration store, and events on their way: in order per key, never two at a time.
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { ConfigurationHandler, ConfigurationItems } from './port.ts';

export interface Subscriber {
  readonly id: string;
  /** Empty: all keys. */
  readonly keys: ReadonlySet<string>;
}

export interface Subscribers<S extends Subscriber = Subscriber> {
  add(details: Omit<S, 'id' | 'keys'> & { keys: readonly string[] }, handler: ConfigurationHandler): S;
  /** Nothing is delivered any more, not even what waits; undefined where there is no such subscription. */
  remove(id: string): S | undefined;
  all(): Iterable<S>;
  /** Tells those who want the key (and fit). `read` runs for each when its turn has come; undefined: nothing to tell. */
  notify(key: string, read: () => ConfigurationItems | undefined | Promise<ConfigurationItems | undefined>, fits?: (subscriber: S) => boolean): void;
  clear(): void;
}

// An app that takes its time: what has waited longest is told first, and of more than this many nothing is added, since all tell what is by then.
const mostWaiting = 100;

export function createSubscribers<S extends Subscriber = Subscriber>(log: Logger): Subscribers<S> {
  interface Entry {
    subscriber: S;
    handler: ConfigurationHandler;
    /** By key: how many events are on their way, and when the last is through. */
    turns: Map<string, { waiting: number; last: Promise<void> }>;
  }
  const entries = new Map<string, Entry>();

  const deliver = async ({ subscriber: { id }, handler }: Entry, read: () => ConfigurationItems | undefined | Promise<ConfigurationItems | undefined>): Promise<void> => {
    try {
      const items = entries.has(id) ? await read() : undefined;
      if (items !== undefined && entries.has(id)) await handler({ id, items });
    } catch (error) {
      log.error(`fail to call handler to notify event for configuration update subscribe: ${textOf(error)}`);
    }
  };
  return {
    add: (details, handler) => {
      const subscriber = { ...details, id: crypto.randomUUID(), keys: new Set(details.keys) } as unknown as S;
      entries.set(subscriber.id, { subscriber, handler, turns: new Map() });
      return subscriber;
    },
    remove: (id) => {
      const entry = entries.get(id);
      entries.delete(id);
      return entry?.subscriber;
    },
    all: () => [...entries.values()].map(({ subscriber }) => subscriber),
    notify: (key, read, fits = () => true) => {
      for (const entry of entries.values()) {
        const { keys } = entry.subscriber;
        if ((keys.size > 0 && !keys.has(key)) || !fits(entry.subscriber)) continue;
        const turn = entry.turns.get(key) ?? { waiting: 0, last: Promise.resolve() };
        if (turn.waiting >= mostWaiting) continue;
        turn.waiting++;
        entry.turns.set(key, turn);
        turn.last = turn.last.then(() => deliver(entry, read)).then(() => {
          if (--turn.waiting === 0) entry.turns.delete(key);
        });
      }
    },
    clear: () => entries.clear(),
  };
}
