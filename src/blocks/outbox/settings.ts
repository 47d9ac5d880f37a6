// What the metadata of a state store says of its outbox (dapr/pkg/runtime/pubsub/outbox.go, AddOrUpdateOutbox).
import { isTruthy, type Properties } from '../../core/metadata.ts';

export interface OutboxSettings {
  store: string;
  publishPubsub: string;
  publishTopic: string;
  /** Component of the internal topic. */
  outboxPubsub: string;
  /** True: an event whose marker does not appear is forgotten, not rejected. */
  discardWhenMissingState: boolean;
}

/** Names count in their case; undefined where the store has no outbox. */
export function outboxSettings(store: string, properties: Properties): OutboxSettings | undefined {
  const { outboxPublishPubsub: publishPubsub = '', outboxPublishTopic: publishTopic = '', outboxPubsub = '', outboxDiscardWhenMissingState } = properties;
  if (publishPubsub === '' || publishTopic === '') return undefined;
  return { store, publishPubsub, publishTopic, outboxPubsub: outboxPubsub || publishPubsub, discardWhenMissingState: isTruthy(outboxDiscardWhenMissingState) };
}
