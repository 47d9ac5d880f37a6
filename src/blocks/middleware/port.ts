// What an HTTP middleware must provide (Dapr: components-contrib/middleware, dapr/pkg/middleware): it sees a request, answers it or hands it on, and sees the answer.
import type { RawHeaders } from '../../core/host.ts';
import type { Closable, Definition } from '../components/definition.ts';

/** A body nobody has read yet. One of the two ways may be taken, once. Both reject with BodyTooLarge or BodyBroken. */
export interface MiddlewareBody {
  /** Bytes; undefined: not known before it is read. */
  readonly length: number | undefined;
  bytes(): Promise<Uint8Array>;
  stream(): ReadableStream<Uint8Array>;
}

/** Never changed in place: what is to be different goes on as a copy, `next({ ...request, headers })`. */
export interface MiddlewareRequest {
  readonly method: string;
  /** Path and query as on the wire: `/v1.0/state/s/a%2Fb?x=y`. */
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: MiddlewareBody | null;
  /** '' for a call of the API, that of the URL for a call to the app. */
  readonly scheme: '' | 'http' | 'https';
  /** `ip:port` of the caller; '' for a call to the app, and where the host does not tell. */
  readonly remoteAddress: string;
}

/** The list of headers is the receiver's to change. */
export interface MiddlewareAnswer {
  status: number;
  headers: RawHeaders;
  body: Uint8Array | string | ReadableStream<Uint8Array> | null;
}

/** The rest of the pipeline. Rejects where the request could not be made at all (an app that does not answer). */
export type Next = (request: MiddlewareRequest) => Promise<MiddlewareAnswer>;

export interface HttpMiddleware extends Closable {
  handle(request: MiddlewareRequest, next: Next): Promise<MiddlewareAnswer>;
}

export const defineHttpMiddleware = <M>(definition: Omit<Definition<HttpMiddleware, M, never>, 'block' | 'features'>): Definition<HttpMiddleware, M, never> => ({ block: 'middleware', features: [], ...definition });
