// pubsub.in-memory: messages between the subscriptions of this process, gone with it.
import { AdapterError, textOf } from '../../core/errors.ts';
import { background } from '../../core/context.ts';
import { schema } from '../../core/metadata.ts';
import { definePubSub, type Message, type MessageHandler, type PublishRequest } from '../../blocks/pubsub/port.ts';

interface Subscriber {
  topic: string;
  /** What a topic must begin with, and be longer than; undefined without a wildcard. */
  prefix: string | undefined;
  handler: MessageHandler;
  busy: boolean;
  /** Publishers (and dead letters) waiting for their turn, first come first served. */
  waiting: (() => void)[];
  /** Called when nothing runs any more. */
  idle: (() => void) | undefined;
}

export default definePubSub({
  type: 'pubsub.in-memory',
  status: 'beta',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['SUBSCRIBE_WILDCARDS'],
  summary: 'Messages in the memory of this process, fanned out to every subscription; for tests and first steps.',
  metadata: schema({}),
  open: async (_metadata, { log }) => {
    const subscribers = new Set<Subscriber>();
    let closed = false;

    const run = (to: Subscriber, message: Message): void => {
      to.handler(message, background).then(undefined, (error) => log.error(textOf(error))).then(() => {
        const next = to.waiting.shift();
        if (next !== undefined) next();
        else {
          to.busy = false;
          to.idle?.();
        }
      });
    };
    /** The turn to deliver; one message at a time per subscription is what holds publishers back. */
    const turn = (of: Subscriber): Promise<void> | undefined => {
      if (of.busy) return new Promise((resolve) => of.waiting.push(resolve));
      of.busy = true;
      return undefined;
    };
    // Each subscription gets metadata of its own: handlers write to it.
    const messageFor = (to: Subscriber, { data, metadata }: PublishRequest): Message => ({ topic: to.topic, data, metadata: { ...metadata } });

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
      subscribe: async ({ topic }, handler) => {
        if (closed) throw new AdapterError('invalid', 'component is closed');
        const subscriber: Subscriber = { topic, prefix: topic.endsWith('*') ? topic.slice(0, -1) : undefined, handler, busy: false, waiting: [], idle: undefined };
        subscribers.add(subscriber);
        return {
          close: async () => {
            subscribers.delete(subscriber);
            if (subscriber.busy) await new Promise<void>((resolve) => { subscriber.idle = resolve; });
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
