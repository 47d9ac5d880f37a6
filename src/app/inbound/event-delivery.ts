// Messages on their way to an HTTP app, one by one or in batches (Dapr: pkg/runtime/subscription/postman/http).
import type { CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import type { BulkPostman } from '../../blocks/pubsub/bulk-delivery.ts';
import { bulkEnvelope } from '../../blocks/pubsub/bulk-envelope.ts';
import type { Attributes } from '../../blocks/pubsub/events.ts';
import { AppAway, type Postman } from '../../blocks/pubsub/delivery.ts';
import { errorOfStatus } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { outcomeOf, outcomesOf } from './event-answers.ts';
import { metadataHeaders, traceHeaders } from './event-headers.ts';
import { requestTarget } from './request-target.ts';

export interface EventDeliveryOptions extends TracingRules {
  /** undefined: no app. */
  channel: AppChannel | undefined;
  log: Logger;
}

export function createEventDelivery(options: EventDeliveryOptions): { postman: Postman; bulkPostman: BulkPostman } {
  const { channel, log } = options;
  const paths = new Map<string, string>();

  interface Delivery {
    topic: string;
    path: string;
    metadata: Readonly<Record<string, string>>;
  }
  /** `attributes`: those of the event whose trace the request tells; `others`: of events that go with it and have spans, too. */
  const post = ({ topic, path: configured, metadata }: Delivery, contentType: string, attributes: Readonly<Attributes>, body: Uint8Array | string, context: CallContext, others: readonly Readonly<Attributes>[] = []): Promise<HttpResponse> => {
    if (channel === undefined) throw new AppAway('there is no app to deliver to');
    if (!channel.healthy) throw new AppAway('app is not in a healthy state');
    let path = paths.get(configured);
    if (path === undefined) paths.set(configured, (path = requestTarget(configured)));
    const headers: RawHeaders = ['Content-Type', contentType];
    metadataHeaders(metadata, headers);
    const name = `pubsub/${topic}`;
    const spans = options.recorder === undefined ? [] : others.map((one) => traceHeaders(one, {}, options, name, []));
    spans.push(traceHeaders(attributes, metadata, options, name, headers));
    const sending = channel.send({ method: 'POST', path, headers, body }, context);
    if (spans.some((span) => span !== undefined)) {
      const ended = (error: string) => { for (const span of spans) span?.end({ attributes: [['messaging.system', 'pubsub'], ['messaging.destination.name', topic]], error }); };
      sending.then(({ status }) => ended(errorOfStatus(status)), (error: unknown) => ended(textOf(error)));
    }
    return sending;
  };

  return {
    postman: async (event, context) => outcomeOf(await post(event, 'application/cloudevents+json', event.attributes, event.body, context), event, log),
    bulkPostman: async (batch, context) => {
      // of many traces one request can tell one: the last
      const traced: Readonly<Attributes>[] = [];
      for (const { attributes } of batch.entries) if (attributes !== undefined && (attributes.traceparent ?? attributes.traceid) !== undefined) traced.push(attributes);
      return outcomesOf(await post(batch, 'application/json', traced.pop() ?? {}, bulkEnvelope(batch), context, traced), batch, log);
    },
  };
}
