// HTTP that is counted on its way: calls to this sidecar's API, requests to the app, health probes of it.
import { headerOf, HttpFailure, type HttpPort, type HttpRequest, type HttpResponse, type Incoming } from '../../../core/host.ts';
import type { Endpoints } from '../../../blocks/invoke/endpoints.ts';
import { now, nowExactly, sinceThen } from '../../../core/meter.ts';
import { tellingEnd } from '../../../core/stream-end.ts';
import { utf8Length } from '../../../core/utf8-length.ts';
import { sizeOf } from '../../http/answer-size.ts';
import type { CallCounter, HttpCall } from '../../http/call.ts';
import type { HttpMeter } from './http.ts';

export function countCalls(meter: HttpMeter): CallCounter {
  const countStream = ({ incoming, startedAt }: HttpCall, status: number, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> =>
    tellingEnd(body, (bytes) => meter.served(incoming.method, incoming.target, status, lengthOf(incoming), bytes, nowExactly() - startedAt));
  return (call, status, headers, body) => {
    const { incoming, startedAt } = call;
    const bytes = sizeOf(headers, body);
    if (bytes === undefined) return countStream(call, status, body as ReadableStream<Uint8Array>);
    meter.served(incoming.method, incoming.target, status, lengthOf(incoming), bytes, sinceThen(startedAt) - startedAt);
    return body;
  };
}
/** Bytes of a request's body, as far as it says. */
const lengthOf = (incoming: Incoming): number => (incoming.hasBody ? (incoming.length ?? 0) : 0);

/** The app's HTTP, each request counted. One whose caller went away before the answer has no outcome. */
export function countRequests(http: HttpPort, meter: HttpMeter): HttpPort {
  return {
    ...http,
    send: (request) => counted(meter, request.path, request, () => http.send(request)),
  };
}

/** Calls of HTTPEndpoints and URLs count as such requests too, under the path the caller named: that of the base URL is not in it. */
export function countOutside(endpoints: Endpoints, meter: HttpMeter): Endpoints {
  return {
    ...endpoints,
    call: (name, request, context) => counted(meter, `/${request.path}`, request, () => endpoints.call(name, request, context)),
    callUrl: (url, request, context) => counted(meter, `/${request.path}`, request, () => endpoints.callUrl(url, request, context)),
  };
}

function counted(meter: HttpMeter, target: string, { method, headers, body }: Pick<HttpRequest, 'method' | 'headers' | 'body'>, send: () => Promise<HttpResponse>): Promise<HttpResponse> {
  const startedAt = now();
  meter.sent(method, target, body instanceof Uint8Array ? body.length : typeof body === 'string' ? utf8Length(body) : body === null || body === undefined ? 0 : Number(headerOf(headers, 'content-length') ?? 0));
  return send().then(
    (response) => {
      meter.answered(method, target, response.status, bytesOf(response), startedAt);
      return response;
    },
    (error: unknown) => {
      if (!wasAborted(error)) meter.answered(method, target, 500, undefined, startedAt);
      throw error;
    },
  );
}

const wasAborted = (error: unknown): boolean => error instanceof HttpFailure ? error.kind === 'aborted' : error instanceof Error && error.cause instanceof HttpFailure && error.cause.kind === 'aborted';

export function countProbes(http: HttpPort, meter: HttpMeter): HttpPort {
  return {
    ...http,
    send: async (request) => {
      const startedAt = now();
      try {
        const response = await http.send(request);
        meter.probed(response.status, startedAt);
        return response;
      } catch (error) {
        meter.probed(500, startedAt);
        throw error;
      }
    },
  };
}

function bytesOf({ body, headers }: HttpResponse): number | undefined {
  if (body instanceof Uint8Array) return body.length;
  if (body === null) return 0;
  const declared = headerOf(headers, 'content-length');
  return declared === undefined ? undefined : Number(declared);
}
