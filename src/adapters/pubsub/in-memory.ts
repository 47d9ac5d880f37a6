// pubsub.in-memory: messages between the subscriptions of this process, gone with it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { field, schema } from '../../core/metadata.ts';
import { subscribeInBatches } from '../../blocks/pubsub/batches.ts';
import { definePubSub, type Message, type MessageHandler, type PublishRequest, type Subscription } from '../../blocks/pubsub/port.ts';

interface Subscriber {
  topic: string;
  /** What a topic must begin with, and be longer than; undefined without a wildcard. */
  prefix: string | undefined;
  handler: MessageHandler;
  /** How many messages its handler may have in hand: one keeps them in order, a batch needs many. */
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

    const run = (to: Subscriber, message: Message): void => {
      const over = () => {
        // the turn goes straight to who waits, so that nobody overtakes
        const next = to.waiting.shift();
        if (next !== undefined) return next();
        if (--to.running === 0) to.idle?.();
      };
      to.handler(message, background).then(over, (error) => {
        log.error(textOf(error));
        over();
      });
    };
    /** The turn to deliver: that a subscription has its hands full is what holds publishers back. */
    const turn = (of: Subscriber): Promise<void> | undefined => {
      if (of.running >= of.atOnce) return new Promise((resolve) => of.waiting.push(resolve));
      of.running++;
      return undefined;
    };
    // Each subscription gets metadata of its own: handlers write to it.
    const messageFor = (to: Subscriber, { data, text, head, metadata }: PublishRequest): Message => ({ topic: to.topic, data, text, head, metadata: { ...metadata } });

    const subscribe = async (topic: string, handler: MessageHandler, atOnce: number): Promise<Subscription> => {
      if (closed) throw new AdapterError('invalid', 'component is closed');
      const subscriber: Subscriber = { topic, prefix: topic.endsWith('*') ? topic.slice(0, -1) : undefined, handler, atOnce, running: 0, waiting: [], idle: undefined };
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
        const { topic } = request;
        for (const to of subscribers) {
          if (topic !== to.topic && (to.prefix === undefined || topic.length <= to.prefix.length || !topic.startsWith(to.prefix))) continue;
          const message = messageFor(to, request);
          const waiting = turn(to);
          if (waiting === undefined) run(to, message);
          else if (request.fromHandler) void waiting.then(() => run(to, message));
          else {
            await waiting;
            run(to, message);
          }
        }
      },
      subscribe: ({ topic }, handler) => subscribe(topic, handler, atOnce),
      bulkSubscribe: (request, handler) => {
        const { topic, maxMessagesCount } = request;
        const inHand = batchesAtOnce * (maxMessagesCount > 0 ? maxMessagesCount : usualBatch);
        return subscribeInBatches({ request, handler, immediate: false, subscribe: (gather) => subscribe(topic, gather, inHand) });
      },
      close: async () => {
        closed = true;
        subscribers.clear();
      },
    };
  },
});
