// What Node, Bun and Deno each bring to run the sidecar as a process; everything else the three share through node:*.
import type { HandleCall } from '../../app/http/api.ts';
import type { HttpPort, RuntimeName } from '../../core/host.ts';

/** Where a listener listens: a TCP address ('' = all interfaces, IPv4 and IPv6; IPv6 without brackets) or a socket file. */
export type ListenAt = { host: string; port: number } | { path: string };

export interface Listener {
  /** The port really taken (0 for a socket file). */
  readonly port: number;
  /** Takes no more connections at once, resolves when every request in hand is answered. Idle connections are closed. */
  close(): Promise<void>;
  /** Cuts every connection. */
  destroy(): void;
}

export interface Platform {
  readonly runtime: RuntimeName;
  /** `maxHeaderBytes`: longest header block of an answer. */
  createHttp(options: { maxHeaderBytes: number }): HttpPort & { close?(): Promise<void> };
  /** `http2`: HTTP/2 without TLS as well, where the runtime leaves the choice; default true. Rejects with the system's error (EADDRINUSE, EACCES, …) where the address cannot be taken. */
  listen(handle: HandleCall, at: ListenAt, options: { maxHeaderBytes: number; http2?: boolean }): Promise<Listener>;
}
