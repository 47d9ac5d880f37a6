// Batches for bulk subscriptions on brokers that hand over one message at a time (dapr/pkg/runtime/pubsub/default_bulksub.go).
import { background } from '../../core/context.ts';
import { uuid } from '../../core/uuid.ts';
import { CarriedEntry, type Payload } from './payload.ts';
import type { BulkMessageHandler, BulkSubscribeRequest, Message, MessageHandler, Subscription } from './port.ts';

/** Where the subscription names none. */
const usual = { messages: 100, waitMs: 1000 };

/** Told once of each message what became of it; `failure` undefined: processed. */
export type Settle = (failure: { readonly why: unknown } | undefined) => void;

export interface Batcher {
  add(payload: Payload, metadata: Record<string, string>, contentType: string | undefined, settle: Settle): void;
  /** Waits for no more: what has gathered goes out at once, and so does all that still comes. */
  hurry(): void;
}

class Waiting extends CarriedEntry {
  readonly settle: Settle;
  constructor(payload: Payload, metadata: Record<string, string>, contentType: string | undefined, settle: Settle) {
    super(uuid(), metadata, payload, contentType);
    this.settle = settle;
  }
}

/**
 * A batch goes out when it is full, or when the time from its first message is over. One batch is at the app at a time; what comes
 * meanwhile gathers, and its time begins when the batch before is done.
 */
export function createBatcher({ topic, maxMessagesCount, maxAwaitDurationMs }: BulkSubscribeRequest, handler: BulkMessageHandler): Batcher {
  const most = maxMessagesCount > 0 ? maxMessagesCount : usual.messages;
  const waitMs = maxAwaitDurationMs > 0 ? maxAwaitDurationMs : usual.waitMs;
  let gathered: Waiting[] = [];
  let atApp = false;
  let hurry = false;
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
    const batch = gathered.length <= most ? gathered : gathered.slice(0, most);
    gathered = gathered.length <= most ? [] : gathered.slice(most);
    atApp = true;
    const failures = await handler({ topic, entries: batch, metadata: {} }, background);
    for (const { entryId, settle } of batch) settle(failures.size > 0 && failures.has(entryId) ? { why: failures.get(entryId) } : undefined);
    atApp = false;
    look();
  };
  return {
    add: (payload, metadata, contentType, settle) => {
      gathered.push(new Waiting(payload, metadata, contentType, settle));
      look();
    },
    hurry: () => {
      hurry = true;
      look();
    },
  };
}

export interface BatchingOptions {
  request: BulkSubscribeRequest;
  handler: BulkMessageHandler;
  /** The broker waits for each message before it hands over the next (BULK_SUBSCRIBE_IMMEDIATE): nothing is gained by waiting for more. */
  immediate: boolean;
  subscribe(handler: MessageHandler): Promise<Subscription>;
}

/** Closing sends what has gathered at once. */
export async function subscribeInBatches({ request, handler, immediate, subscribe }: BatchingOptions): Promise<Subscription> {
  const batcher = createBatcher(request, handler);
  if (immediate) batcher.hurry();
  const gather = (message: Message): Promise<void> =>
    new Promise((done, failed) => {
      batcher.add(message, message.metadata, message.contentType, (failure) => (failure === undefined ? done() : failed(failure.why)));
    });
  const subscription = await subscribe(gather);
  return {
    close: () => {
      batcher.hurry();
      return subscription.close();
    },
  };
}
