// spec.httpPipeline around the HTTP API, and spec.appHttpPipeline around the HTTP calls to the app and to HTTP endpoints.
import { bodyOf } from '../../blocks/middleware/body.ts';
import type { Pipeline } from '../../blocks/middleware/pipeline.ts';
import type { MiddlewareAnswer, MiddlewareBody, MiddlewareRequest } from '../../blocks/middleware/port.ts';
import { utf8 } from '../../core/go-json.ts';
import { withoutHeader } from '../../core/headers.ts';
import { headerOf, type HttpPort, type HttpRequest, type HttpResponse, type Incoming, type RawHeaders } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { answer, type HttpCall } from './call.ts';
import { renderError } from './errors.ts';
import type { Loading } from './loading.ts';
import { splitTarget } from './path.ts';

/** What answers a call that has passed the gate. */
export type Serve = (call: HttpCall) => Response | Promise<Response>;

export interface ServerPipelineOptions {
  pipeline: Pipeline;
  /** Calls wait until the components are there; only health checks are answered before, without the pipeline, because they say just that. */
  loading: Loading;
  /** The token of this API ends here. */
  hidesToken: boolean;
  log: Logger;
}

/** Puts the pipeline in front of `serve`. Routes are found by the path as it came: a rewritten one counts for invocation only, as in Dapr. */
export function withPipeline({ pipeline, loading, hidesToken, log }: ServerPipelineOptions): (serve: Serve) => Serve {
  return (serve) => {
    const passed = async (call: HttpCall): Promise<MiddlewareAnswer> => {
      const came = call.incoming;
      const request = requestOf(call, hidesToken);
      return pipeline.run(request, async (changed) => {
        call.incoming = new Passed(came, changed.body === request.body ? changed : { ...changed, headers: relength(changed) });
        call.query = splitTarget(changed.target).query;
        const response = await serve(call);
        return response instanceof Held ? (response as unknown as Held) : { status: response.status, headers: [...response.headers].flat(), body: response.body };
      });
    };
    return async (call) => {
      if (!loading.isDone && /^\/v1\.0\/healthz(\/outbound)?$/.test(call.path)) return serve(call);
      const { incoming: came, answered, counter } = call;
      // What is told of an answer, and counted of it, is that of the one that leaves.
      if (answered !== undefined) delete call.answered;
      if (counter !== undefined) delete call.counter;
      const restore = () => {
        call.incoming = came;
        if (answered !== undefined) call.answered = answered;
        if (counter !== undefined) call.counter = counter;
      };
      try {
        const { status, headers, body } = await loading.hold(passed)(call);
        restore();
        return answer(call, status, headers, body);
      } catch (error) {
        restore();
        return renderError(call, error, log);
      }
    };
  };
}

function requestOf({ incoming, maxBody }: HttpCall, hidesToken: boolean): MiddlewareRequest {
  const body: MiddlewareBody | null = incoming.hasBody ? { length: incoming.length, bytes: () => incoming.bytes(maxBody), stream: () => incoming.stream(maxBody) } : null;
  const headers = hidesToken ? withoutHeader(incoming.headers, 'dapr-api-token') : incoming.headers;
  return { method: incoming.method, target: incoming.target, headers, body, scheme: '', remoteAddress: incoming.peer ?? '' };
}

/** The headers with the length that the body has now. */
function relength({ headers, body }: MiddlewareRequest): RawHeaders {
  const list = withoutHeader(headers, 'content-length');
  return body?.length === undefined ? list : [...list, 'Content-Length', String(body.length)];
}

/** An answer on its way back through the pipeline, where Hono expects a Response. */
class Held implements MiddlewareAnswer {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly body: MiddlewareAnswer['body'];
  constructor(status: number, headers: RawHeaders, body: MiddlewareAnswer['body']) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/** The request as it came out of the pipeline. The limit of its body has been applied where it came in. */
class Passed implements Incoming {
  private readonly came: Incoming;
  private readonly request: MiddlewareRequest;
  constructor(came: Incoming, request: MiddlewareRequest) {
    this.came = came;
    this.request = request;
  }
  get method() { return this.request.method; }
  get target() { return this.request.target; }
  get headers() { return this.request.headers; }
  header(name: string) { return headerOf(this.request.headers, name); }
  get length() { return this.request.body?.length; }
  get hasBody() { return this.request.body !== null; }
  get peer() { return this.came.peer; }
  get signal() { return this.came.signal; }
  bytes() { return this.request.body?.bytes() ?? Promise.resolve(new Uint8Array(0)); }
  stream() { return this.request.body?.stream() ?? new Blob([]).stream(); }
  respond(status: number, headers: RawHeaders, body: MiddlewareAnswer['body']): Response { return new Held(status, headers, body) as unknown as Response; }
}

/** Bodies up to this size travel as bytes, longer ones as streams. */
const smallBody = 256 * 1024;

/** The host's HTTP client behind the pipeline of the app. */
export function pipelinedHttp(http: HttpPort, pipeline: Pipeline): HttpPort {
  return {
    send: async (request) => {
      const body = request.body ? bodyOf(typeof request.body === 'string' ? utf8(request.body) : request.body) : null;
      const { status, headers, body: answered } = await pipeline.run(
        { method: request.method, target: request.path, headers: request.headers, body, scheme: request.origin.startsWith('https:') ? 'https' : 'http', remoteAddress: '' },
        async (changed): Promise<MiddlewareAnswer> => http.send({ ...request, method: changed.method, path: changed.target, ...(await payload(request, body, changed)) }),
      );
      return { status, headers, body: typeof answered === 'string' ? new TextEncoder().encode(answered) : answered } satisfies HttpResponse;
    },
  };
}

/** Headers and body of the call: those it came with, or new ones and the length they have. */
async function payload(original: HttpRequest, given: MiddlewareBody | null, changed: MiddlewareRequest): Promise<Pick<HttpRequest, 'headers' | 'body'>> {
  const { headers, body } = changed;
  if (body === given) return { headers, body: original.body ?? null };
  if (body === null || (body.length !== undefined && body.length <= smallBody)) return { headers: withoutHeader(headers, 'content-length'), body: body === null ? null : await body.bytes() };
  return { headers: relength(changed), body: body.stream() };
}
