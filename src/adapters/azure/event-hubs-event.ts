// What Dapr tells of an event from Azure Event Hubs (upstream: common/component/azure/eventhubs/events.go).
import type { ReceivedEventData } from '@azure/event-hubs';
import { textOfBytes, utf8 } from '../../core/go-json.ts';

const fromIotHub = ['iothub-connection-device-id', 'iothub-connection-auth-generation-id', 'iothub-connection-auth-method', 'iothub-connection-module-id', 'iothub-enqueuedtime'];

/** The bytes; what another client sent as a value instead of bytes is read as text. */
export function bytesOf({ body }: Pick<ReceivedEventData, 'body'>): Uint8Array {
  if (body instanceof Uint8Array) return body;
  if (body === undefined || body === null) return new Uint8Array(0);
  return utf8(typeof body === 'string' ? body : JSON.stringify(body));
}

/** `withProperties`: those the sender gave, too. */
export function metadataOf(event: ReceivedEventData, withProperties: boolean): Record<string, string> {
  const metadata: Record<string, string> = {};
  const put = (name: string, value: unknown) => {
    const text = textOf(value);
    if (text !== undefined) metadata[name] = text;
  };
  put('x-opt-sequence-number', event.sequenceNumber);
  put('x-opt-enqueued-time', event.enqueuedTimeUtc);
  put('x-opt-offset', event.offset);
  if (event.partitionKey !== null && event.partitionKey !== undefined) put('x-opt-partition-key', event.partitionKey);
  if (typeof event.messageId === 'string' && event.messageId !== '') put('message-id', event.messageId);
  // In the message itself times are still times.
  const { messageAnnotations, applicationProperties } = event.getRawAmqpMessage();
  for (const name of fromIotHub) if (messageAnnotations !== undefined && Object.hasOwn(messageAnnotations, name)) put(name, (messageAnnotations as Record<string, unknown>)[name]);
  if (withProperties) for (const [name, value] of Object.entries(applicationProperties ?? {})) put(name, value);
  return metadata;
}

/** As Go's cast.ToString; undefined for what has no text. */
function textOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString().replace(/\.\d+Z$/, 'Z');
  if (value instanceof Uint8Array) return textOfBytes(value);
  return typeof value === 'object' ? undefined : String(value);
}
