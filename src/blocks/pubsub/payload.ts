// The data of a message on its way: bytes, or a text that becomes bytes when somebody asks for them.
import { utf8 } from '../../core/go-json.ts';

export interface Payload {
  readonly data: Uint8Array;
  readonly text?: string | undefined;
}

export function textPayload(text: string): Payload {
  let bytes: Uint8Array | undefined;
  return { text, get data() { return (bytes ??= utf8(text)); } };
}
export const bytesPayload = (data: Uint8Array): Payload => ({ data });
