// One push consumer of a JetStream stream: found or made, delivered from, made again when the server has lost it.
import type { ConsumerConfig, ConsumerInfo, JetStreamManager } from '@nats-io/jetstream';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { goText } from './connection.ts';

export interface ConsumerOptions {
  nc: NatsConnection;
  jsm: JetStreamManager;
  stream: string;
  /** With `durable_name`: one that exists under this name is used as it is. */
  config: Partial<ConsumerConfig> & { filter_subject: string };
  /** One message after the other. */
  single: boolean;
  /** Pause before a refused message comes again, in milliseconds; 0: at once. */
  nakDelayMs: number;
  log: Logger;
  newInbox(): string;
  handler(subject: string, data: Uint8Array): Promise<void>;
}

/** Between tries. */
const checkMs = 2000;
/** Not every server says that a consumer is gone. */
const watchMs = 30_000;
const bytes = (text: string) => new TextEncoder().encode(text);

/** Resolves when messages come; rejects with nats.go's words. */
export async function startConsumer(options: ConsumerOptions): Promise<{ close(): Promise<void> }> {
  const { nc, jsm, stream, config, single, log, handler } = options;
  const acknowledges = config.ack_policy !== 'none';
  const closing = new AbortController();
  const { signal } = closing;
  let info = await find();

  /** Stream sequences that were delivered and not acknowledged yet. */
  const open = new Set<number>();
  /** Those among them that wait here or run: what the server sends again meanwhile, because ackWait is over, is the same message. */
  const held = new Set<number>();
  let highest = info.delivered.stream_seq;
  let running = 0;
  let idle: (() => void) | undefined;
  let queue: Msg[] = [];
  let subscription = subscribe();

  async function find(): Promise<ConsumerInfo> {
    const name = config.durable_name;
    const found = name === undefined ? undefined : await jsm.consumers.info(stream, name).catch((error) => {
      if ((error as Error).name === 'ConsumerNotFoundError') return undefined;
      throw error;
    });
    if (found === undefined) return jsm.consumers.add(stream, { ...config, deliver_subject: options.newInbox() });
    if (!isSame(found.config, config)) throw new Error(`nats: consumer name already in use: creating consumer ${JSON.stringify(name)} on stream ${JSON.stringify(stream)}`);
    const trouble = unbindable(found, config);
    if (trouble !== undefined) throw new Error(`nats: ${trouble}`);
    return found;
  }
  function subscribe(): Subscription {
    const { deliver_subject = '', deliver_group } = info.config;
    return nc.subscribe(deliver_subject, { ...(deliver_group ? { queue: deliver_group } : {}), callback: (error, message) => (error ? log.error(goText(error)) : take(message)) });
  }

  const settle = (message: Msg, answer: string): void => {
    if (acknowledges) message.respond(bytes(answer));
  };
  const deliver = async (message: Msg): Promise<void> => {
    const { sequence, deliveries } = deliveryOf(message.reply ?? '');
    running++;
    try {
      await handler(message.subject, message.data);
      held.delete(sequence);
      open.delete(sequence);
      settle(message, '+ACK');
    } catch (error) {
      held.delete(sequence);
      log.error(`Error processing JetStream message ${message.subject}/${sequence}: ${textOf(error)}`);
      if (signal.aborted) return;
      const { max_deliver = 0 } = info.config;
      if (max_deliver > 0 && deliveries >= max_deliver) open.delete(sequence); // it does not come again
      settle(message, options.nakDelayMs > 0 ? `-NAK {"delay":${options.nakDelayMs * 1e6}}` : '-NAK');
    } finally {
      if (--running === 0) idle?.();
    }
  };
  const work = async (): Promise<void> => {
    while (queue.length > 0 && running === 0) await perform(queue.shift() as Msg);
  };
  const perform = async (message: Msg): Promise<void> => {
    if (message.headers?.code === 100) message.respond(); // flow control: what came before has been dealt with
    else await deliver(message);
  };
  function take(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      const stalled = message.headers?.get('Nats-Consumer-Stalled');
      if (stalled) nc.publish(stalled);
      if (!message.reply) return; // a heartbeat
    } else if (code === 409) {
      void check();
      return;
    } else if (code !== 0) return;
    else {
      const { sequence } = deliveryOf(message.reply ?? '');
      if (held.has(sequence)) return;
      held.add(sequence);
      open.add(sequence);
      highest = Math.max(highest, sequence);
    }
    if (!single) {
      void perform(message);
      return;
    }
    queue.push(message);
    void work();
  }

  /** Makes the consumer again when the server does not know it any more, from the first message on that nobody has acknowledged. */
  let checking = false;
  async function check(): Promise<void> {
    if (checking) return;
    checking = true;
    while (!signal.aborted) {
      try {
        await jsm.consumers.info(stream, info.name);
        break;
      } catch (error) {
        if ((error as Error).name === 'ConsumerNotFoundError') {
          try {
            const from = open.size > 0 ? Math.min(...open) : highest + 1;
            const { opt_start_time: _, ...rest } = config;
            const next = config.durable_name === undefined
              ? await jsm.consumers.add(stream, { ...rest, deliver_policy: 'by_start_sequence', opt_start_seq: from, deliver_subject: options.newInbox() })
              : await find();
            if (signal.aborted) break;
            subscription.unsubscribe();
            info = next;
            subscription = subscribe();
            log.warn(`nats: the consumer of ${config.filter_subject} on stream ${stream} was gone and has been made again`);
            break;
          } catch (again) {
            log.error(`nats: the consumer of ${config.filter_subject} on stream ${stream} cannot be made again yet: ${goText(again)}`);
          }
        }
      }
      await pause(checkMs, signal);
    }
    checking = false;
  }
  const watch = setInterval(() => void check(), watchMs);
  const statuses = nc.status();
  void (async () => {
    for await (const status of statuses) {
      if (signal.aborted) return;
      if (status.type === 'reconnect') void check();
    }
  })();

  return {
    close: async () => {
      if (signal.aborted) return;
      closing.abort();
      clearInterval(watch);
      (statuses as { stop?(): void }).stop?.();
      subscription.unsubscribe();
      // Others of the group can have at once what was only waiting here.
      for (const message of queue) if (message.headers?.code !== 100) settle(message, '-NAK');
      queue = [];
      if (running > 0) await new Promise<void>((resolve) => { idle = resolve; });
    },
  };
}

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.…`, with two more parts in front of the stream's name on newer servers. */
export function deliveryOf(reply: string): { deliveries: number; sequence: number } {
  const parts = reply.split('.');
  const at = parts.length === 9 ? 4 : 6;
  return { deliveries: Number(parts[at]), sequence: Number(parts[at + 1]) };
}

/** Whether the consumer that is there is the one that is asked for, as nats.go compares them: only what is asked for counts. */
function isSame(there: ConsumerConfig, wanted: Partial<ConsumerConfig>): boolean {
  const fields = ['deliver_policy', 'opt_start_seq', 'ack_policy', 'ack_wait', 'max_deliver', 'rate_limit_bps', 'max_ack_pending', 'flow_control', 'idle_heartbeat', 'num_replicas', 'mem_storage'] as const;
  if (wanted.opt_start_time !== undefined && Date.parse(wanted.opt_start_time) !== Date.parse(there.opt_start_time ?? '')) return false;
  return fields.every((field) => wanted[field] === undefined || String(wanted[field]) === String(there[field] ?? ''));
}

/** Why messages of a consumer cannot be had by this subscription. Source of the texts: nats.go js.go. */
function unbindable({ config, push_bound }: ConsumerInfo, wanted: Partial<ConsumerConfig>): string | undefined {
  const there = config.deliver_group ?? '', asked = wanted.deliver_group ?? '';
  if (config.filter_subject && config.filter_subject !== wanted.filter_subject) return 'subject does not match consumer';
  if (!config.deliver_subject) return 'must use pull subscribe to bind to pull based consumer';
  if (there === '' && asked !== '') return 'cannot create a queue subscription for a consumer without a deliver group';
  if (there === '' && push_bound) return 'consumer is already bound to a subscription';
  if (there !== '' && asked === '') return `cannot create a subscription for a consumer with a deliver group ${JSON.stringify(there)}`;
  if (there !== asked) return `cannot create a queue subscription ${JSON.stringify(asked)} for a consumer with a deliver group ${JSON.stringify(there)}`;
  return undefined;
}
