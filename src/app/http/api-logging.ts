// One log line per API call (Dapr: pkg/api/http/server.go, useAPILogging): what was called, the answer's code and size, how long it took.
import type { Incoming, RawHeaders } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { tellingEnd } from '../../core/stream-end.ts';
import { type HttpCall, type Route, segment } from './call.ts';

export interface ApiLogOptions {
  log: Logger;
  /** The operation's name in place of the path, so that no keys get into the log. */
  obfuscateUrls: boolean;
  omitHealthChecks: boolean;
  /** Whether the name of a call to an actor has its id (Dapr: as metrics have, spec.metrics.http.increasedCardinality). Default true. */
  actorIds?: boolean | undefined;
}

/** Called with each answer of an API whose calls come in as `Measured`. A streamed answer is told when its last byte is gone. */
export function createApiLog({ log, obfuscateUrls, omitHealthChecks, actorIds = true }: ApiLogOptions): (call: HttpCall, route: Route | undefined, response: Response, startedAt: number) => void {
  const scoped = log.scope('dapr.runtime.http-info');
  return (call, route, response, startedAt) => {
    if (omitHealthChecks && route?.name.startsWith('Healthz')) return;
    const { incoming } = call;
    const useragent = incoming.header('user-agent') ?? '';
    const tell = (size: number) =>
      // always: the log level does not silence it
      scoped.always('HTTP API Called', {
        method: obfuscateUrls ? nameOf(call, route, actorIds) : `${incoming.method} ${decoded(call.path)}`,
        code: response.status, size, duration: Date.now() - startedAt, ...(useragent ? { useragent } : {}),
      });
    if (!(incoming instanceof Measured)) tell(0);
    else if (typeof incoming.sent === 'number') tell(incoming.sent);
    else incoming.sent.then(tell, () => tell(0));
  };
}

/** An invocation is named with the app it goes to, once that is known, or with the actor. */
function nameOf(call: HttpCall, route: Route | undefined, actorIds: boolean): string {
  if (route === undefined) return call.invoked === undefined ? 'InvokeService' : `InvokeService/${call.invoked}`;
  return route.name === 'InvokeActor' ? `InvokeActor/${segment(call, 2)}${actorIds ? `.${segment(call, 3)}` : ''}` : route.name;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A request that notes how many bytes its answer's body has. */
export class Measured implements Incoming {
  readonly #inner: Incoming;
  /** Bytes, or a promise of them where the body is a stream. */
  sent: number | Promise<number> = 0;
  constructor(inner: Incoming) {
    this.#inner = inner;
  }
  get method() { return this.#inner.method; }
  get target() { return this.#inner.target; }
  get headers() { return this.#inner.headers; }
  header(name: string) { return this.#inner.header(name); }
  get length() { return this.#inner.length; }
  get hasBody() { return this.#inner.hasBody; }
  get signal() { return this.#inner.signal; }
  get peer() { return this.#inner.peer; }
  bytes(limit: number) { return this.#inner.bytes(limit); }
  stream(limit: number) { return this.#inner.stream(limit); }
  respond(status: number, headers: RawHeaders, body: Uint8Array | string | ReadableStream<Uint8Array> | null): Response {
    if (!(body instanceof ReadableStream)) {
      this.sent = body === null ? 0 : typeof body === 'string' ? new TextEncoder().encode(body).length : body.length;
      return this.#inner.respond(status, headers, body);
    }
    let counting = body;
    this.sent = new Promise((done) => {
      counting = tellingEnd(body, done);
    });
    return this.#inner.respond(status, headers, counting);
  }
}
