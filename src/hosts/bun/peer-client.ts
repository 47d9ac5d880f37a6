// Outbound calls to other sidecars on Bun: over one WebSocket to each where the other side is on Bun, too, else over HTTP.
// A call on Bun's fetch costs several times what a message does, and calls made at the same time share their writes.
import { HttpFailure, type HttpPort, type HttpRequest, type HttpResponse, type RawHeaders } from '../../core/host.ts';
import { callFrame, cancelFrame, frameWriter, maxMessageBody, peerProtocol, pickUpHeader, readFrames } from './peer-frames.ts';

/** Milliseconds until a sidecar that took no WebSocket is asked again: it may be another by then. */
const askAgain = 5 * 60_000;
/** From here on callers are watched: to watch one costs more than a fast call. */
const watchAfter = 50;
/** Bytes that may wait to be sent before calls go over HTTP instead. */
const maxWaiting = 8 * 1024 * 1024;

interface Call {
  request: HttpRequest;
  resolve(response: HttpResponse | Promise<HttpResponse>): void;
  reject(failure: HttpFailure): void;
  since: number;
  /** Ends the watch over the caller, once there is one. */
  unwatch: (() => void) | undefined;
}
interface Line {
  /** Bytes that wait to be sent. */
  readonly waiting: number;
  call(request: HttpRequest): Promise<HttpResponse>;
  close(): void;
}
interface Peer {
  /** undefined: calls go over HTTP. */
  line: Line | undefined;
  /** When a WebSocket may be tried, as performance.now(). */
  tryAt: number;
}

export function createPeerClient(http: HttpPort): HttpPort & { close(): Promise<void> } {
  const peers = new Map<string, Peer>();
  const lines = new Set<Line>();

  const open = (origin: string, peer: Peer): void => {
    peer.tryAt = performance.now() + askAgain;
    const leave = () => {
      if (peer.line === line) peer.line = undefined;
      peer.tryAt = 0;
    };
    const line: Line = openLine(origin, http, {
      onOpen: () => { peer.line = line; },
      onLeaving: leave,
      onClose: (wasOpen) => {
        lines.delete(line);
        if (wasOpen) leave();
      },
    });
    lines.add(line);
  };

  return {
    send: async (request) => {
      const { origin, body } = request;
      let peer = peers.get(origin);
      const line = peer?.line;
      if (line !== undefined && !(body instanceof ReadableStream) && typeof body !== 'string' && (body?.length ?? 0) <= maxMessageBody && line.waiting <= maxWaiting) return line.call(request);
      const response = await http.send(request);
      // Somebody is there who understands calls between sidecars, or the leg above will say otherwise.
      if (peer === undefined) {
        if (peers.size >= 1024) peers.clear();
        peers.set(origin, (peer = { line: undefined, tryAt: 0 }));
      }
      if (peer.line === undefined && performance.now() >= peer.tryAt) open(origin, peer);
      return response;
    },
    close: async () => {
      for (const line of lines) line.close();
    },
  };
}

function openLine(origin: string, http: HttpPort, { onOpen, onLeaving, onClose }: { onOpen(): void; onLeaving(): void; onClose(wasOpen: boolean): void }): Line {
  const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/`, peerProtocol);
  socket.binaryType = 'nodebuffer' as BinaryType; // Bun's own: no copy
  const calls = new Map<number, Call>();
  const frames = frameWriter((message) => { if (socket.readyState === WebSocket.OPEN) socket.send(message); });
  let ids = 0;
  let wasOpen = false;
  let watching: ReturnType<typeof setTimeout> | undefined;

  const watchSlow = () => {
    const before = performance.now() - watchAfter;
    for (const [id, call] of calls) if (call.since <= before && call.unwatch === undefined) watch(id, call);
    watching = calls.size > 0 ? setTimeout(watchSlow, watchAfter) : undefined;
  };
  const watch = (id: number, call: Call) => {
    const signal = call.request.signal ?? call.request.gone?.();
    const leave = () => {
      if (!calls.delete(id)) return;
      frames.write(cancelFrame(id));
      call.reject(new HttpFailure('aborted', 'context canceled'));
    };
    call.unwatch = () => signal?.removeEventListener('abort', leave);
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
  };
  const pickUp = async ({ gone, maxHeaderBytes, signal }: HttpRequest, ticket: string, status: number, headers: RawHeaders): Promise<HttpResponse> => {
    const { body } = await http.send({ method: 'GET', origin, path: '/', headers: [pickUpHeader, ticket], ...(gone ? { gone } : {}), ...(signal ? { signal } : {}), ...(maxHeaderBytes === undefined ? {} : { maxHeaderBytes }) });
    return { status, headers, body };
  };

  socket.onopen = () => {
    wasOpen = true;
    onOpen();
  };
  socket.onmessage = ({ data }) => {
    const received = typeof data === 'string' ? undefined : readFrames(data as Buffer);
    if (received === undefined) return socket.close();
    for (const frame of received) {
      if (frame.kind === 'leaving') onLeaving();
      if (frame.kind !== 'answer') continue;
      const call = calls.get(frame.id);
      if (call === undefined) continue; // cancelled
      calls.delete(frame.id);
      call.unwatch?.();
      const { status, headers, body, ticket } = frame;
      call.resolve(ticket === undefined ? { status, headers, body } : pickUp(call.request, ticket, status, headers));
    }
  };
  socket.onclose = () => {
    clearTimeout(watching);
    onClose(wasOpen);
    for (const call of calls.values()) {
      call.unwatch?.();
      call.reject(new HttpFailure('reset', 'EOF'));
    }
    calls.clear();
  };

  return {
    get waiting() { return socket.bufferedAmount; },
    call: (request) => new Promise((resolve, reject) => {
      const id = (ids = (ids + 1) >>> 0);
      calls.set(id, { request, resolve, reject, since: performance.now(), unwatch: undefined });
      watching ??= setTimeout(watchSlow, watchAfter);
      frames.write(callFrame(id, request.method, request.path, request.headers, (request.body as Uint8Array | null | undefined) ?? null));
    }),
    close: () => socket.close(),
  };
}
