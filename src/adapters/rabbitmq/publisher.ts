// Publishing to RabbitMQ: one channel in confirm mode, what was on its way when it broke is sent again.
import type { ConfirmChannel, Options } from 'amqplib';
import { AdapterError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { type AmqpLink, amqpText } from './connection.ts';

export interface OutgoingMessage {
  exchange: string;
  key: string;
  data: Uint8Array;
  options: Options.Publish;
}
export interface Sent {
  /** Handed to the connection; rejects where that cannot be done within the attempts. Needs no handler. */
  written: Promise<void>;
  /** The broker has it; rejects after the last attempt. Needs no handler. */
  confirmed: Promise<void>;
}
export interface Publisher {
  send(message: OutgoingMessage, signal?: AbortSignal): Sent;
  /** Waits a little for confirmations that are due. */
  close(): Promise<void>;
}

// As many as daprd makes with a pause before; the one at once is for a channel that broke while the connection stands.
const mostAttempts = 4;
const patienceAtCloseMs = 2000;
// What was written and not confirmed is kept in memory; beyond this a publish waits for its confirmation.
const mostUnconfirmed = 10_000;

interface Line {
  channel: ConfirmChannel;
  declared: Map<string, Promise<unknown>>;
}

/** `declare` makes the exchange of a message; called once for each channel and exchange. */
export function createPublisher({ link, log, waitMs, declare }: { link: AmqpLink; log: Logger; waitMs: number; declare?: (channel: ConfirmChannel, exchange: string) => Promise<unknown> }): Publisher {
  // Not shared with subscriptions: a refusal by the broker ends the channel, and none of theirs shall end with it.
  let line: Promise<Line> | undefined;
  let closed = false;
  const unconfirmed = new Set<Promise<void>>();

  const open = (): Promise<Line> => {
    if (line === undefined) {
      const mine = link.channel('confirm', () => forget()).then((channel): Line => ({ channel, declared: new Map() }));
      const forget = () => {
        if (line === mine) line = undefined;
      };
      mine.catch(forget);
      line = mine;
    }
    return line;
  };
  /** Resolves when confirmed. A channel that ends meanwhile rejects it. */
  const sendOnce = async ({ exchange, key, data, options }: OutgoingMessage, onWritten: () => void): Promise<void> => {
    const { channel, declared } = await open();
    if (declare !== undefined) {
      let known = declared.get(exchange);
      if (known === undefined) declared.set(exchange, (known = declare(channel, exchange)));
      await known;
    }
    await new Promise<void>((resolve, reject) => {
      channel.publish(exchange, key, Buffer.from(data.buffer, data.byteOffset, data.byteLength), options, (error: unknown) => (error ? reject(error) : resolve()));
      onWritten();
    });
  };
  const sendUntilConfirmed = async (message: OutgoingMessage, onWritten: () => void, signal: AbortSignal | undefined): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await sendOnce(message, onWritten);
      } catch (error) {
        const text = amqpText(error);
        // What the broker has refused it will refuse again.
        if (attempt >= mostAttempts || closed || text.startsWith('Exception (4') || signal?.aborted) throw new AdapterError('unavailable', text, error);
        if (attempt === 1) continue;
        log.warn(`rabbitmq: publishing attempt (${attempt - 1}/${mostAttempts - 1}) failed: ${text}`);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
  };

  return {
    send: (message, signal) => {
      let onWritten = () => {};
      const first = new Promise<void>((resolve) => (onWritten = resolve));
      const confirmed = sendUntilConfirmed(message, onWritten, signal);
      const kept = confirmed.then(
        () => void unconfirmed.delete(kept),
        (error) => {
          unconfirmed.delete(kept);
          log.error(`rabbitmq: publishing to ${message.exchange || message.key} failed: ${amqpText(error)}`);
        },
      );
      unconfirmed.add(kept);
      const written = unconfirmed.size > mostUnconfirmed ? confirmed : Promise.race([first, confirmed]);
      written.catch(() => undefined); // whoever waits hears of it; nobody has to wait
      return { confirmed, written };
    },
    close: async () => {
      closed = true;
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([Promise.all(unconfirmed), new Promise((resolve) => (timer = setTimeout(resolve, patienceAtCloseMs)))]);
      clearTimeout(timer);
    },
  };
}
