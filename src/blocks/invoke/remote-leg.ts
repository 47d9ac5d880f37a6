// The way from one sidecar to another: what a transport must offer, and how a refusal of the other side is told.
import type { CallContext } from '../../core/context.ts';
import type { GrpcCode } from '../../core/errors.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';

/** The sidecar a call comes from: what access rules look at, and what the app is told. */
export interface Sender {
  appId: string;
  namespace: string;
  /** Address and name of its machine, '' where unknown. */
  address: string;
  hostname: string;
}

export interface RemoteRequest {
  sender: Sender;
  /** App id that is called. */
  calleeId: string;
  /** Verb the app is to see. */
  method: string;
  /** Path with leading `/` and query, encoded as the app is to see it. */
  path: string;
  /** The caller's as the app is to get them, without those that speak of the sender: the callee's sidecar adds them (headers.ts senderHeaders). */
  headers: RawHeaders;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
}

/** One transport between sidecars. Today there is the private HTTP/1.1 leg; the gRPC leg to Go sidecars comes behind the same words. */
export interface RemoteLeg {
  /** `address` is `host:port` of the other sidecar's internal listener. The answer is the app's; rejects with RemoteFailure. */
  call(address: string, request: RemoteRequest, context: CallContext): Promise<HttpResponse>;
}

/** The other sidecar, or the way to it, gave no answer of an app. The text is the one a gRPC client in Go would print. */
export class RemoteFailure extends Error {
  override name = 'RemoteFailure';
  readonly code: GrpcCode;
  /** What the other side said, without the code around it. */
  readonly reason: string;
  constructor(code: GrpcCode, reason: string, cause?: unknown) {
    super(`rpc error: code = ${code} desc = ${reason}`, { cause });
    this.code = code;
    this.reason = reason;
  }
}

/** Worth another try over a fresh connection. Source: dapr/pkg/messaging/direct_messaging.go invokeWithRetry. */
export const isTransient = (failure: RemoteFailure): boolean => failure.code === 'Unavailable' || failure.code === 'Unauthenticated';
