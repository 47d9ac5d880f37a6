// Publishing, each call counted. Dead letters are not: nobody asked for them.
import { DaprError, rows } from '../../core/errors.ts';
import { bound, type Meter, now } from '../../core/meter.ts';
import type { NamedPubSub, PubSubBlock } from './pubsub.ts';

export function measuredPubSub(block: PubSubBlock, meter: Meter): PubSubBlock {
  const known = new WeakMap<NamedPubSub, NamedPubSub>();
  const counted = (plain: NamedPubSub): NamedPubSub => {
    let broker = known.get(plain);
    if (broker === undefined) known.set(plain, (broker = measuredBroker(plain, meter)));
    return broker;
  };
  return {
    ...block,
    component: (name, metadata) => counted(block.component(name, metadata)),
    find: (name) => {
      const found = block.find(name);
      return found && counted(found);
    },
  };
}

/** An event that cannot be put in its envelope was not published; one to a forbidden topic counts as a failure. */
const isPublished = (error: unknown): boolean => !(error instanceof DaprError) || error.cause !== undefined || error.row === rows.pubsubForbidden;

function measuredBroker(broker: NamedPubSub, meter: Meter): NamedPubSub {
  const published = bound((topic) => meter.published(broker.name, topic));
  const bulkPublished = bound((topic) => meter.bulkPublished(broker.name, topic));
  return {
    ...broker,
    publish: (topic, publication, raw, context, family) => {
      const startedAt = now();
      return broker.publish(topic, publication, raw, context, family).then(
        () => published(topic)(true, startedAt),
        (error: unknown) => {
          if (isPublished(error)) published(topic)(false, startedAt);
          throw error;
        },
      );
    },
    bulkPublish: (topic, entries, raw, context, family) => {
      const startedAt = now();
      return broker.bulkPublish(topic, entries, raw, context, family).then(
        (result) => {
          bulkPublished(topic)(result.error === undefined, startedAt);
          return result;
        },
        (error: unknown) => {
          if (isPublished(error)) bulkPublished(topic)(false, startedAt);
          throw error;
        },
      );
    },
  };
}
