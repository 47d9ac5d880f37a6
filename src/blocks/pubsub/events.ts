// CloudEvents as they come from a broker: parsed, in binary mode, and the trace a message's metadata adds (dapr/pkg/runtime/subscription/subscription.go).
import { parseWhole, textOfBytes } from '../../core/go-json.ts';
import type { Payload } from './payload.ts';
import type { Message } from './port.ts';

/** Attributes of an event, data among them. */
export type Attributes = Record<string, unknown>;

/** A JSON object, or `null`, which counts as an empty one. Throws in Go's words. */
export function parseEvent(text: string): Attributes {
  const event = parseWhole(text);
  if (event === null) return {};
  if (typeof event !== 'object' || Array.isArray(event)) throw new Error(`json: cannot unmarshal ${Array.isArray(event) ? 'array' : typeof event === 'boolean' ? 'bool' : typeof event} into Go value of type map[string]interface {}`);
  return event as Attributes;
}
/** The data of a message as text. */
export const textOfPayload = (payload: Payload): string => payload.text ?? textOfBytes(payload.data);
/** The event a message is: all of it, or what is at hand where nobody asks for its data. Throws in Go's words. */
export const eventOf = (payload: Payload, whole: boolean): Readonly<Attributes> => (whole || payload.head === undefined ? parseEvent(textOfPayload(payload)) : payload.head);

/** Message metadata says which trace the event belongs to, where the event does not (or, made for a raw message, cannot). */
export function inheritTrace(event: Attributes, metadata: Readonly<Record<string, string>>, overwrite: boolean): void {
  const { traceid, traceparent, tracestate } = metadata;
  const may = (name: string) => overwrite || !Object.hasOwn(event, name);
  if (traceid !== undefined && may('traceid')) event.traceid = traceid;
  if (traceparent !== undefined && may('traceparent')) event.traceid = event.traceparent = traceparent;
  if (tracestate !== undefined && may('tracestate')) event.tracestate = tracestate;
}

/** CloudEvents in binary mode: the attributes are `ce_*` metadata, the message is the data. */
export function binaryEvent({ data, metadata }: Message): Attributes {
  const event: Attributes = {};
  for (const name in metadata) if (name.slice(0, 3).toLowerCase() === 'ce_') event[name.slice(3).toLowerCase()] = metadata[name];
  event.data = data;
  event.datacontenttype = metadata['content-type'];
  return event;
}
