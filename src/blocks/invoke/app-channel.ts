// The way from the sidecar to its own app, whatever protocol the app speaks.
import type { CallContext } from '../../core/context.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';

export interface AppRequest {
  method: string;
  /** Path with leading `/` and optional query, encoded as it goes on the wire. */
  path: string;
  /** Hop-by-hop headers already removed. */
  headers: RawHeaders;
  /** A text is sent as UTF-8. */
  body: Uint8Array | string | ReadableStream<Uint8Array> | null;
}

export interface AppChannel {
  /** `http://127.0.0.1:8080`, as it appears in messages. */
  readonly origin: string;
  /**
   * Sends one request to the app: adds `dapr-api-token` and trace headers of the context (where the request has none of its own),
   * waits its turn under app-max-concurrency, follows no redirects. Rejects with HttpFailure when the app gave no answer.
   */
  send(request: AppRequest, context: CallContext): Promise<HttpResponse>;
  /** False while app health checks say the app is unhealthy. */
  readonly healthy: boolean;
  close(): Promise<void>;
}
