// The data of a message on its way.
import { utf8 } from '../../core/go-json.ts';
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

/** An event made in this process. Its bytes are made when somebody asks for them: a subscription beside it needs none. Not to be spread. */
export class MadeEvent implements Payload {
  readonly text: string;
  readonly head: Readonly<Attributes> | undefined;
  private bytes: Uint8Array | undefined;
  constructor({ text, head }: { text: string; head?: Readonly<Attributes> | undefined }) {
    this.text = text;
    this.head = head;
  }
  get data(): Uint8Array {
    this.bytes ??= utf8(this.text);
    return this.bytes;
  }
}

/** What carries a payload that is made elsewhere, and asks that for its bytes only when somebody wants them. Not to be spread. */
abstract class Carrier implements Payload {
  private readonly payload: Payload;
  readonly contentType?: string;
  constructor(payload: Payload, contentType: string | undefined) {
    this.payload = payload;
    if (contentType !== undefined) this.contentType = contentType;
  }
  get data(): Uint8Array { return this.payload.data; }
  get text(): string | undefined { return this.payload.text; }
  get head(): Readonly<Attributes> | undefined { return this.payload.head; }
}
/** On its way to a broker (PublishRequest) or from one (Message). */
export class CarriedMessage<M extends Record<string, string> | undefined> extends Carrier {
  readonly topic: string;
  readonly metadata: M;
  constructor(topic: string, metadata: M, payload: Payload, contentType?: string) {
    super(payload, contentType);
    this.topic = topic;
    this.metadata = metadata;
  }
}
/** One of several that travel together. */
export class CarriedEntry extends Carrier {
  readonly entryId: string;
  readonly metadata: Record<string, string> | undefined;
  constructor(entryId: string, metadata: Record<string, string> | undefined, payload: Payload, contentType?: string) {
    super(payload, contentType);
    this.entryId = entryId;
    this.metadata = metadata;
  }
}
