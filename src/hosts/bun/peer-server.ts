// Calls from other sidecars on Bun that come as messages of a WebSocket: each goes through the same handler as one that came over HTTP.
import type { HandleCall } from '../../app/http/api.ts';
import { BodyTooLarge, headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import { rewound } from '../../core/stream-rewound.ts';
import { answerElsewhereFrame, answerFrame, frameWriter, leavingFrame, maxMessageBody, peerProtocol, pickUpHeader, readFrames } from './peer-frames.ts';

/** What of Bun's ServerWebSocket is used. */
export interface PeerSocket {
  data: { calls: Map<number, PeerIncoming>; frames: ReturnType<typeof frameWriter> | undefined };
  sendBinary(data: Uint8Array): number;
  close(code?: number): void;
}
export interface Upgrading {
  upgrade(request: Request, options: { data: PeerSocket['data']; headers?: Record<string, string> }): boolean;
}

/** Milliseconds a large answer waits to be fetched. */
const patience = 30_000;
/** Milliseconds in which a body of unknown length may end and still travel as a message; an event stream does not wait longer for its way. */
const gathering = 5;
const elsewhere = new Response(null);

export interface PeerServer {
  /** undefined: an ordinary request; null: taken. */
  take(request: Request, server: Upgrading): Response | null | undefined;
  readonly websocket: {
    maxPayloadLength: number;
    backpressureLimit: number;
    closeOnBackpressureLimit: boolean;
    idleTimeout: number;
    perMessageDeflate: boolean;
    open(socket: PeerSocket): void;
    message(socket: PeerSocket, data: Buffer): void;
    close(socket: PeerSocket): void;
  };
  /** Resolves when the calls in hand are answered and the sockets closed. */
  close(): Promise<void>;
}

export function createPeerServer(handle: HandleCall): PeerServer {
  const sockets = new Set<PeerSocket>();
  const waiting = new Map<string, { body: ReadableStream<Uint8Array>; timer: ReturnType<typeof setTimeout> }>();
  let inHand = 0;
  let closing: (() => void) | undefined;
  const ended = () => {
    if (--inHand === 0) closing?.();
  };

  /** A body that is no message is fetched over HTTP, under a name nobody can guess. */
  const leave = (body: ReadableStream<Uint8Array>): string => {
    const ticket = crypto.randomUUID();
    const timer = setTimeout(() => {
      waiting.delete(ticket);
      body.cancel().catch(() => {});
      ended();
    }, patience);
    inHand++;
    waiting.set(ticket, { body, timer });
    return ticket;
  };

  const serve = async (socket: PeerSocket, id: number, incoming: PeerIncoming): Promise<void> => {
    inHand++;
    socket.data.calls.set(id, incoming);
    try {
      await handle(incoming);
      const { status, headers } = incoming.answer;
      let { body } = incoming.answer;
      if (body instanceof ReadableStream) body = await gathered(body);
      if (!socket.data.calls.has(id)) {
        if (body instanceof ReadableStream) await body.cancel();
      } else if (body instanceof ReadableStream) socket.data.frames?.write(answerElsewhereFrame(id, status, headers, leave(body)));
      else if (body !== null && body.length > maxMessageBody) socket.data.frames?.write(answerElsewhereFrame(id, status, headers, leave(new Blob([body as Uint8Array<ArrayBuffer>]).stream())));
      else socket.data.frames?.write(answerFrame(id, status, headers, body));
    } catch {
      socket.close(1011); // the caller is told that the call broke off
    } finally {
      socket.data.calls.delete(id);
      ended();
    }
  };

  return {
    take: (request, server) => {
      const { headers } = request;
      const ticket = headers.get(pickUpHeader);
      if (ticket !== null) {
        const found = waiting.get(ticket);
        if (found === undefined) return new Response(null, { status: 404 });
        waiting.delete(ticket);
        clearTimeout(found.timer);
        ended();
        return new Response(found.body);
      }
      if (headers.get('sec-websocket-protocol') !== peerProtocol) return undefined;
      if (closing !== undefined) return new Response(null, { status: 503 });
      return server.upgrade(request, { data: { calls: new Map(), frames: undefined }, headers: { 'Sec-WebSocket-Protocol': peerProtocol } }) ? null : undefined;
    },
    websocket: {
      maxPayloadLength: 4 * 1024 * 1024,
      backpressureLimit: 64 * 1024 * 1024,
      closeOnBackpressureLimit: true, // else answers would be dropped without a word
      idleTimeout: 120,
      perMessageDeflate: false,
      open: (socket) => {
        sockets.add(socket);
        socket.data.frames = frameWriter((message) => { socket.sendBinary(message); });
      },
      message: (socket, data) => {
        const frames = typeof data === 'string' ? undefined : readFrames(data);
        if (frames === undefined) return socket.close(1002);
        for (const frame of frames) {
          if (frame.kind === 'call') void serve(socket, frame.id, new PeerIncoming(frame.method, frame.path, frame.headers, frame.body));
          else if (frame.kind === 'cancel') {
            socket.data.calls.get(frame.id)?.leave();
            socket.data.calls.delete(frame.id);
          }
        }
      },
      close: (socket) => {
        sockets.delete(socket);
        socket.data.frames = undefined;
        for (const call of socket.data.calls.values()) call.leave();
        socket.data.calls.clear();
      },
    },
    close: async () => {
      const answered = new Promise<void>((resolve) => { closing = resolve; });
      for (const socket of sockets) socket.data.frames?.write(leavingFrame());
      if (inHand > 0) await answered;
      for (const socket of sockets) {
        socket.data.frames?.flush();
        socket.close(1001);
      }
    },
  };
}

/** The whole body where it is small and comes at once, else a stream of all of it. */
async function gathered(stream: ReadableStream<Uint8Array>): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => { timer = setTimeout(resolve, gathering, undefined); });
  let next = reader.read();
  while (size <= maxMessageBody) {
    const part = await Promise.race([next.catch(() => undefined), late]);
    if (part === undefined) break;
    if (part.done) {
      clearTimeout(timer);
      return Buffer.concat(parts, size);
    }
    parts.push(part.value);
    size += part.value.length;
    next = reader.read();
  }
  clearTimeout(timer);
  return rewound(reader, parts, next);
}

interface Answer {
  status: number;
  headers: RawHeaders;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

class PeerIncoming implements Incoming {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  answer: Answer = { status: 500, headers: [], body: null };
  private readonly body: Uint8Array | null;
  private controller: AbortController | undefined;
  private isGone = false;
  constructor(method: string, target: string, headers: RawHeaders, body: Uint8Array | null) {
    this.method = method;
    this.target = target;
    this.headers = headers;
    this.body = body;
  }
  header(name: string): string | undefined { return headerOf(this.headers, name); }
  get length(): number { return this.body?.length ?? 0; }
  get hasBody(): boolean { return this.body !== null && this.body.length > 0; }
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.isGone) this.controller.abort();
    return this.controller.signal;
  }
  /** The caller has given the call up. Not told any more once it has its answer, or where to fetch it. */
  leave(): void {
    this.isGone = true;
    this.controller?.abort();
  }
  async bytes(limit: number): Promise<Uint8Array> {
    if (limit > 0 && this.length > limit) throw new BodyTooLarge();
    return this.body === null ? new Uint8Array(0) : this.body.slice(); // the message's memory is the socket's
  }
  stream(limit: number): ReadableStream<Uint8Array> {
    const bytes = this.bytes(limit);
    return new ReadableStream({ start: async (controller) => { controller.enqueue(await bytes); controller.close(); } });
  }
  respond(status: number, headers: RawHeaders, body: Uint8Array | string | ReadableStream<Uint8Array> | null): Response {
    this.answer = { status, headers, body: typeof body === 'string' ? new TextEncoder().encode(body) : body };
    return elsewhere;
  }
}
