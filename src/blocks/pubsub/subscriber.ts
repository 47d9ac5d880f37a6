// Keeps the app's subscriptions running on their brokers (dapr/pkg/runtime/processor/subscriber/subscriber.go).
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { createDelivery, type Postman } from './delivery.ts';
import type { Subscription } from './port.ts';
import type { NamedPubSub, PubSubBlock } from './pubsub.ts';
import type { SubscriptionSpec } from './subscription-list.ts';

export interface Subscriber {
  /** Resolves when each subscription was tried once; those that failed are tried again in the background. Does nothing while started. */
  start(specs: readonly SubscriptionSpec[]): Promise<void>;
  /** Takes no more messages and waits for running handlers, 30 s at most. May be started again. */
  stop(): Promise<void>;
}

const drainMs = 30_000;
const firstPauseMs = 500;
const longestPauseMs = 60_000;

/** What this build cannot do yet is refused rather than done in another way; undefined where all is well. */
function unsupported(spec: SubscriptionSpec): string | undefined {
  if (spec.rules.some((rule) => rule.match !== '')) return 'routing rules with a match expression are not supported yet';
  if (spec.bulkSubscribe?.enabled) return 'bulk subscriptions are not supported yet';
  return undefined;
}

export function createSubscriber(options: { pubsub: PubSubBlock; postman: Postman; log: Logger }): Subscriber {
  const { pubsub, postman, log } = options;
  /** One life from start to stop. */
  let life: { closing: boolean; running: Subscription[]; starting: Set<Promise<void>>; wake: AbortController } | undefined;
  type Life = NonNullable<typeof life>;

  const begin = async (spec: SubscriptionSpec, broker: NamedPubSub, now: Life): Promise<void> => {
    const handler = createDelivery({ spec, broker, postman, log, closing: () => now.closing });
    const subscription = await broker.subscribe({ topic: spec.topic, metadata: spec.metadata }, handler);
    if (now.closing) await subscription.close();
    else now.running.push(subscription);
  };
  const retry = async (spec: SubscriptionSpec, broker: NamedPubSub, now: Life): Promise<void> => {
    for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 1.5)) {
      await sleep(pause * (0.5 + Math.random()), now.wake.signal);
      if (now.closing) return;
      try {
        await begin(spec, broker, now);
        log.info(`successfully started subscription after retry for pubsub ${broker.name}, topic ${spec.topic}`);
        return;
      } catch (error) {
        log.error(`retry failed for subscription pubsub ${broker.name}, topic ${spec.topic}: ${textOf(error)}. Will retry.`);
      }
    }
  };
  const startOne = async (spec: SubscriptionSpec, now: Life): Promise<void> => {
    const broker = pubsub.find(spec.pubsubName);
    if (broker === undefined) return;
    const failed = (why: string) => log.error(`failed to start subscription for pubsub ${broker.name}, topic ${spec.topic}: ${why}`);
    // Neither comes right by trying again.
    if (!broker.maySubscribe(spec.topic)) return failed(`subscription to topic '${spec.topic}' on pubsub '${broker.name}' is not allowed`);
    const missing = unsupported(spec);
    if (missing !== undefined) return failed(missing);
    try {
      await begin(spec, broker, now);
    } catch (error) {
      failed(textOf(error));
      const trying = retry(spec, broker, now).finally(() => now.starting.delete(trying));
      now.starting.add(trying);
    }
  };

  return {
    start: async (specs) => {
      if (life !== undefined) return;
      const now: Life = (life = { closing: false, running: [], starting: new Set(), wake: new AbortController() });
      await Promise.all(specs.map((spec) => startOne(spec, now)));
    },
    stop: async () => {
      const now = life;
      if (now === undefined) return;
      life = undefined;
      now.closing = true;
      now.wake.abort();
      const all = Promise.allSettled([...now.starting, ...now.running.map((subscription) => subscription.close())]);
      await Promise.race([all, sleep(drainMs, undefined)]);
    },
  };
}

/** Ends early, without an error, when the signal aborts. Keeps no process alive. */
function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    (timer as { unref?(): void }).unref?.();
    signal?.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
