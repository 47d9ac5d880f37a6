// Azure Service Bus messages and Dapr's metadata, both ways (upstream: common/component/azure/servicebus/message.go, message_pubsub.go).
import type { ServiceBusMessage, ServiceBusReceivedMessage } from '@azure/service-bus';
import { toBase64 } from '../../core/base64.ts';
import { AdapterError } from '../../core/errors.ts';
import { utf8 } from '../../core/go-json.ts';
import { ttlOf } from '../../blocks/pubsub/ttl.ts';

const texts: Record<string, 'subject' | 'replyTo' | 'to' | 'partitionKey' | 'contentType'> = { Label: 'subject', ReplyTo: 'replyTo', To: 'to', PartitionKey: 'partitionKey', ContentType: 'contentType' };
const httpTime = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Names as upstream spells them, in that case only; what is none of them becomes an application property. Throws AdapterError. */
export function toServiceBus(data: Uint8Array, metadata: Readonly<Record<string, string>>, contentType?: string): ServiceBusMessage {
  const message: ServiceBusMessage = { body: data, ...(contentType === undefined ? {} : { contentType }) };
  const properties: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (name === 'SessionId') message.sessionId = value; // a blank one is one, too
    else if (value === '') continue;
    else if (name === 'ttl' || name === 'ttlInSeconds') {
      const ttl = ttlOf(metadata);
      if (ttl !== undefined) message.timeToLive = ttl;
    } else if (name === 'MessageId' || name === 'id') message.messageId = metadata.MessageId || value;
    else if (name === 'CorrelationId' || name === 'correlationID') message.correlationId = metadata.CorrelationId || value;
    else if (Object.hasOwn(texts, name)) message[texts[name] as 'subject'] = value;
    else if (name === 'ScheduledEnqueueTimeUtc') {
      if (!(httpTime.test(value) || rfc3339.test(value)) || Number.isNaN(Date.parse(value))) throw new AdapterError('unavailable', `invalid time format for ${name}; expected HTTP time format or RFC3339`);
      message.scheduledEnqueueTimeUtc = new Date(value);
    } else properties[name] = value;
  }
  if (Object.keys(properties).length > 0) message.applicationProperties = properties;
  const { sessionId, partitionKey } = message;
  if (sessionId !== undefined && partitionKey !== undefined && sessionId !== partitionKey) throw new AdapterError('unavailable', `session id ${sessionId} and partition key ${partitionKey} should be equal when both present`);
  return message;
}

/** The bytes; what another client sent as a value instead of bytes is read as text. */
export function bytesOf({ body }: ServiceBusReceivedMessage): Uint8Array {
  if (body instanceof Uint8Array) return body;
  if (body === undefined || body === null) return new Uint8Array(0);
  return utf8(typeof body === 'string' ? body : JSON.stringify(body));
}

export const idText = (id: unknown): string => (id === undefined || id === null ? '' : id instanceof Uint8Array ? toBase64(id) : String(id));

/** What is told of a message to its handler, each name behind `metadata.`. */
export function metadataOf(message: ServiceBusReceivedMessage): Record<string, string> {
  const metadata: Record<string, string> = {};
  const put = (name: string, value: string | undefined) => {
    if (value !== undefined) metadata[`metadata.${name}`] = value;
  };
  for (const [name, value] of Object.entries(message.applicationProperties ?? {})) put(name, value === null || value === undefined ? '' : String(value));
  put('MessageId', idText(message.messageId) || undefined);
  put('SessionId', message.sessionId);
  put('CorrelationId', idText(message.correlationId) || undefined);
  put('Label', message.subject || undefined);
  put('ReplyTo', message.replyTo || undefined);
  put('To', message.to || undefined);
  put('ContentType', message.contentType || undefined);
  put('LockToken', message.lockToken === undefined ? undefined : toBase64(uuidBytes(message.lockToken)));
  // Upstream's client counts from 1.
  put('DeliveryCount', String((message.deliveryCount ?? 0) + 1));
  put('EnqueuedTimeUtc', message.enqueuedTimeUtc?.toUTCString());
  put('SequenceNumber', message.sequenceNumber?.toString());
  put('ScheduledEnqueueTimeUtc', message.scheduledEnqueueTimeUtc?.toUTCString());
  put('PartitionKey', message.partitionKey);
  put('LockedUntilUtc', message.lockedUntilUtc?.toUTCString());
  return metadata;
}

const uuidBytes = (uuid: string): Uint8Array => Uint8Array.from(uuid.replaceAll('-', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
