// A Kafka record and what Dapr makes of it: metadata become headers and the other way round (components-contrib/common/component/kafka/producer.go, consumer.go).
import { AdapterError } from '../../core/errors.ts';
import { property } from '../../core/metadata.ts';

/** A record to be sent. */
export interface NewRecord {
  key: Uint8Array | undefined;
  /** Null: a tombstone. */
  value: Uint8Array | null;
  headers: Record<string, string>;
  partition: number | undefined;
}
/** A record as it came. */
export interface StoredRecord {
  topic: string;
  partition: number;
  offset: string;
  /** Milliseconds. */
  timestamp: string;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: Readonly<Record<string, Uint8Array | string | (Uint8Array | string)[] | undefined>> | undefined;
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const textOfValue = (value: Uint8Array | string | undefined): string => (value === undefined ? '' : typeof value === 'string' ? value : decoder.decode(value));
/** Bytes that say JSON's null are a tombstone. */
export const isTombstone = (data: Uint8Array): boolean => data.length === 4 && decoder.decode(data) === 'null';

export function recordOf(value: Uint8Array | null, metadata: Readonly<Record<string, string>>, exclude: RegExp | undefined): NewRecord {
  const record: NewRecord = { key: undefined, value: value !== null && isTombstone(value) ? null : value, headers: {}, partition: undefined };
  for (const name in metadata) {
    const text = metadata[name] as string;
    if (name === 'partitionKey' || name === '__key') record.key = utf8(text);
    else if (name === 'partitionNumber') record.partition = partitionNumber(text);
    if (exclude?.test(name)) continue;
    record.headers[name] = text;
  }
  return record;
}

/** Bytes a record counts for against maxMessageBytes (sarama's ProducerMessage.ByteSize). */
export function sizeOf({ key, value, headers }: NewRecord): number {
  let size = 36 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name in headers) size += 10 + utf8(name).length + utf8(headers[name] as string).length;
  return size;
}

/** What `valueSchemaType` of the metadata of a message or a subscription says. */
export function isAvro(metadata: Readonly<Record<string, string>>): boolean {
  const type = property(metadata, 'valueSchemaType') ?? 'none';
  if (type.toLowerCase() === 'avro') return true;
  if (type.toLowerCase() === 'none') return false;
  throw new AdapterError('invalid', `error parsing schema type. '${type}' is not a supported value`);
}

function partitionNumber(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new AdapterError('invalid', `invalid partitionNumber metadata value ${JSON.stringify(text)}: strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const number = Number(text);
  if (Math.abs(number) > 0x7fffffff) throw new AdapterError('invalid', `invalid partitionNumber metadata value ${JSON.stringify(text)}: strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  if (number < 0) throw new AdapterError('invalid', `partitionNumber must be non-negative, got ${number}`);
  return number;
}

/** Go's url.QueryEscape. */
const queryEscape = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`).replaceAll('%20', '+');

export function metadataOf(record: StoredRecord, { escapeHeaders, exclude }: { escapeHeaders: boolean; exclude: RegExp | undefined }): Record<string, string> {
  const text = (value: Uint8Array | string | undefined) => (escapeHeaders ? queryEscape(textOfValue(value)) : textOfValue(value));
  const metadata: Record<string, string> = {};
  if (record.key !== null) metadata.__key = text(record.key);
  metadata.__offset = record.offset;
  metadata.__topic = record.topic;
  metadata.__timestamp = record.timestamp;
  metadata.__partition = String(record.partition);
  for (const [name, value] of Object.entries(record.headers ?? {})) if (!exclude?.test(name)) metadata[name] = text(Array.isArray(value) ? value.at(-1) : value);
  return metadata;
}

/** A tombstone is JSON's null. */
export const dataOf = ({ value }: StoredRecord): Uint8Array => value ?? utf8('null');
