// The app's subscriptions over HTTP: asking for them, delivering messages, reading the answers (Dapr: pkg/runtime/pubsub/subscriptions.go, pkg/runtime/subscription/postman/http).
import { readBody } from '../../core/body.ts';
import type { CallContext } from '../../core/context.ts';
import { background } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import { bool, int, list, parseFirst, string, stringMap, struct, textOfBytes } from '../../core/go-json.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { SubscriptionView } from '../../blocks/metadata/metadata.ts';
import type { DeliveredEvent } from '../../blocks/pubsub/delivery.ts';
import type { PubSubBlock } from '../../blocks/pubsub/pubsub.ts';
import { createSubscriber } from '../../blocks/pubsub/subscriber.ts';
import { createSubscriptionList, type SubscriptionSpec } from '../../blocks/pubsub/subscription-list.ts';
import type { SubscriptionResource } from '../../blocks/resources/kinds.ts';
import { errorOfStatus } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { cleanPath } from '../http/path.ts';
import { metadataHeaders, traceHeaders } from './event-headers.ts';

export interface SubscriptionsOptions extends TracingRules {
  appId: string;
  pubsub: PubSubBlock;
  /** How many pub/sub components are open; without any the app is not asked. */
  componentCount(): number;
  /** undefined: no app. Subscriptions are then only listed. */
  channel: AppChannel | undefined;
  resources: readonly SubscriptionResource[];
  /** False: --disable-init-endpoints subscribe. */
  askApp: boolean;
  log: Logger;
}

export interface Subscriptions {
  /** For the metadata API. */
  view(): SubscriptionView[];
  /** The app is ready: asks it once, then subscribes. Never rejects; what went wrong is in the log. */
  start(): Promise<void>;
  /** YAML declares these now: subscriptions that are not among them end, new ones start when the app is ready. */
  declare(resources: readonly SubscriptionResource[]): Promise<void>;
  /** A pub/sub component is about to be closed: takes no more of its messages, waits for those at the app. */
  release(pubsubName: string): Promise<void>;
  /** Pub/sub components were opened: starts what waited for them; the app is asked now if there was no reason before. */
  resume(): Promise<void>;
  /** The app is not ready any more, or the sidecar ends: takes no more messages, waits for those at the app. */
  stop(): Promise<void>;
}

export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { channel, pubsub, appId } = options;
  const log = options.log.scope('dapr.runtime.pubsub');
  const subscriptions = createSubscriptionList(options.resources);
  const subscriber = createSubscriber({ pubsub, log, postman: (event, context) => deliver(event, context) });
  const paths = new Map<string, string>();
  let asked = false;
  let appReady = false;
  /** Counts starts and stops: a start that was overtaken while the app was being asked goes no further. */
  let turn = 0;

  const deliver = async (event: DeliveredEvent, context: CallContext): Promise<'done' | 'dropped'> => {
    if (channel === undefined) throw new Error('there is no app to deliver to');
    if (!channel.healthy) throw new Error('app is not in a healthy state');
    let path = paths.get(event.path);
    if (path === undefined) paths.set(event.path, (path = requestTarget(event.path)));
    const headers: RawHeaders = ['Content-Type', 'application/cloudevents+json'];
    metadataHeaders(event.metadata, headers);
    const span = traceHeaders(event.attributes, event.metadata, options, `pubsub/${event.topic}`, headers);
    const sending = channel.send({ method: 'POST', path, headers, body: event.data }, context);
    if (span !== undefined) {
      const ended = (error: string) => span.end({ attributes: [['messaging.system', 'pubsub'], ['messaging.destination.name', event.topic]], error });
      sending.then(({ status }) => ended(errorOfStatus(status)), (error: unknown) => ended(textOf(error)));
    }
    const response = await sending;
    return outcomeOf(response, event, log);
  };

  const start = async (): Promise<void> => {
    const mine = ++turn;
    appReady = true;
    if (options.componentCount() === 0) return;
    if (channel === undefined) return log.warn('app channel not initialized, make sure -app-port is specified if pubsub subscription is required');
    if (!asked && options.askApp) {
      try {
        const told = await askForSubscriptions(channel, appId, log);
        for (const name of new Set(told.map((spec) => spec.pubsubName))) log.info(`app is subscribed to the following topics: [${told.filter((spec) => spec.pubsubName === name).map((spec) => spec.topic).join(' ')}] through pubsub=${name}`);
        subscriptions.setProgrammatic(told);
      } catch (error) {
        // Declared subscriptions wait too: the app may have meant to replace them. It is asked again when it has been unhealthy.
        return log.warn(`failed to read from subscribe endpoint of the app; no subscription is started: ${textOf(error)}`);
      }
    } else if (!asked) log.warn("Skipping programmatic subscription loading (see 'disable-init-endpoints' flag/annotation)");
    asked = true;
    if (mine !== turn) return;
    await subscriber.start(subscriptions.all());
  };

  return {
    view: () => subscriptions.view(),
    start,
    declare: (resources) => {
      subscriptions.setDeclared(resources);
      return subscriber.update(subscriptions.all());
    },
    release: (name) => subscriber.release(name),
    resume: () => (!appReady ? Promise.resolve() : asked ? subscriber.update(subscriptions.all()) : start()),
    stop: () => {
      turn++;
      appReady = false;
      return subscriber.stop();
    },
  };
}

/** Path and query as they go on the wire: rooted, cleaned, escaped where a URL needs it. */
export function requestTarget(configured: string): string {
  const withoutFragment = configured.split('#', 1)[0] as string;
  const mark = withoutFragment.indexOf('?');
  const path = mark < 0 ? withoutFragment : withoutFragment.slice(0, mark);
  const escaped = (text: string) => text.replace(/[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+/g, (bad) => encodeURIComponent(bad.toWellFormed()));
  return escaped(cleanPath(path.startsWith('/') ? path : `/${path}`)) + (mark < 0 ? '' : escaped(withoutFragment.slice(mark)));
}

const retries = 3;
const firstPauseMs = 500;
const longestPauseMs = 1000;

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
async function askForSubscriptions(channel: AppChannel, appId: string, log: Logger): Promise<SubscriptionSpec[]> {
  const ask = () => channel.send({ method: 'GET', path: '/dapr/subscribe', headers: ['Content-Type', 'application/json', 'Dapr-App-Id', appId], body: null }, background);
  let response: HttpResponse;
  for (let tries = 0, pause = firstPauseMs; ; tries++, pause = Math.min(longestPauseMs, pause * 1.5)) {
    try {
      response = await ask();
      break;
    } catch (error) {
      if (tries >= retries) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
    }
  }
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

const appAnswer = struct('pubsub.AppResponse', { status: string });

/** What the app's answer means for the message. Throws where it is to be tried again. */
async function outcomeOf(response: HttpResponse, { attributes, topic }: DeliveredEvent, log: Logger): Promise<'done' | 'dropped'> {
  const { bytes } = await readBody(response.body);
  const id = String(attributes.id);
  if (response.status >= 200 && response.status <= 299) {
    const status = bytes.length === 0 ? '' : statusOf(bytes);
    if (status === '' || status === 'SUCCESS') return 'done';
    if (status === 'RETRY') throw new Error(`RETRY status returned from app while processing pub/sub event ${id}`);
    if (status !== 'DROP') throw new Error(`unknown status returned from app while processing pub/sub event ${id}, status: ${status}`);
    log.warn(`DROP status returned from app while processing pub/sub event ${id}`);
    return 'dropped';
  }
  const text = textOfBytes(bytes);
  if (response.status === 404) {
    log.error(`non-retriable error returned from app while processing pub/sub event ${id}: ${text}. status code returned: 404`);
    return 'dropped';
  }
  throw new Error(`retriable error returned from app while processing pub/sub event ${id}, topic: ${topic}, body: ${text}. status code returned: ${response.status}`);
}

/** `status` of a JSON object; whatever else an app answers with a 2xx counts as none. */
function statusOf(body: Uint8Array): string {
  try {
    return appAnswer.read(parseFirst(textOfBytes(body)), '').status;
  } catch {
    return '';
  }
}
