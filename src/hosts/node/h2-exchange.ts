// One HTTP/2 request on node:http2 as the core sees it, and the way its answer goes out (Dapr's API port speaks HTTP/2 without TLS, too).
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { BodyBroken, BodyTooLarge, headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import { addressText } from '../fetch-head.ts';
import { Answer, type AnswerBody, answerOf } from './answer.ts';

const nothing = new Uint8Array(0);
const left = 'client disconnected'; // Go's words
const noError = 0;
const internalError = 2;

export class H2Exchange implements Incoming {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  readonly length: number | undefined;
  readonly hasBody: boolean;
  readonly #stream: ServerHttp2Stream;
  #waits: boolean;
  #abort: AbortController | undefined;
  /** All of the answer has been handed to the stream. */
  #answered = false;

  /** `ended`: the head was all of the request. */
  constructor(stream: ServerHttp2Stream, parsed: IncomingHttpHeaders, raw: readonly string[], ended: boolean) {
    this.#stream = stream;
    this.method = parsed[':method'] ?? '';
    this.target = parsed[':path'] ?? '*';
    this.headers = listOf(raw, parsed[':authority']);
    const length = this.header('content-length');
    this.length = length === undefined ? (ended ? 0 : undefined) : Number(length);
    this.hasBody = !ended && this.length !== 0;
    this.#waits = this.header('expect')?.toLowerCase() === '100-continue';
  }
  header(name: string): string | undefined { return headerOf(this.headers, name); }
  get peer(): string | undefined {
    const { socket } = this.#stream.session ?? {};
    return addressText(socket?.remoteAddress, socket?.remotePort);
  }

  get signal(): AbortSignal {
    if (this.#abort !== undefined) return this.#abort.signal;
    const controller = new AbortController();
    this.#abort = controller;
    const stream = this.#stream;
    const over = () => { if (!this.#answered) controller.abort(); };
    if (stream.closed) over();
    else stream.once('close', over);
    return controller.signal;
  }

  bytes(limit: number): Promise<Uint8Array> {
    if (!this.hasBody) return Promise.resolve(nothing);
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let total = 0;
      const onData = (part: Uint8Array) => {
        parts.push(part);
        total += part.length;
        if (limit <= 0 || total <= limit) return;
        this.#stream.removeListener('data', onData);
        reject(new BodyTooLarge(Buffer.concat(parts, total).subarray(0, limit)));
      };
      this.#read(onData, () => resolve(Buffer.concat(parts, total)), reject);
    });
  }

  stream(limit: number): ReadableStream<Uint8Array> {
    const stream = this.#stream;
    let over = !this.hasBody;
    let total = 0;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        if (over) return controller.close();
        const end = (last: () => void) => {
          if (over) return;
          over = true;
          last();
        };
        this.#read((part) => {
          total += part.length;
          if (over) return;
          if (limit > 0 && total > limit) return end(() => controller.error(new BodyTooLarge()));
          controller.enqueue(part);
          if ((controller.desiredSize ?? 0) <= 0) stream.pause();
        }, () => end(() => controller.close()), (error) => end(() => controller.error(error)));
      },
      pull: () => void stream.resume(),
      cancel: () => { over = true; },
    }, { highWaterMark: 64 * 1024, size: (part) => part.byteLength });
  }

  #read(onData: (part: Uint8Array) => void, onEnd: () => void, onFail: (error: Error) => void): void {
    const stream = this.#stream;
    if (this.#waits) {
      this.#waits = false;
      stream.additionalHeaders({ ':status': 100 });
    }
    stream.on('data', onData);
    // a stream that is reset ends, too
    stream.once('end', () => { if (stream.closed) onFail(new BodyBroken(left)); else onEnd(); });
    stream.once('close', () => onFail(new BodyBroken(left)));
  }

  respond(status: number, headers: RawHeaders, body: AnswerBody): Response {
    return new Answer(status, headers, body) as unknown as Response;
  }

  /** Sends the answer; what the caller still sends of its body is not waited for. */
  write(answer: Response): void {
    const stream = this.#stream;
    const { status, list, content } = answer instanceof Answer ? (answer as unknown as Answer) : answerOf(answer);
    if (stream.destroyed || stream.closed) {
      if (content instanceof ReadableStream) content.cancel().catch(ignore);
      return;
    }
    const headers = objectOf(status, list);
    const bodiless = status === 204 || status === 304 || this.method === 'HEAD';
    // what is left of a refused body would hold the connection's window; not at once, or the answer would be lost with it
    if (this.hasBody) stream.once('finish', () => setImmediate(() => { if (!stream.readableEnded) stream.close(noError); }));
    if (content instanceof ReadableStream && !bodiless) {
      stream.respond(headers);
      void this.#pump(content);
      return;
    }
    this.#answered = true;
    if (content instanceof ReadableStream) {
      content.cancel().catch(ignore);
      stream.respond(headers, { endStream: true });
      return;
    }
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    if (status !== 204 && status !== 304 && headers['content-length'] === undefined && !(bytes === null && this.method === 'HEAD')) headers['content-length'] = bytes?.length ?? 0;
    const empty = bodiless || bytes === null || bytes.length === 0;
    stream.respond(headers, { endStream: empty });
    if (!empty) stream.end(bytes);
  }

  /** At the speed of the reader; a source that fails resets the stream, so that the caller sees the cut. */
  async #pump(source: ReadableStream<Uint8Array>): Promise<void> {
    const stream = this.#stream;
    const reader = source.getReader();
    let wake = ignore;
    stream.on('drain', () => wake());
    stream.once('close', () => {
      wake();
      reader.cancel().catch(ignore);
    });
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (stream.closed || stream.destroyed) return;
        if (done) break;
        if (!stream.write(value)) await new Promise<void>((resolve) => { wake = resolve; });
      }
      this.#answered = true;
      stream.end();
    } catch {
      stream.close(internalError);
    }
  }
}
const ignore = () => {};

/** As Go shows a request over HTTP/2: the authority is the host, crumbs of cookies are one header. */
function listOf(raw: readonly string[], authority: string | undefined): RawHeaders {
  const list: RawHeaders = authority === undefined ? [] : ['host', authority];
  let cookie = -1;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.charCodeAt(0) === 0x3a || (name === 'host' && authority !== undefined)) continue;
    if (name === 'cookie' && cookie >= 0) list[cookie] += `; ${value}`;
    else {
      list.push(name, value);
      if (name === 'cookie') cookie = list.length - 1;
    }
  }
  return list;
}

/** Headers of an HTTP/1.1 connection mean nothing here. */
const hop = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

function objectOf(status: number, list: RawHeaders): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ':status': status };
  for (let i = 0; i < list.length; i += 2) {
    const name = (list[i] as string).toLowerCase();
    if (hop.has(name)) continue;
    const before = headers[name];
    headers[name] = before === undefined ? (list[i + 1] as string) : [...(Array.isArray(before) ? before : [String(before)]), list[i + 1] as string];
  }
  return headers;
}
