// Outbound calls to other sidecars on Bun: over one WebSocket to each where the other side is on Bun, too, else over HTTP.
// A call on Bun's fetch costs several times what a message does, and calls made at the same time share their writes.
import { HttpFailure, type HttpPort, type HttpRequest, type HttpResponse } from '../../core/host.ts';
import { callFrame, cancelFrame, maxMessageBody, peerProtocol, pickUpHeader, readFrame } from './peer-frames.ts';

/** Milliseconds until a sidecar that took no WebSocket is asked again: it may be another by then. */
const askAgain = 5 * 60_000;
/** From here on callers are watched: to watch one costs more than a fast call. */
const watchAfter = 50;
/** Bytes that may wait to be sent before calls go over HTTP instead. */
const maxWaiting = 8 * 1024 * 1024;

interface Pending {
  request: HttpRequest;
  resolve(response: HttpResponse | Promise<HttpResponse>): void;
  reject(failure: HttpFailure): void;
  /** Ends the watch over the caller. */
  unwatch?: () => void;
  since: number;
}
interface Peer {
  /** undefined: calls go over HTTP. */
  socket: WebSocket | undefined;
  /** When a socket may be tried, as performance.now(). */
  tryAt: number;
}

export function createPeerClient(http: HttpPort): HttpPort & { close(): Promise<void> } {
  const peers = new Map<string, Peer>();
  const sockets = new Set<WebSocket>();
  const pending = new Map<WebSocket, Map<number, Pending>>();
  let ids = 0;

  const open = (origin: string, peer: Peer): void => {
    peer.tryAt = performance.now() + askAgain;
    const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/`, peerProtocol);
    socket.binaryType = 'nodebuffer' as BinaryType; // Bun's own: no copy
    sockets.add(socket);
    const calls = new Map<number, Pending>();
    pending.set(socket, calls);
    let watching: ReturnType<typeof setTimeout> | undefined;
    const watchSlow = () => {
      watching = undefined;
      const before = performance.now() - watchAfter;
      for (const [id, call] of calls) if (call.since <= before && call.unwatch === undefined) watch(socket, calls, id, call);
      if (calls.size > 0) watching = setTimeout(watchSlow, watchAfter);
    };
    socket.onopen = () => { peer.socket = socket; };
    socket.onmessage = ({ data }) => {
      const frame = readFrame(data as Buffer);
      if (frame === undefined) return socket.close();
      if (frame.kind === 'leaving') {
        if (peer.socket === socket) peer.socket = undefined;
        peer.tryAt = 0;
      }
      if (frame.kind !== 'answer') return;
      const call = calls.get(frame.id);
      if (call === undefined) return; // cancelled
      calls.delete(frame.id);
      call.unwatch?.();
      const { status, headers, body } = frame;
      call.resolve(frame.ticket === undefined ? { status, headers, body } : pickUp(call.request, frame.ticket, status, headers));
    };
    socket.onclose = () => {
      sockets.delete(socket);
      pending.delete(socket);
      clearTimeout(watching);
      if (peer.socket === socket) {
        peer.socket = undefined;
        peer.tryAt = 0;
      }
      for (const call of calls.values()) {
        call.unwatch?.();
        call.reject(new HttpFailure('reset', 'EOF'));
      }
      calls.clear();
    };
    slow.set(socket, () => { watching ??= setTimeout(watchSlow, watchAfter); });
  };
  const slow = new WeakMap<WebSocket, () => void>();

  const pickUp = async (request: HttpRequest, ticket: string, status: number, headers: string[]): Promise<HttpResponse> => {
    const { body } = await http.send({ method: 'GET', origin: request.origin, path: '/', headers: [pickUpHeader, ticket], ...(request.gone ? { gone: request.gone } : {}), ...(request.maxHeaderBytes === undefined ? {} : { maxHeaderBytes: request.maxHeaderBytes }) });
    return { status, headers, body };
  };

  const overSocket = (socket: WebSocket, request: HttpRequest): Promise<HttpResponse> => {
    const calls = pending.get(socket) as Map<number, Pending>;
    const id = (ids = (ids + 1) >>> 0);
    return new Promise((resolve, reject) => {
      calls.set(id, { request, resolve, reject, since: performance.now() });
      slow.get(socket)?.();
      socket.send(callFrame(id, request.method, request.path, request.headers, request.body as Uint8Array | null | undefined ?? null));
    });
  };

  return {
    send: async (request) => {
      const { origin, body } = request;
      let peer = peers.get(origin);
      const socket = peer?.socket;
      if (socket !== undefined && !(body instanceof ReadableStream) && (body?.length ?? 0) <= maxMessageBody && socket.bufferedAmount <= maxWaiting) return overSocket(socket, request);
      const response = await http.send(request);
      // Somebody is there who understands calls between sidecars, or the leg above will say otherwise.
      if (peer === undefined) {
        if (peers.size >= 1024) peers.clear();
        peers.set(origin, (peer = { socket: undefined, tryAt: 0 }));
      }
      if (peer.socket === undefined && performance.now() >= peer.tryAt) open(origin, peer);
      return response;
    },
    close: async () => {
      for (const socket of sockets) socket.close();
    },
  };
}

function watch(socket: WebSocket, calls: Map<number, Pending>, id: number, call: Pending): void {
  const signal = call.request.signal ?? call.request.gone?.();
  const leave = () => {
    if (!calls.delete(id)) return;
    socket.send(cancelFrame(id));
    call.reject(new HttpFailure('aborted', 'context canceled'));
  };
  call.unwatch = () => signal?.removeEventListener('abort', leave);
  if (signal?.aborted) leave();
  else signal?.addEventListener('abort', leave, { once: true });
}
