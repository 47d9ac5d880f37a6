// Messages taken from an MQTT broker until they are acknowledged: late, in any order, each only once it was processed.
//
// MQTT cannot refuse a message: what is not acknowledged comes again when the session is resumed, and until then it fills the window
// of messages the broker sends ahead (often 20), at whose end nothing comes any more. So what failed is delivered once more from here
// after a while, and what came for a subscription that has ended waits for the next one.
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { matches, unshared } from './topics.ts';

export interface MqttMessage {
  topic: string;
  data: Uint8Array;
  retained: boolean;
}
/** Resolves: acknowledge. Rejects: leave it. */
export type MqttHandler = (message: MqttMessage) => Promise<void>;

/** What the inbox needs of a PUBLISH packet. */
export interface Arrival extends MqttMessage {
  qos: number;
  /** Packet identifier; 0 with QoS 0. */
  id: number;
  /** Sent before, as the broker knows. */
  again: boolean;
}

export interface Reader {
  /** Takes no more messages and resolves when its running handlers have ended. */
  close(): Promise<void>;
}
export interface Inbox {
  /** The broker accepted a connection; `resumed`: it still has the session, and what was not acknowledged comes again under its identifier. */
  connected(resumed: boolean): void;
  take(arrival: Arrival): void;
  /** From now on messages for the filter go to the handler, also those that were left before. One handler for a filter: the last. */
  add(filter: string, handler: MqttHandler): Reader;
  close(): void;
}

interface Taken extends Arrival {
  /** Connection it can be acknowledged on. */
  connection: number;
  state: 'running' | 'left' | 'done';
  timer: ReturnType<typeof setTimeout> | undefined;
}
interface Open {
  filter: string;
  handler: MqttHandler;
  closing: boolean;
  running: number;
  idle: (() => void) | undefined;
}

const redeliverMs = 60_000;

export function createInbox(options: { log: Logger; acknowledge(id: number, qos: number): void; redeliverAfterMs?: number }): Inbox {
  const { log, acknowledge, redeliverAfterMs = redeliverMs } = options;
  const readers = new Map<string, Open>();
  /** What this session has not acknowledged yet. */
  const unacknowledged = new Map<number, Taken>();
  const left = new Set<Taken>();
  let connection = 0;

  const readerFor = (topic: string): Open | undefined => {
    const exact = readers.get(topic);
    if (exact !== undefined) return exact;
    for (const reader of readers.values()) if (matches(reader.filter, topic)) return reader;
    return undefined;
  };
  const finish = (taken: Taken): void => {
    taken.state = 'done';
    // Not on another connection than it came by: there the identifier means something else unless the broker sends it again.
    if (unacknowledged.get(taken.id) !== taken || taken.connection !== connection) return;
    unacknowledged.delete(taken.id);
    acknowledge(taken.id, taken.qos);
  };
  const leave = (taken: Taken, again: boolean): void => {
    if (taken.qos === 0) return;
    taken.state = 'left';
    left.add(taken);
    if (again) taken.timer = setTimeout(() => deliver(taken), redeliverAfterMs);
  };
  const deliver = (taken: Taken): void => {
    const { topic, data, retained, id } = taken;
    clearTimeout(taken.timer);
    left.delete(taken);
    const reader = readerFor(topic);
    if (reader === undefined) {
      log.warn(`No handler defined for messages received on topic ${topic}`);
      leave(taken, false);
      return;
    }
    taken.state = 'running';
    reader.running++;
    reader.handler({ topic, data, retained }).then(
      () => finish(taken),
      (error) => {
        log.error(`Failed processing MQTT message ${topic}#${id}: ${textOf(error)}`);
        leave(taken, !reader.closing);
      },
    ).finally(() => {
      if (--reader.running === 0) reader.idle?.();
    });
  };

  return {
    connected: (resumed) => {
      connection++;
      if (!resumed) unacknowledged.clear();
    },
    take: (arrival) => {
      const known = arrival.again ? unacknowledged.get(arrival.id) : undefined;
      if (known !== undefined && known.topic === arrival.topic && same(known.data, arrival.data)) {
        known.connection = connection;
        if (known.state === 'done') finish(known);
        else if (known.state === 'left') deliver(known);
        return;
      }
      const taken: Taken = { ...arrival, connection, state: 'running', timer: undefined };
      if (taken.qos > 0) unacknowledged.set(taken.id, taken);
      deliver(taken);
    },
    add: (name, handler) => {
      const reader: Open = { filter: unshared(name), handler, closing: false, running: 0, idle: undefined };
      readers.set(name, reader);
      for (const taken of [...left]) if (readerFor(taken.topic) === reader) deliver(taken);
      return {
        close: async () => {
          reader.closing = true;
          if (readers.get(name) === reader) readers.delete(name);
          if (reader.running > 0) await new Promise<void>((resolve) => { reader.idle = resolve; });
        },
      };
    },
    close: () => {
      readers.clear();
      for (const { timer } of left) clearTimeout(timer);
      left.clear();
    },
  };
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i]);
