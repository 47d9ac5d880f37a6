// Dead letters of a subscription: messages on their way to its deadLetterTopic, bytes and metadata unchanged (dapr/pkg/runtime/subscription/subscription.go, sendToDeadLetter).
import { background, type CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Message } from './port.ts';
import type { NamedPubSub } from './pubsub.ts';

type Letter = Pick<Message, 'topic' | 'data'> & { metadata: Record<string, string> | undefined; contentType?: string };

export interface DeadLetters {
  /** A message that failed for good: resolves when it is among the dead letters, else rejects with `error`, for the broker. */
  giveUp(message: Letter, error: unknown): Promise<void>;
  /** Nothing hangs on this copy. */
  copy(message: Letter): Promise<void>;
}

const timeoutMs = 30_000;

/** `topic` is '' where there are none. */
export function createDeadLetters(topic: string, broker: NamedPubSub, log: Logger): DeadLetters {
  const send = async ({ topic: origin, data, metadata, contentType }: Letter): Promise<void> => {
    const context: CallContext = { ...background, signal: AbortSignal.timeout(timeoutMs) };
    try {
      const sent = broker.forward({ topic, data, metadata, fromHandler: true, ...(contentType === undefined ? {} : { contentType }) }, context);
      await orAborted(sent, context.signal as AbortSignal);
    } catch (error) {
      log.error(`error sending message to dead letter, origin topic: ${origin} dead letter topic ${topic} err: ${textOf(error)}`);
      throw error;
    }
  };
  return {
    giveUp: async (message, error) => {
      if (topic === '') throw error;
      try {
        await send(message);
      } catch {
        throw error;
      }
    },
    copy: async (message) => {
      if (topic !== '') await send(message).catch(() => undefined);
    },
  };
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Error('context deadline exceeded'));
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
