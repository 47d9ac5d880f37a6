// The envelope of a bulk delivery (dapr/pkg/runtime/pubsub/bulksubscribe_events.go).
import { printTexts, quote, quoteKnown } from '../../core/json-exact.ts';
import { uuid } from '../../core/uuid.ts';
import type { DeliveredBatch } from './bulk-delivery.ts';

/**
 * JSON text of a batch. Events stand in it as the broker has them, digits and all; upstream prints them anew and rounds what float64
 * cannot hold.
 */
export function bulkEnvelope({ pubsubName, topic, entries, metadata }: DeliveredBatch): string {
  let items = '';
  for (const { entryId, event, metadata, contentType } of entries) {
    items += `${items === '' ? '' : ','}{"entryId":${quote(entryId)},"event":${event},"metadata":${metadata === undefined ? 'null' : printTexts(metadata)},"contentType":${quoteKnown(contentType)}}`;
  }
  return `{"entries":[${items}],"id":"${uuid()}","metadata":${printTexts(metadata)},"pubsubname":${quote(pubsubName)},"topic":${quote(topic)},"type":"com.dapr.event.sent.bulk"}`;
}
