// The data of a message on its way: bytes, or a text that becomes bytes when somebody asks for them.
import { utf8 } from '../../core/go-json.ts';

/** What is known of a message's data beside its bytes, so that a broker in this process spares its subscriptions the reading. */
export interface EventText {
  readonly text?: string | undefined;
  /** The event in it: a new object at each call, which the caller may write to. */
  readonly attributes?: (() => Record<string, unknown>) | undefined;
}
export interface Payload extends EventText {
  readonly data: Uint8Array;
}

export function textPayload({ text, attributes }: EventText & { text: string }): Payload {
  let bytes: Uint8Array | undefined;
  return { text, attributes, get data() { return (bytes ??= utf8(text)); } };
}
export const bytesPayload = (data: Uint8Array): Payload => ({ data });
