// What the metadata of a request says about a RabbitMQ message (upstream: common/component/rabbitmq, metadata/utils.go).
import type { Options } from 'amqplib';
import { ttlOf } from '../../blocks/pubsub/ttl.ts';

/** First value under that name, in any case, that is not empty; the exact spelling goes first. */
export function givenProperty(metadata: Readonly<Record<string, string>>, name: string): string | undefined {
  if (metadata[name]) return metadata[name];
  const folded = name.toLowerCase();
  for (const key in metadata) if (metadata[key] && key.toLowerCase() === folded) return metadata[key];
  return undefined;
}

/** Properties of a message that its metadata names. `priority` only by its exact name. */
export function messageProperties(metadata: Readonly<Record<string, string>>): { options: Options.Publish; wrongPriority: string | undefined } {
  const contentType = givenProperty(metadata, 'contentType') ?? 'text/plain';
  const messageId = givenProperty(metadata, 'messageID'), correlationId = givenProperty(metadata, 'correlationID'), type = givenProperty(metadata, 'type');
  const { priority } = metadata;
  const isNumber = priority === undefined || priority === '' || /^[+-]?\d+$/.test(priority);
  return {
    options: {
      contentType,
      ...(messageId === undefined ? {} : { messageId }), ...(correlationId === undefined ? {} : { correlationId }), ...(type === undefined ? {} : { type }),
      ...(priority && isNumber ? { priority: Math.min(255, Math.max(0, Number(priority))) } : {}),
    },
    wrongPriority: isNumber ? undefined : `priority value must be a valid integer: actual is '${priority}'`,
  };
}

/** Milliseconds to live, undefined where the metadata names none. Throws upstream's words where it cannot be read. */
export function strictTtl(metadata: Readonly<Record<string, string>>): number | undefined {
  const ttl = ttlOf(metadata);
  if (ttl !== undefined) return ttl;
  const text = givenProperty(metadata, 'ttl') ?? givenProperty(metadata, 'ttlInSeconds');
  if (text === undefined) return undefined;
  if (/^[+-]?\d+$/.test(text)) throw new Error(`ttl value must be higher than zero: actual is '${Number(text)}'`);
  throw new Error(`ttl value must be a valid integer: actual is '${text}'`);
}
