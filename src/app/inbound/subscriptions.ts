// The app's subscriptions over HTTP: asking for them, starting and stopping them (Dapr: pkg/runtime/pubsub/subscriptions.go).
import { readBody } from '../../core/body.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { bool, int, list, parseFirst, string, stringMap, struct, textOfBytes } from '../../core/go-json.ts';
import { HttpFailure } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import type { Meter } from '../../core/meter.ts';
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { SubscriptionView } from '../../blocks/metadata/metadata.ts';
import type { OutboxReader } from '../../blocks/outbox/reader.ts';
import type { PubSubBlock } from '../../blocks/pubsub/pubsub.ts';
import { checkRules } from '../../blocks/pubsub/routes.ts';
import { createSubscriber } from '../../blocks/pubsub/subscriber.ts';
import { createSubscriptionList, type SubscriptionSpec } from '../../blocks/pubsub/subscription-list.ts';
import type { Policy } from '../../blocks/resiliency/policy.ts';
import type { Resiliency } from '../../blocks/resiliency/resiliency.ts';
import type { SubscriptionResource } from '../../blocks/resources/kinds.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { createEventDelivery } from './event-delivery.ts';

export interface SubscriptionsOptions extends TracingRules {
  appId: string;
  pubsub: PubSubBlock;
  resiliency: Resiliency;
  /** How many pub/sub components are open; without any the app is not asked. */
  componentCount(): number;
  /** undefined: no app. Subscriptions are then only listed. */
  channel: AppChannel | undefined;
  /** Lives beside the subscriptions: it begins when the app is ready, but goes on when the app is unhealthy. */
  outbox: OutboxReader;
  resources: readonly SubscriptionResource[];
  /** False: --disable-init-endpoints subscribe. */
  askApp: boolean;
  log: Logger;
  /** undefined: nobody counts. */
  meter?: Meter | undefined;
}

export interface Subscriptions {
  /** For the metadata API. */
  view(): SubscriptionView[];
  /** Rejects where a rule of a declared subscription is no expression: the sidecar cannot run. */
  check(): Promise<void>;
  /** The app is ready: asks it once, then subscribes. Never rejects; what went wrong is in the log. */
  start(): Promise<void>;
  /** YAML declares these now: subscriptions that are not among them end, new ones start when the app is ready. Rejects as `check` does. */
  declare(resources: readonly SubscriptionResource[]): Promise<void>;
  /** A pub/sub component is about to be closed: takes no more of its messages, waits for those at the app. */
  release(pubsubName: string): Promise<void>;
  /** Pub/sub components were opened: starts what waited for them; the app is asked now if there was no reason before. */
  resume(): Promise<void>;
  /** The app is not ready any more, or the sidecar ends: takes no more messages, waits for those at the app. */
  stop(): Promise<void>;
  /** For good, with the outbox. */
  close(): Promise<void>;
}

/** After the quick tries of the built-in policy. */
const askAgainMs = 5000;

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { channel, pubsub, appId } = options;
  const log = options.log.scope('dapr.runtime.pubsub');
  const subscriptions = createSubscriptionList(options.resources);
  const subscriber = createSubscriber({ pubsub, log, meter: options.meter, ...createEventDelivery({ ...options, log }) });
  let asked = false;
  let appReady = false;
  /** Counts starts and stops: a start that was overtaken while the app was being asked goes no further. */
  let turn = 0;
  /** Ends the pause before the app is asked again. */
  let waiting = new AbortController();

  const start = async (): Promise<void> => {
    const mine = ++turn;
    appReady = true;
    if (options.componentCount() === 0) return;
    try {
      return await subscribe(mine);
    } finally {
      await options.outbox.start(); // after the subscriptions, which its events may be for
    }
  };
  const askLater = async (mine: number): Promise<void> => {
    waiting = new AbortController();
    await pause(askAgainMs, waiting.signal);
    if (mine === turn) await start();
  };
  const subscribe = async (mine: number): Promise<void> => {
    if (channel === undefined) return log.warn('app channel not initialized, make sure -app-port is specified if pubsub subscription is required');
    if (!asked && options.askApp) {
      try {
        const told = await askForSubscriptions(channel, appId, options.resiliency.builtIn('DaprBuiltInInitializationRetries'), log);
        await checkRules(told);
        for (const name of new Set(told.map((spec) => spec.pubsubName))) log.info(`app is subscribed to the following topics: [${told.filter((spec) => spec.pubsubName === name).map((spec) => spec.topic).join(' ')}] through pubsub=${name}`);
        subscriptions.setProgrammatic(told);
      } catch (error) {
        // Declared subscriptions wait too: the app may have meant to replace them. It is asked again when it has been unhealthy,
        // and, unlike upstream, after a while when it gave no answer at all.
        if (error instanceof HttpFailure) void askLater(mine);
        return log.warn(`failed to read from subscribe endpoint of the app; no subscription is started: ${textOf(error)}`);
      }
    } else if (!asked) log.warn("Skipping programmatic subscription loading (see 'disable-init-endpoints' flag/annotation)");
    asked = true;
    if (mine !== turn) return;
    await subscriber.start(subscriptions.all());
  };

  const stop = (): Promise<void> => {
    turn++;
    waiting.abort();
    appReady = false;
    return subscriber.stop();
  };

  return {
    view: () => subscriptions.view(),
    start,
    check: () => checkRules(options.resources),
    declare: async (resources) => {
      await checkRules(resources);
      subscriptions.setDeclared(resources);
      return subscriber.update(subscriptions.all());
    },
    release: async (name) => void (await Promise.all([subscriber.release(name), options.outbox.release(name)])),
    resume: async () => {
      if (!appReady) return;
      if (!asked) return start();
      await subscriber.update(subscriptions.all());
      await options.outbox.start();
    },
    stop,
    close: async () => void (await Promise.all([stop(), options.outbox.stop()])),
  };
}

const subscriptionBody = list(struct('pubsub.SubscriptionJSON', {
  pubsubname: string,
  topic: string,
  deadLetterTopic: string,
  metadata: stringMap,
  route: string,
  routes: struct('pubsub.RoutesJSON', { rules: list(struct('pubsub.RuleJSON', { match: string, path: string })), default: string }),
  bulkSubscribe: struct('pubsub.BulkSubscribeJSON', { enabled: bool, maxMessagesCount: int, maxAwaitDurationMs: int }),
}));

/** GET /dapr/subscribe. Rejects where the app gives no answer after some tries, or one that cannot be read. */
async function askForSubscriptions(channel: AppChannel, appId: string, retries: Policy, log: Logger): Promise<SubscriptionSpec[]> {
  const response = await retries.run(background, () => channel.send({ method: 'GET', path: '/dapr/subscribe', headers: ['Content-Type', 'application/json', 'Dapr-App-Id', appId], body: null }, background));
  const text = textOfBytes((await readBody(response.body)).bytes);
  if (response.status === 404) log.debug('user app did not subscribe to any topic');
  else if (response.status !== 200) log.error(`app returned http status code ${response.status} from subscription endpoint`);
  if (response.status !== 200 || text === '') return [];
  return subscriptionBody.read(parseFirst(text), '').flatMap((item): SubscriptionSpec[] => {
    const rules = item.routes.rules.map(({ match, path }) => ({ match: match.trim(), path }));
    const fallback = item.routes.default || item.route;
    if (fallback !== '') rules.push({ match: '', path: fallback });
    if (rules.length === 0) {
      log.warn(`topic ${item.topic} has an empty routes. removing from subscriptions list`);
      return [];
    }
    const { pubsubname: pubsubName, topic, metadata, deadLetterTopic, bulkSubscribe } = item;
    return [{ pubsubName, topic, metadata, rules, deadLetterTopic, bulkSubscribe, type: 'PROGRAMMATIC' }];
  });
}
