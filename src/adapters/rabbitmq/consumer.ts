// One reader of a RabbitMQ queue: declares, consumes, acknowledges, and begins anew whenever its channel is gone.
import type { Channel, ConsumeMessage } from 'amqplib';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { type AmqpLink, amqpText } from './connection.ts';

export interface ConsumerOptions {
  link: AmqpLink;
  /** What the log calls it. */
  title: string;
  queue: string;
  /** Declares what is needed; called for every channel anew. */
  prepare(channel: Channel): Promise<void>;
  /** 0: as many as there are. */
  prefetch: number;
  autoAck: boolean;
  requeueInFailure: boolean;
  /** Messages handled at once. */
  concurrency: number;
  reconnectWaitMs: number;
  log: Logger;
  handle(message: ConsumeMessage): Promise<void>;
}
export interface RabbitConsumer {
  close(): Promise<void>;
}

const longestTag = 255;

/** Resolves when messages flow; rejects where the first try fails. */
export async function startConsumer(options: ConsumerOptions): Promise<RabbitConsumer> {
  const { link, title, queue, prefetch, autoAck, requeueInFailure, concurrency, reconnectWaitMs, log, handle } = options;
  const stop = new AbortController();
  let waiting: { message: ConsumeMessage; of: Channel }[] = [];
  let running = 0;
  let idle: (() => void) | undefined;
  let current: { channel: Channel; tag: string } | undefined;
  const closing = () => stop.signal.aborted;

  const deliver = async (message: ConsumeMessage, of: Channel): Promise<void> => {
    let failed = false;
    try {
      await handle(message);
    } catch (error) {
      failed = true;
      log.error(`${title} error: handling message from queue ${queue}: ${textOf(error)}`);
    }
    // While the subscription ends a failure says nothing: with its channel the message goes back to the queue.
    if (autoAck || (failed && closing())) return;
    try {
      if (failed) of.nack(message, false, requeueInFailure);
      else of.ack(message);
    } catch (error) {
      log.error(`${title}: error acknowledging message from queue ${queue}: ${amqpText(error)}; it comes again`);
    }
  };
  const pump = () => {
    while (running < concurrency && waiting.length > 0 && !closing()) {
      const { message, of } = waiting.shift() as (typeof waiting)[number];
      running++;
      void deliver(message, of).finally(() => {
        running--;
        pump();
        if (running === 0) idle?.();
      });
    }
  };
  /** Resolves when messages flow; `ended` says why they do no more. */
  const begin = async (): Promise<{ ended: Promise<unknown> }> => {
    let over = (_why: unknown) => {};
    const ended = new Promise<unknown>((resolve) => (over = resolve));
    const channel = await link.channel('plain', over);
    try {
      await options.prepare(channel);
      if (prefetch > 0) await channel.prefetch(prefetch);
      // Never the same tag twice: a tag in use would end the connection.
      const tag = `${queue}-${crypto.randomUUID()}`.slice(-longestTag);
      current = { channel, tag };
      await channel.consume(queue, (message) => {
        if (message === null) return void quietly(() => channel.close()); // the queue was deleted
        waiting.push({ message, of: channel });
        pump();
      }, { consumerTag: tag, noAck: autoAck });
    } catch (error) {
      await quietly(() => channel.close());
      throw error;
    }
    void ended.then(() => {
      // The broker gives these to somebody anew.
      waiting = waiting.filter(({ of }) => of !== channel);
    });
    return { ended };
  };
  const keepAlive = async (first: { ended: Promise<unknown> }): Promise<void> => {
    let { ended } = first;
    for (;;) {
      const why = await ended;
      if (closing()) return;
      log.error(`${title}: error in subscriber for ${queue}: ${amqpText(why)}. Reconnecting in ${reconnectWaitMs} ms`);
      for (let begun = false; !begun; ) {
        await pause(reconnectWaitMs, stop.signal);
        if (closing()) return;
        try {
          ({ ended } = await begin());
          begun = true;
          log.info(`${title}: subscribed again to queue ${queue}`);
        } catch (error) {
          if (!closing()) log.error(`${title}: error in subscriber for ${queue}: ${amqpText(error)}. Reconnecting in ${reconnectWaitMs} ms`);
        }
      }
    }
  };

  const first = await begin().catch((error) => {
    throw new Error(`failed to subscribe to ${queue}: ${amqpText(error)}`, { cause: error });
  });
  void keepAlive(first);

  return {
    close: async () => {
      if (closing()) return;
      stop.abort();
      const mine = current;
      await quietly(async () => mine?.channel.cancel(mine.tag));
      if (running > 0) await new Promise<void>((resolve) => (idle = resolve));
      // After the acknowledgements; what was never handled goes back to the queue.
      await quietly(async () => mine?.channel.close());
    },
  };
}

/** For a channel that may be gone already. */
async function quietly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch {
    // it was
  }
}
