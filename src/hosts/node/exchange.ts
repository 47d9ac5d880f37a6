// One request on node:http as the core sees it: raw target and headers, the body as bytes or stream under a limit, the caller's going away.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BodyBroken, BodyTooLarge, headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import { addressText } from '../fetch-head.ts';
import { Answer, type AnswerBody } from './answer.ts';

const nothing = new Uint8Array(0);
const lostEnd = () => new BodyBroken('unexpected EOF');

export class Exchange implements Incoming {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly length: number | undefined;
  readonly hasBody: boolean;
  /** The caller waits for a 100 before it sends the body. */
  #waits: boolean;
  #received = 0;
  #broken: Error | undefined;
  #onBroken: ((error: Error) => void) | undefined;
  #abort: AbortController | undefined;

  constructor(message: IncomingMessage, response: ServerResponse, length: number | undefined, hasBody: boolean, waits: boolean) {
    this.message = message;
    this.response = response;
    this.length = length;
    this.hasBody = hasBody;
    this.#waits = waits;
  }
  get method(): string { return this.message.method as string; }
  get target(): string { return this.message.url as string; }
  get headers(): RawHeaders { return this.message.rawHeaders; }
  get peer(): string | undefined {
    const { remoteAddress, remotePort } = this.message.socket;
    return addressText(remoteAddress, remotePort);
  }
  header(name: string): string | undefined { return headerOf(this.message.rawHeaders, name); }

  /** Made only for those who ask: most calls are over before their caller could go away. */
  get signal(): AbortSignal {
    if (this.#abort !== undefined) return this.#abort.signal;
    const controller = new AbortController();
    this.#abort = controller;
    const { response } = this;
    const { socket } = this.message;
    const gone = () => controller.abort();
    const over = () => {
      socket.removeListener('end', gone);
      if (!response.writableFinished) gone();
    };
    if (response.closed || socket.destroyed || socket.readableEnded) over();
    else {
      socket.once('end', gone);
      response.once('close', over);
    }
    return controller.signal;
  }

  /** The rest of the body cannot be had. */
  fail(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#onBroken?.(error);
  }
  /** True when the connection cannot carry another request: what is left of the body is broken, not yet allowed, or too much to read away. */
  get spoilt(): boolean {
    if (this.#broken !== undefined) return true;
    if (!this.hasBody || this.message.complete) return false;
    return this.#waits || this.length === undefined || this.length - this.#received > readAway;
  }

  bytes(limit: number): Promise<Uint8Array> {
    if (!this.hasBody) return Promise.resolve(nothing);
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let total = 0;
      let tooLarge = false;
      const onData = (part: Uint8Array) => {
        if (tooLarge) return;
        total += part.length;
        if (limit > 0 && total > limit) {
          parts.push(part);
          this.message.resume();
          // what has already come is read first: often it is all, and the connection can go on
          tooLarge = true;
          setImmediate(() => reject(new BodyTooLarge(joined(parts, total).subarray(0, limit))));
        } else parts.push(part);
      };
      this.#read(onData, () => { if (!tooLarge) resolve(joined(parts, total)); }, reject);
    });
  }

  stream(limit: number): ReadableStream<Uint8Array> {
    const { message } = this;
    let total = 0;
    let over = !this.hasBody;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          if (over) return controller.close();
          const fail = (error: Error) => {
            if (over) return;
            over = true;
            controller.error(error);
          };
          const onData = (part: Uint8Array) => {
            if (over) return;
            total += part.length;
            if (limit > 0 && total > limit) {
              fail(new BodyTooLarge());
              message.resume();
              return;
            }
            controller.enqueue(part);
            if ((controller.desiredSize ?? 0) <= 0) message.pause();
          };
          const onEnd = () => {
            if (over) return;
            over = true;
            controller.close();
          };
          this.#read(onData, onEnd, fail);
        },
        pull: () => {
          message.resume();
        },
        cancel: () => {
          over = true;
          message.resume();
        },
      },
      { highWaterMark: 64 * 1024, size: (part) => part.byteLength },
    );
  }

  #read(onData: (part: Uint8Array) => void, onEnd: () => void, onFail: (error: Error) => void): void {
    const { message } = this;
    const broken = this.#broken ?? (message.destroyed && !message.complete ? lostEnd() : undefined);
    if (broken !== undefined) {
      onFail(broken);
      return;
    }
    this.#onBroken = onFail;
    if (this.#waits) {
      this.#waits = false;
      this.response.writeContinue();
    }
    message.on('data', (part: Buffer) => {
      this.#received += part.length;
      onData(part);
    });
    message.on('end', onEnd);
    message.on('close', () => { if (!message.complete) onFail(lostEnd()); });
  }

  respond(status: number, headers: RawHeaders, body: AnswerBody): Response {
    return new Answer(status, headers, body) as unknown as Response;
  }
}

/** So much of an unread body is read and dropped to keep the connection; source: net/http, maxPostHandlerReadBytes. */
const readAway = 256 << 10;

function joined(parts: Uint8Array[], total: number): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, total);
}
