// Keeps the app's subscriptions running on their brokers (dapr/pkg/runtime/processor/subscriber/subscriber.go).
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Meter } from '../../core/meter.ts';
import { pause } from '../../core/pause.ts';
import { type BulkPostman, createBulkDelivery } from './bulk-delivery.ts';
import { createDelivery, type Postman } from './delivery.ts';
import type { Subscription } from './port.ts';
import type { NamedPubSub, PubSubBlock } from './pubsub.ts';
import { compileRoutes } from './routes.ts';
import type { SubscriptionSpec } from './subscription-list.ts';

export interface Subscriber {
  /** Resolves when each subscription was tried once; those that failed are tried again in the background. Does nothing while started. */
  start(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** Ends what is not among these any more, then starts what is new or whose component came since. Does nothing while stopped. */
  update(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** Ends the subscriptions of one component, as `stop` does; the next `update` starts them again. */
  release(pubsubName: string): Promise<void>;
  /** Takes no more messages and waits for running handlers, 30 s at most. May be started again. */
  stop(): Promise<void>;
}

const drainMs = 30_000;
const firstPauseMs = 500;
const longestPauseMs = 60_000;

/** One subscription of the app, from its start to its end. */
interface Running {
  spec: SubscriptionSpec;
  /** Aborted when it ends. */
  closing: AbortController;
  trying: Promise<void> | undefined;
  subscription: Subscription | undefined;
}

export function createSubscriber(options: { pubsub: PubSubBlock; postman: Postman; bulkPostman: BulkPostman; log: Logger; meter?: Meter | undefined }): Subscriber {
  const { pubsub, postman, bulkPostman, log, meter } = options;
  /** What was started since the last start; undefined while stopped. */
  let life: Set<Running> | undefined;

  const begin = async (mine: Running, broker: NamedPubSub): Promise<void> => {
    const { spec } = mine;
    const { topic, metadata, bulkSubscribe } = spec;
    const delivery = { spec, broker, log, meter, routes: await compileRoutes(spec.rules), stop: mine.closing.signal };
    const subscription = bulkSubscribe?.enabled
      ? await broker.bulkSubscribe({ topic, metadata, maxMessagesCount: bulkSubscribe.maxMessagesCount, maxAwaitDurationMs: bulkSubscribe.maxAwaitDurationMs }, createBulkDelivery({ ...delivery, postman: bulkPostman }))
      : await broker.subscribe({ topic, metadata }, createDelivery({ ...delivery, postman }));
    if (mine.closing.signal.aborted) await subscription.close();
    else mine.subscription = subscription;
  };
  const retry = async (mine: Running, broker: NamedPubSub): Promise<void> => {
    const { topic } = mine.spec;
    for (let ms = firstPauseMs; ; ms = Math.min(longestPauseMs, ms * 1.5)) {
      await pause(ms * (0.5 + Math.random()), mine.closing.signal);
      if (mine.closing.signal.aborted) return;
      try {
        await begin(mine, broker);
        log.info(`successfully started subscription after retry for pubsub ${broker.name}, topic ${topic}`);
        return;
      } catch (error) {
        log.error(`retry failed for subscription pubsub ${broker.name}, topic ${topic}: ${textOf(error)}. Will retry.`);
      }
    }
  };
  const startOne = async (spec: SubscriptionSpec, all: Set<Running>): Promise<void> => {
    const broker = pubsub.find(spec.pubsubName);
    if (broker === undefined || all !== life) return;
    const mine: Running = { spec, closing: new AbortController(), trying: undefined, subscription: undefined };
    all.add(mine);
    const failed = (why: string) => log.error(`failed to start subscription for pubsub ${broker.name}, topic ${spec.topic}: ${why}`);
    // It does not come right by trying again.
    if (!broker.maySubscribe(spec.topic)) return failed(`subscription to topic '${spec.topic}' on pubsub '${broker.name}' is not allowed`);
    try {
      await begin(mine, broker);
    } catch (error) {
      failed(textOf(error));
      mine.trying = retry(mine, broker);
    }
  };
  /** Waits for their running handlers, 30 s at most. */
  const end = async (some: readonly Running[]): Promise<void> => {
    const endings = some.map((one) => {
      one.closing.abort();
      return Promise.allSettled([one.trying, one.subscription?.close()]);
    });
    if (endings.length === 0) return;
    const over = new AbortController();
    await Promise.race([Promise.all(endings).finally(() => over.abort()), pause(drainMs, over.signal)]);
  };
  const endOf = (all: Set<Running>, isGone: (one: Running) => boolean): Promise<void> => {
    const gone = [...all].filter(isGone);
    for (const one of gone) all.delete(one);
    return end(gone);
  };

  return {
    start: async (specs) => {
      if (life !== undefined) return;
      const all = (life = new Set<Running>());
      await Promise.all(specs.map((spec) => startOne(spec, all)));
    },
    update: async (specs) => {
      const all = life;
      if (all === undefined) return;
      const wanted = new Set(specs.map(identity));
      await endOf(all, (one) => !wanted.has(identity(one.spec)));
      const there = new Set([...all].map((one) => identity(one.spec)));
      await Promise.all(specs.filter((spec) => !there.has(identity(spec))).map((spec) => startOne(spec, all)));
    },
    release: async (name) => {
      if (life !== undefined) await endOf(life, (one) => one.spec.pubsubName === name);
    },
    stop: async () => {
      const all = life;
      life = undefined;
      if (all !== undefined) await end([...all]);
    },
  };
}

const identity = (spec: SubscriptionSpec): string => JSON.stringify(spec);
