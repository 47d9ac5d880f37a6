// The ports a host offers: everything the core may ask of the world it runs in. A missing port is a missing capability.

export type RuntimeName = 'node' | 'bun' | 'deno' | 'workers';

export interface Host {
  /** For messages and the support matrix only; behaviour hangs on the ports below, never on the name. */
  readonly runtime: RuntimeName;
  /** Environment variables (a Worker's text bindings). Read only. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Name of the machine, shown as `instance` in logs. */
  readonly hostname: string;
  /** Address other sidecars reach this one at, Dapr's HOST_ADDRESS. */
  readonly address: string;
  readonly http: HttpPort;
  readonly files?: FilesPort;
  /** Present where files can be written. */
  readonly disk?: DiskPort;
  readonly sqlite?: SqlitePort;
  /** Present where the host is a process of its own. */
  readonly process?: ProcessPort;
  /** Present where outbound TCP sockets exist. */
  readonly tcp?: TcpPort;
  /** Present where HTTP/2 connections can be made that show the trailers of an answer (gRPC). */
  readonly http2?: Http2Port;
  /** Present where UDP multicast exists (mDNS). */
  readonly multicast?: MulticastPort;
  /** Platform objects that are not text: a Worker's KV, D1, Durable Object, Queue and service bindings, by name. */
  readonly objects?: Readonly<Record<string, unknown>>;
  /** How many outbound calls one fan-out may have in flight (Workers allow 6 connections). */
  readonly maxParallel: number;
  /** True where background work outlives a request: subscriptions, timers, input bindings. */
  readonly background: boolean;
  /** Writes one finished log line (without line break). */
  write(line: string): void;
}

export interface FilesPort {
  /** Whole file; throws an Error whose message names the path. */
  read(path: string): Promise<Uint8Array>;
  /** Names in a directory, byte-wise sorted; symbolic links count as what they point to. */
  list(path: string): Promise<{ name: string; kind: 'file' | 'directory' | 'other' }[]>;
  /** Absolute path; relative ones start where the sidecar was started. */
  resolve(path: string): string;
  /**
   * Calls back when something may have changed in that directory itself (directories inside do not count), rather too often than not
   * at all; a directory that is replaced by another of its name has to be watched anew. Throws where it cannot be watched.
   */
  watch?(path: string, onChange: () => void): { close(): void };
}

/** A file system with `/` in its paths. Everything rejects with an Error whose message names the path and Go's words for what is wrong. */
export interface DiskPort {
  /** Absolute path without `.` and `..`; relative ones start where the sidecar was started. */
  resolve(path: string): string;
  /** What stands there itself, links not followed; undefined: nothing. */
  kind(path: string): Promise<'file' | 'directory' | 'link' | 'other' | undefined>;
  readLink(path: string): Promise<string>;
  /** The path with all its links resolved. */
  realPath(path: string): Promise<string>;
  /** Names in a directory, byte-wise sorted. */
  names(path: string): Promise<string[]>;
  read(path: string): Promise<Uint8Array>;
  /** Replaces what was there. */
  write(path: string, data: Uint8Array): Promise<void>;
  /** With all its parents; one that is there already is fine. */
  makeFolder(path: string): Promise<void>;
  /** A file or an empty directory. */
  remove(path: string): Promise<void>;
}

/** The process as its host sees it, for metrics; what a system does not tell is undefined. */
export interface ProcessPort {
  /** Name and version of the runtime. */
  readonly version: string;
  /** Seconds since 1970. */
  readonly startTimeSeconds: number;
  facts(): ProcessFacts;
}
export interface ProcessFacts {
  heapUsedBytes: number;
  heapTotalBytes: number;
  residentBytes: number;
  virtualBytes: number | undefined;
  virtualMaxBytes: number | undefined;
  cpuSeconds: number;
  threads: number | undefined;
  openFds: number | undefined;
  maxFds: number | undefined;
  /** Sockets, timers and the like that keep the runtime busy. */
  activities: number | undefined;
}

export interface TcpPort {
  /** Opens and closes a connection: true when something listens there (with TLS: after a handshake without verification). */
  probe(host: string, port: number, options: { timeoutMs: number; tls?: boolean }): Promise<boolean>;
}

/** Synchronous, as in SQLite itself. Parameters: text, number, bigint, bytes, null. Whatever fails throws SqliteFailure. */
export interface SqlitePort {
  /** `path` may be a `file:` URI with SQLite's own parameters. busyTimeoutMs: how long a statement blocks while somebody else holds the lock; default 2000. */
  open(path: string, options?: { readOnly?: boolean; busyTimeoutMs?: number }): Promise<SqliteDatabase>;
}
/** SQLite said no. `code` is its primary result code: 5 and 6 mean that somebody else holds the lock. */
export class SqliteFailure extends Error {
  override name = 'SqliteFailure';
  readonly code: number;
  constructor(code: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}
export type SqliteValue = string | number | bigint | Uint8Array | null;
export interface SqliteStatement {
  run(...parameters: SqliteValue[]): { changes: number };
  get(...parameters: SqliteValue[]): Record<string, SqliteValue> | undefined;
  all(...parameters: SqliteValue[]): Record<string, SqliteValue>[];
}
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

/** A datagram socket joined to mDNS's groups on 5353 (224.0.0.251, ff02::fb). Packets are DNS messages in wire form. */
export interface MulticastPort {
  join(onPacket: (packet: Uint8Array, from: { address: string; port: number }) => void): Promise<{ send(packet: Uint8Array, to?: { address: string; port: number }): void; close(): void }>;
}

/** Flat name, value, name, value… in the order and spelling of the wire; repeated names stay repeated. */
export type RawHeaders = string[];

export interface HttpRequest {
  method: string;
  /** `http://host:port` or `https://…`, without a path. */
  origin: string;
  /** Path and query exactly as they go on the wire. */
  path: string;
  headers: RawHeaders;
  /** Bytes and texts (as UTF-8) go out with Content-Length, a stream chunked unless `headers` names a length. */
  body?: Uint8Array | string | ReadableStream<Uint8Array> | null;
  signal?: AbortSignal;
  /** Like `signal`, but made and looked at only when no answer has come within some 50 ms: to watch a caller costs more than a fast call. */
  gone?: () => AbortSignal | undefined;
  /** Server certificate is not checked (an app behind https). */
  insecure?: boolean;
  /** `servername`: the name the server is asked for and must prove, where it is not the one in `origin`. */
  tls?: { ca?: string; cert?: string; key?: string; servername?: string };
  /** HTTP/2 without TLS, by prior knowledge (an app with protocol h2c). */
  h2c?: boolean;
  /** HTTP/2 over TLS, where host and server have it; else HTTP/1.1. */
  h2?: boolean;
  /** Default false: a 3xx comes back as it is. */
  followRedirects?: boolean;
  /** Longest header block of the answer in bytes; default is the client's own limit. */
  maxHeaderBytes?: number;
}
export interface HttpResponse {
  status: number;
  headers: RawHeaders;
  /** Bytes where the answer is small and of known length, else a stream; null without a body. Never decompressed. */
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}
export interface HttpPort {
  /** Rejects with HttpFailure when no answer came. */
  send(request: HttpRequest): Promise<HttpResponse>;
}
/** No answer: the connection was refused, reset, timed out or could not be made. */
export class HttpFailure extends Error {
  override name = 'HttpFailure';
  readonly kind: 'refused' | 'reset' | 'timeout' | 'aborted' | 'other';
  constructor(kind: HttpFailure['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

export interface Http2Port {
  /** Connects when something is posted, and again when the connection was lost. `http://…` is HTTP/2 by prior knowledge. */
  connect(origin: string, tls?: HttpRequest['tls']): Http2Connection;
}
export interface Http2Connection {
  /** Resolves when the answer is whole; its body is small (a unary gRPC answer). Rejects with HttpFailure. */
  post(request: { path: string; headers: RawHeaders; body: Uint8Array; signal: AbortSignal }): Promise<{ status: number; headers: RawHeaders; body: Uint8Array; trailers: RawHeaders }>;
  close(): void;
}

/**
 * A request as the host received it: what Web `Request` cannot say (raw target, header order, repeats) and cheap ways to its body.
 * Hosts with only fetch build it from the Request (app/http/incoming.ts).
 */
export interface Incoming {
  readonly method: string;
  /** Request target as on the wire: `/v1.0/state/s/a%2Fb?x=y`. */
  readonly target: string;
  readonly headers: RawHeaders;
  /** First value of a header (hosts with only fetch: all of them joined); the cheap way to one header. `name` in lower case. */
  header(name: string): string | undefined;
  /** Content-Length, undefined when chunked or absent. */
  readonly length: number | undefined;
  /** True when a body is announced (a length above 0 or chunks). */
  readonly hasBody: boolean;
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal;
  /** `ip:port` of the caller, `[ip]:port` for IPv6; absent where the host does not know it. */
  readonly peer?: string | undefined;
  /** Whole body; rejects with BodyTooLarge above the limit (0 = none), BodyBroken when it ends early or is malformed. */
  bytes(limit: number): Promise<Uint8Array>;
  /** The body as a stream under the same limit. */
  stream(limit: number): ReadableStream<Uint8Array>;
  /** Makes the answer in the host's cheapest form. */
  respond(status: number, headers: RawHeaders, body: Uint8Array | string | ReadableStream<Uint8Array> | null): Response;
}
export class BodyTooLarge extends Error {
  override name = 'BodyTooLarge';
  /** What came up to the limit, where a whole body was asked for: decoders that stop at the end of the first value never see the rest. */
  readonly received: Uint8Array | undefined;
  constructor(received?: Uint8Array) {
    super('stream too large'); // Dapr's words, dapr/kit streams/limitreadcloser.go
    this.received = received;
  }
}
export class BodyBroken extends Error {
  override name = 'BodyBroken';
}

/** `name` in any case. */
export function hasHeader(headers: readonly string[], name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const at = headers[i] as string;
    if (at.length === name.length && (at === name || at.toLowerCase() === name.toLowerCase())) return true;
  }
  return false;
}

/** The headers but those of these names, which are in lower case. */
export const withoutHeaders = (headers: readonly string[], names: readonly string[]): RawHeaders => headers.filter((_, i) => !names.includes((headers[i - (i % 2)] as string).toLowerCase()));

/** What is said of a packed body, and no longer true of the unpacked one. */
export const packedHeaders: readonly string[] = ['content-encoding', 'content-length'];

/** First value of a header, undefined when absent. `name` in lower case. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const at = headers[i] as string;
    if (at.length === name.length && (at === name || at.toLowerCase() === name)) return headers[i + 1];
  }
  return undefined;
}
