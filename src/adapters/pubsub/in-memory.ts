// pubsub.in-memory: messages between the subscriptions of this process, gone with it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { field, schema } from '../../core/metadata.ts';
import { createBatcher, type Settle } from '../../blocks/pubsub/batches.ts';
import { CarriedMessage, type Payload } from '../../blocks/pubsub/payload.ts';
import { definePubSub, type Subscription } from '../../blocks/pubsub/port.ts';

interface Subscriber {
  topic: string;
  /** What a topic must begin with, and be longer than; undefined without a wildcard. */
  prefix: string | undefined;
  deliver(payload: Payload, metadata: Record<string, string>): void;
  /** How many messages it may have in hand: one keeps them in order, batches need many. */
  atOnce: number;
  running: number;
  /** Publications (and dead letters) waiting for their turn, first come first served. */
  waiting: Publication[];
  /** Called when nothing runs any more. */
  idle: (() => void) | undefined;
}
/** What of a publication a subscription has not taken yet. */
interface Publication {
  messages: readonly PublishedMessage[];
  next: number;
  /** All of it is taken. */
  taken(): void;
}
type PublishedMessage = Payload & { metadata?: Record<string, string> | undefined };

/** Messages of a bulk subscription in hand: one batch at the app, the next one gathering. */
const batchesAtOnce = 2;
const usualBatch = 100;
const parallelAtOnce = 100;

export default definePubSub({
  type: 'pubsub.in-memory',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['SUBSCRIBE_WILDCARDS'],
  summary: 'Messages in the memory of this process, fanned out to every subscription; for tests and first steps.',
  metadata: schema({
    concurrencyMode: field.text().default('single').describe('`single`: a subscription gets one message at a time, in the order of publishing, as in Dapr. `parallel`: up to 100 at once, so that they may overtake each other.'),
  }),
  open: async ({ concurrencyMode }, { log }) => {
    const atOnce = concurrencyMode === 'parallel' ? parallelAtOnce : 1;
    const subscribers = new Set<Subscriber>();
    let closed = false;

    // Each subscription gets metadata of its own: handlers write to it.
    const run = (to: Subscriber, message: PublishedMessage): void => to.deliver(message, { ...message.metadata });
    /** Hands messages to a subscription, each when it has a hand free; undefined where all are taken at once. That its hands are full is what holds publishers back. */
    const hand = (to: Subscriber, messages: readonly PublishedMessage[]): Promise<void> | undefined => {
      let next = 0;
      for (; next < messages.length && to.running < to.atOnce; next++) {
        to.running++;
        run(to, messages[next] as PublishedMessage);
      }
      return next === messages.length ? undefined : new Promise((taken) => to.waiting.push({ messages, next, taken }));
    };
    const publish = async (topic: string, messages: readonly PublishedMessage[], fromHandler: boolean | undefined): Promise<void> => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
      const waiting: (Promise<void> | undefined)[] = [];
      for (const to of subscribers) {
        if (topic === to.topic || (to.prefix !== undefined && topic.length > to.prefix.length && topic.startsWith(to.prefix))) waiting.push(hand(to, messages));
      }
      if (!fromHandler) for (const one of waiting) if (one !== undefined) await one;
    };
    /** A message in hand is over: the next one goes straight to its place, so that nobody overtakes. */
    const settled = (by: Subscriber, failure: Parameters<Settle>[0]): void => {
      if (failure !== undefined) log.error(textOf(failure.why));
      const first = by.waiting[0];
      if (first === undefined) {
        if (--by.running === 0) by.idle?.();
        return;
      }
      const message = first.messages[first.next++] as PublishedMessage;
      if (first.next === first.messages.length) {
        by.waiting.shift();
        first.taken();
      }
      run(by, message);
    };

    const subscribe = (topic: string, atOnce: number, deliverTo: (settle: Settle) => Subscriber['deliver']): Subscription => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
      const deliver = deliverTo((failure) => settled(subscriber, failure));
      const subscriber: Subscriber = { topic, prefix: topic.endsWith('*') ? topic.slice(0, -1) : undefined, deliver, atOnce, running: 0, waiting: [], idle: undefined };
      subscribers.add(subscriber);
      return {
        close: async () => {
          subscribers.delete(subscriber);
          if (subscriber.running > 0) await new Promise<void>((resolve) => { subscriber.idle = resolve; });
        },
      };
    };

    return {
      publish: (request) => publish(request.topic, [request], request.fromHandler),
      bulkPublish: async ({ topic, entries, fromHandler }) => {
        await publish(topic, entries, fromHandler);
        return new Map();
      },
      subscribe: async ({ topic }, handler) => subscribe(topic, atOnce, (settle) => {
        const done = () => settle(undefined);
        const failed = (why: unknown) => settle({ why });
        return (payload, metadata) => void handler(new CarriedMessage(topic, metadata, payload), background).then(done, failed);
      }),
      bulkSubscribe: async (request, handler) => {
        const batcher = createBatcher(request, handler);
        const inHand = batchesAtOnce * (request.maxMessagesCount > 0 ? request.maxMessagesCount : usualBatch);
        const subscription = subscribe(request.topic, inHand, (settle) => (payload, metadata) => batcher.add(payload, metadata, undefined, settle));
        return {
          close: () => {
            batcher.hurry();
            return subscription.close();
          },
        };
      },
      close: async () => {
        closed = true;
        subscribers.clear();
      },
    };
  },
});
