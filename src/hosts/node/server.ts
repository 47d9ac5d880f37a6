// HTTP/1.1 listener on node:http: hands requests to the core in their raw form and writes answers without Web streams where it can.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { BodyBroken, BodyTooLarge, headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import type { HandleCall } from '../../app/http/api.ts';

/** What the core answered, kept beside the Response so that it need not be read back through it. */
class Answer {
  readonly status: number;
  readonly list: RawHeaders;
  readonly content: Uint8Array | string | ReadableStream<Uint8Array> | null;
  constructor(status: number, list: RawHeaders, content: Answer['content']) {
    this.status = status;
    this.list = list;
    this.content = content;
  }
  #real: Response | undefined;
  /** The Web form, made only when somebody asks. */
  get real(): Response {
    if (this.#real === undefined) {
      const headers = new Headers();
      for (let i = 0; i < this.list.length; i += 2) headers.append(this.list[i] as string, this.list[i + 1] as string);
      this.#real = new Response(this.status === 204 || this.status === 205 || this.status === 304 ? null : (this.content as BodyInit | null), { status: this.status, headers });
    }
    return this.#real;
  }
  get headers() { return this.real.headers; }
  get body() { return this.real.body; }
  get ok() { return this.status >= 200 && this.status < 300; }
  text() { return this.real.text(); }
  json() { return this.real.json(); }
  arrayBuffer() { return this.real.arrayBuffer(); }
}
Object.setPrototypeOf(Answer.prototype, Response.prototype);

class NodeIncoming implements Incoming {
  readonly #message: IncomingMessage;
  constructor(message: IncomingMessage) {
    this.#message = message;
  }
  get method() { return this.#message.method as string; }
  get target() { return this.#message.url as string; }
  get headers() { return this.#message.rawHeaders; }
  get length() {
    const text = headerOf(this.#message.rawHeaders, 'content-length');
    return text === undefined ? undefined : Number(text);
  }
  get hasBody() { return (this.length ?? 0) > 0 || headerOf(this.#message.rawHeaders, 'transfer-encoding') !== undefined; }
  #signal: AbortSignal | undefined;
  get signal() {
    if (this.#signal === undefined) {
      const controller = new AbortController();
      this.#signal = controller.signal;
      this.#message.once('close', () => { if (!this.#message.complete) controller.abort(); });
    }
    return this.#signal;
  }
  bytes(limit: number): Promise<Uint8Array> {
    if (!this.hasBody) return Promise.resolve(nothing);
    const message = this.#message;
    if (limit > 0 && (this.length ?? 0) > limit) return Promise.reject(new BodyTooLarge());
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let total = 0;
      message.on('data', (part: Buffer) => {
        total += part.length;
        if (limit > 0 && total > limit) { message.removeAllListeners('data'); message.resume(); reject(new BodyTooLarge()); }
        else parts.push(part);
      });
      message.once('end', () => resolve(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, total)));
      message.once('close', () => { if (!message.complete) reject(new BodyBroken('unexpected EOF')); });
      message.once('error', () => reject(new BodyBroken('unexpected EOF')));
    });
  }
  stream(limit: number): ReadableStream<Uint8Array> {
    void limit;
    return Readable.toWeb(this.#message) as ReadableStream<Uint8Array>;
  }
  respond(status: number, headers: RawHeaders, body: Answer['content']): Response {
    return new Answer(status, headers, body) as unknown as Response;
  }
}
const nothing = new Uint8Array(0);

/** Starts nothing: the caller listens. */
export function createListener(handle: HandleCall, options: { maxHeaderBytes: number }): Server {
  return createServer({ maxHeaderSize: options.maxHeaderBytes, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 10_000 }, (message, response) => {
    const incoming = new NodeIncoming(message);
    Promise.resolve(handle(incoming, incoming as unknown as Request)).then(
      (answer) => write(response, answer),
      () => response.destroy(),
    );
  });
}

function write(response: ServerResponse, answer: Response): void {
  if (!(answer instanceof Answer)) throw new Error('answers are made by Incoming.respond');
  const { status, list, content } = answer as unknown as Answer;
  if (content === null || typeof content === 'string' || content instanceof Uint8Array) {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    if (status !== 204 && status !== 304) list.push('Content-Length', String(bytes?.length ?? 0));
    response.writeHead(status, list);
    response.end(bytes ?? undefined);
    return;
  }
  response.writeHead(status, list);
  Readable.fromWeb(content as Parameters<typeof Readable.fromWeb>[0]).pipe(response);
}
