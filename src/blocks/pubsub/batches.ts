// Batches for bulk subscriptions on brokers that hand over one message at a time (dapr/pkg/runtime/pubsub/default_bulksub.go).
import { background } from '../../core/context.ts';
import type { BulkMessageEntry, BulkMessageHandler, BulkSubscribeRequest, Message, MessageHandler, Subscription } from './port.ts';

/** Where the subscription names none. */
const usual = { messages: 100, waitMs: 1000 };

export interface BatchingOptions {
  request: BulkSubscribeRequest;
  handler: BulkMessageHandler;
  /** The broker waits for each message before it hands over the next (BULK_SUBSCRIBE_IMMEDIATE): nothing is gained by waiting for more. */
  immediate: boolean;
  subscribe(handler: MessageHandler): Promise<Subscription>;
}

interface Waiting extends BulkMessageEntry {
  done(): void;
  failed(why: unknown): void;
}

/**
 * A batch goes out when it is full, or when the time from its first message is over. One batch is at the app at a time; what comes
 * meanwhile gathers, and its time begins when the batch before is done. Closing sends what has gathered at once.
 */
export async function subscribeInBatches({ request, handler, immediate, subscribe }: BatchingOptions): Promise<Subscription> {
  const most = request.maxMessagesCount > 0 ? request.maxMessagesCount : usual.messages;
  const waitMs = request.maxAwaitDurationMs > 0 ? request.maxAwaitDurationMs : usual.waitMs;
  let gathered: Waiting[] = [];
  let atApp = false;
  let hurry = immediate;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const look = (): void => {
    if (atApp || gathered.length === 0) return;
    if (hurry || gathered.length >= most) void send();
    else timer ??= setTimeout(send, waitMs);
  };
  const send = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (atApp || gathered.length === 0) return;
    const batch = gathered.slice(0, most);
    gathered = gathered.slice(most);
    atApp = true;
    const failures = await handler({ topic: request.topic, entries: batch, metadata: {} }, background);
    for (const { entryId, done, failed } of batch) {
      if (failures.has(entryId)) failed(failures.get(entryId));
      else done();
    }
    atApp = false;
    look();
  };
  const gather = (message: Message): Promise<void> =>
    new Promise((done, failed) => {
      const { data, metadata, contentType, text, head } = message;
      gathered.push({ entryId: crypto.randomUUID(), data, metadata, text, head, ...(contentType === undefined ? {} : { contentType }), done, failed });
      look();
    });

  const subscription = await subscribe(gather);
  return {
    close: () => {
      hurry = true;
      look();
      return subscription.close();
    },
  };
}
