// pubsub.in-memory: messages between the subscriptions of this process, gone with it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { field, schema } from '../../core/metadata.ts';
import { createBatcher, type Settle } from '../../blocks/pubsub/batches.ts';
import { CarriedMessage, type Payload } from '../../blocks/pubsub/payload.ts';
import { definePubSub, type Message, type Subscription } from '../../blocks/pubsub/port.ts';

interface Subscriber {
  topic: string;
  /** What a topic must begin with, and be longer than; undefined without a wildcard. */
  prefix: string | undefined;
  deliver(message: Message, settle: Settle): void;
  /** Of every message in hand, when it is over: the turn goes straight to who waits, so that nobody overtakes. */
  settle: Settle;
  /** How many messages it may have in hand: one keeps them in order, batches need many. */
  atOnce: number;
  running: number;
  /** Publishers (and dead letters) waiting for their turn, first come first served. */
  waiting: (() => void)[];
  /** Called when nothing runs any more. */
  idle: (() => void) | undefined;
}

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

    /** The turn to deliver: that a subscription has its hands full is what holds publishers back. */
    const turn = (of: Subscriber): Promise<void> | undefined => {
      if (of.running >= of.atOnce) return new Promise((resolve) => of.waiting.push(resolve));
      of.running++;
      return undefined;
    };
    // Each subscription gets metadata of its own: handlers write to it.
    const run = (to: Subscriber, payload: Payload, metadata: Record<string, string> | undefined): void =>
      to.deliver(new CarriedMessage(to.topic, { ...metadata }, payload), to.settle);
    /** Hands a message to every subscription of the topic, to each when it has a hand free. */
    const spread = async (topic: string, payload: Payload, metadata: Record<string, string> | undefined, waits: boolean): Promise<void> => {
      for (const to of subscribers) {
        if (topic !== to.topic && (to.prefix === undefined || topic.length <= to.prefix.length || !topic.startsWith(to.prefix))) continue;
        const waiting = turn(to);
        if (waiting === undefined) run(to, payload, metadata);
        else if (waits) {
          await waiting;
          run(to, payload, metadata);
        } else void waiting.then(() => run(to, payload, metadata));
      }
    };

    const subscribe = (topic: string, deliver: Subscriber['deliver'], atOnce: number): Subscription => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
      const settle: Settle = (failure) => {
        if (failure !== undefined) log.error(textOf(failure.why));
        const next = subscriber.waiting.shift();
        if (next !== undefined) return next();
        if (--subscriber.running === 0) subscriber.idle?.();
      };
      const subscriber: Subscriber = { topic, prefix: topic.endsWith('*') ? topic.slice(0, -1) : undefined, deliver, settle, atOnce, running: 0, waiting: [], idle: undefined };
      subscribers.add(subscriber);
      return {
        close: async () => {
          subscribers.delete(subscriber);
          if (subscriber.running > 0) await new Promise<void>((resolve) => { subscriber.idle = resolve; });
        },
      };
    };

    return {
      publish: async (request) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        return spread(request.topic, request, request.metadata, !request.fromHandler);
      },
      bulkPublish: async ({ topic, entries, fromHandler }) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        for (const entry of entries) await spread(topic, entry, entry.metadata, !fromHandler);
        return new Map();
      },
      subscribe: async ({ topic }, handler) => {
        const deliver: Subscriber['deliver'] = (message, settle) => void handler(message, background).then(() => settle(undefined), (why: unknown) => settle({ why }));
        return subscribe(topic, deliver, atOnce);
      },
      bulkSubscribe: async (request, handler) => {
        const batcher = createBatcher(request, handler);
        const subscription = subscribe(request.topic, batcher.add, batchesAtOnce * (request.maxMessagesCount > 0 ? request.maxMessagesCount : usualBatch));
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
