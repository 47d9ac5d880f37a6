// The service invocation building block: finds out who is meant, sends the call there and brings the answer back.
import type { CallContext } from '../../core/context.ts';
import { DaprError, fail, textOf } from '../../core/errors.ts';
import type { HttpResponse, RawHeaders } from '../../core/host.ts';
import type { Addresses } from './addresses.ts';
import type { AppChannel } from './app-channel.ts';
import { delivered, unpacked } from './deliver.ts';
import type { Endpoints } from './endpoints.ts';
import type { Logger } from '../../core/log.ts';
import { Final } from '../resiliency/failures.ts';
import type { Resiliency } from '../resiliency/resiliency.ts';
import { type ForwardedHeaders, requestHeaders } from './headers.ts';
import { encodeMethod, MethodRefused, normalizeMethod } from './method.ts';
import { isTransient, RemoteFailure, type RemoteLeg, type Sender } from './remote-leg.ts';
import { invokeUnder } from './resilient.ts';
import { targetOf } from './target.ts';

export interface InvokeRequest {
  /** As the caller wrote it: app id, `app.namespace`, HTTPEndpoint name or URL. */
  id: string;
  /** Decoded path without leading slash, as a byte string. */
  method: string;
  verb: string;
  /** Without `?`. */
  query: string;
  headers: RawHeaders;
  body: Uint8Array | ReadableStream<Uint8Array> | null;
  /** Length of a body that comes as a stream; undefined with a stream: not known, so it is sent once and never again. */
  length: number | undefined;
}

export interface InvokeResponse extends HttpResponse {
  /** It came over the leg from another sidecar. */
  remote: boolean;
}

export interface InvokeBlock {
  /** Rejects with the rows `invoke` and `invokeDenied`. */
  invoke(request: InvokeRequest, context: CallContext): Promise<InvokeResponse>;
}

export interface InvokeOptions {
  appId: string;
  /** Environment NAMESPACE, '' when unset: others then know this sidecar in `default`. */
  namespace: string;
  /** undefined without an app port. */
  channel(): AppChannel | undefined;
  addresses: Addresses;
  endpoints: Endpoints;
  leg: RemoteLeg;
  resiliency: Resiliency;
  log: Logger;
  /** Shown to apps of other sidecars in the forwarding headers. */
  hostAddress: string;
  hostname: string;
  /** False where the sidecar checks `dapr-api-token` itself; the header then ends here. */
  passApiToken: boolean;
  /** The trace in the call's context is a span of this sidecar's own. */
  ownSpans: boolean;
}

const verbs = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']);

export function createInvokeBlock({ appId: ownId, namespace, channel, addresses, endpoints, leg, resiliency, log, hostAddress, hostname, passApiToken, ownSpans }: InvokeOptions): InvokeBlock {
  const ownNamespace = namespace === '' ? 'default' : namespace;
  const sender: Sender = { appId: ownId, namespace: ownNamespace, address: hostAddress, hostname };

  const call = async ({ id, method, verb, query, headers, body, length }: InvokeRequest, context: CallContext): Promise<InvokeResponse> => {
    const cleaned = methodOf(method);
    const target = targetOf(id, ownNamespace, endpoints.has);
    if (target === undefined) throw new Error(`invalid app id ${id}`);
    const verbOfApp = verbOf(verb);
    const forwarded = requestHeaders(headers, verbOfApp, passApiToken, context.traceparent === '' ? 'none' : ownSpans ? 'span' : 'echo');
    if (length !== undefined && body instanceof ReadableStream) forwarded.list.push('Content-Length', String(length));
    const question = query === '' ? '' : `?${query}`;

    if (target.kind !== 'app') {
      addresses.checkPresent();
      const base = target.kind === 'url' ? target.url : '';
      const request = { method: verbOfApp, path: encodeMethod(cleaned, base), query: question, headers: forwarded.list, mayUnpack: forwarded.mayUnpack, body };
      const response = await (target.kind === 'url' ? endpoints.callUrl(base, request, context) : endpoints.call(target.name, request, context));
      return { ...response, remote: false };
    }
    if (target.appId === ownId && target.namespace === ownNamespace) {
      addresses.check(target.appId, target.namespace);
      const app = channel();
      if (app === undefined) throw new Error('cannot invoke local endpoint: app channel not initialized');
      if (!app.healthy) throw new RemoteFailure('Internal', 'app is not in a healthy state');
      const path = `/${encodeMethod(cleaned, app.origin)}${question}`;
      const response = await delivered(verbOfApp, () => app.origin + path, forwarded.mayUnpack, () => app.send({ method: verbOfApp, path, headers: forwarded.list, body }, context));
      return { status: response.status, headers: response.headers, body: response.body, remote: false };
    }
    return remote(target.appId, target.namespace, { sender, calleeId: target.appId, method: verbOfApp, path: `/${encodeMethod(cleaned, '')}${question}`, headers: traced(forwarded, context), body }, body instanceof ReadableStream && length === undefined, forwarded.mayUnpack, context);
  };

  const remote = async (appId: string, appNamespace: string, request: Parameters<RemoteLeg['call']>[1], streaming: boolean, mayUnpack: boolean, context: CallContext): Promise<InvokeResponse> => {
    const once = async (limited: CallContext): Promise<InvokeResponse> => {
      const address = addresses.known(appId, appNamespace) ?? (await addresses.find(appId, appNamespace));
      try {
        const answered = await leg.call(address, request, limited);
        const response = mayUnpack ? unpacked(answered) : answered;
        return { status: response.status, headers: response.headers, body: response.body, remote: true };
      } catch (error) {
        if (isUnreached(error)) addresses.drop(appId, appNamespace, address);
        throw error;
      }
    };
    try {
      return await once(context);
    } catch (error) {
      // A stream of unknown length is sent once; a target with policies of its own is left to them.
      if (!isUnreached(error) || streaming || resiliency.isTarget(appId)) throw error;
      return resiliency.builtIn('DaprBuiltInServiceRetries').run(context, async (limited, attempt) => {
        try {
          if (attempt.number === 1) throw error;
          return await once(limited);
        } catch (failure) {
          if (!isUnreached(failure)) throw new Final(failure);
          // a stream that has been read cannot be sent again; bytes can
          if (!isReplayable(request.body)) attempt.last();
          throw new Error(`failed to invoke target ${appId} after ${attempt.number - 1} retries. Error: ${failure.message}`, { cause: failure });
        }
      });
    }
  };

  /** What a circuit breaker is kept for; all calls of an HTTPEndpoint have one. */
  const operationOf = ({ id, method }: InvokeRequest): string =>
    id.startsWith('http://') || id.startsWith('https://') ? `${id}/${method}` : `${id}:${endpoints.has(id) ? endpoints.baseUrl(id) : method}`;

  return {
    invoke: async (request, context) => {
      try {
        const policy = resiliency.app(request.id)?.(operationOf(request));
        return await (policy ? invokeUnder(policy, request, context, call, log) : call(request, context));
      } catch (error) {
        if (error instanceof DaprError) throw error;
        throw fail(error instanceof RemoteFailure && error.code === 'PermissionDenied' ? 'invokeDenied' : 'invoke', { appId: request.id, error: textOf(error) }, { cause: error });
      }
    },
  };
}

/** The clean method, or the refusal in the words of the RPC that would carry it. */
function methodOf(method: string): string {
  try {
    return normalizeMethod(method);
  } catch (error) {
    throw error instanceof MethodRefused ? new RemoteFailure('InvalidArgument', error.message) : error;
  }
}

/** Dapr carries the verb as a number: what has none arrives as POST. */
function verbOf(verb: string): string {
  const upper = verb.toUpperCase();
  if (upper === 'CONNECT') throw new RemoteFailure('InvalidArgument', 'invalid HTTP verb');
  return verbs.has(upper) ? upper : 'POST';
}

/** The trace goes with the call where the caller's own headers do not carry it. */
function traced({ list }: ForwardedHeaders, { traceparent, tracestate, baggage }: CallContext): RawHeaders {
  let isTraced = false;
  let isBurdened = false;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] === 'Traceparent') isTraced = true;
    else if (list[i] === 'Baggage') isBurdened = true;
  }
  if (!isTraced && traceparent !== '') {
    list.push('Traceparent', traceparent);
    if (tracestate !== '') list.push('Tracestate', tracestate);
  }
  if (!isBurdened && baggage !== '') list.push('Baggage', baggage);
  return list;
}

const isUnreached = (error: unknown): error is RemoteFailure => error instanceof RemoteFailure && isTransient(error);
const isReplayable = (body: InvokeRequest['body']): boolean => !(body instanceof ReadableStream) || !body.locked;
