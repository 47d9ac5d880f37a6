// The data of a message on its way.
import type { Attributes } from './events.ts';

/** What is known of a message's data beside its bytes, so that a broker in this process spares its subscriptions the reading. */
export interface EventText {
  /** The same as text. */
  readonly text?: string | undefined;
  /** The event's attributes except its data. */
  readonly head?: Readonly<Attributes> | undefined;
}
export interface Payload extends EventText {
  readonly data: Uint8Array;
}
