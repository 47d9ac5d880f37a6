// The sidecar-to-sidecar listener: takes calls of Outrigger's private HTTP leg for the own app, and nothing else.
import type { AccessControl } from '../../blocks/invoke/access.ts';
import type { AppChannel } from '../../blocks/invoke/app-channel.ts';
import { legRequestHeaders, responseHeaders, senderHeaders } from '../../blocks/invoke/headers.ts';
import { type Envelope, failureHeader, legHeader, legVersion, readEnvelope } from '../../blocks/invoke/leg-headers.ts';
import { receiveCall } from '../../blocks/invoke/receive.ts';
import { RemoteFailure } from '../../blocks/invoke/remote-leg.ts';
import { textOf } from '../../core/errors.ts';
import type { InvocationMeter } from '../../core/meter.ts';
import { headerOf, type HttpResponse, type Incoming, type RawHeaders } from '../../core/host.ts';
import { newSpan, readTracestate } from '../../core/traceparent.ts';
import type { HandleCall } from '../http/api.ts';
import { contextOf } from '../http/gate.ts';
import { decodedPath, splitTarget } from '../http/path.ts';
import { type Span, SpanKind } from '../observability/tracing/span.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';

const smallBody = 256 * 1024;
/** What a call without an answer of the app is counted under, as in daprd. */
const grpcInternal = 13;

export interface InternalOptions extends TracingRules {
  /** The own app, for the names of spans. */
  appId: string;
  channel(): AppChannel | undefined;
  /** Bytes a body may have, 0 = no limit. */
  maxBodyBytes: number;
  /** undefined: everybody may call. */
  access?: AccessControl | undefined;
  /** undefined: nobody counts. */
  meter?: InvocationMeter | undefined;
}

export function createInternalHandler({ appId, channel, maxBodyBytes, tracing, samplingRate, recorder, meter, access }: InternalOptions): HandleCall {
  /** Few senders call often: what their marker says is read once. */
  const envelopes = new Map<string, Envelope & { headers: RawHeaders }>();
  const envelopeOf = (marker: string) => {
    let found = envelopes.get(marker);
    if (found !== undefined) return found;
    const read = readEnvelope(marker);
    if (read === undefined) return undefined;
    found = { ...read, headers: senderHeaders(read.sender, read.calleeId) };
    if (envelopes.size < 1024) envelopes.set(marker, found);
    return found;
  };
  return async (incoming) => {
    const { headers } = incoming;
    const marker = headerOf(headers, legHeader);
    const envelope = marker === undefined ? undefined : envelopeOf(marker);
    // Anybody who finds this port could otherwise reach the app past every check of the API.
    if (envelope === undefined) return incoming.respond(421, ['Content-Type', 'text/plain; charset=utf-8'], 'This port is for Outrigger sidecars only.\n');
    if (envelope.version !== legVersion) return failed(incoming, new RemoteFailure('Unimplemented', `this sidecar speaks version ${legVersion} of the protocol between sidecars, not ${envelope.version}`));
    const { path, query } = splitTarget(incoming.target);
    const { length } = incoming;
    const app = channel();
    const counting = app === undefined ? undefined : meter;
    counting?.received(envelope.sender.appId);
    let response: HttpResponse;
    let span: Span | undefined;
    try {
      const list = legRequestHeaders(headers);
      list.push(...envelope.headers);
      if (tracing === 'spans') {
        const { traceparent, parent } = startSpan(list, samplingRate);
        span = recorder?.start(SpanKind.SERVER, `CallLocal/${appId}/${decodedPath(path).slice(1)}`, traceparent, parent, readTracestate(headerOf(headers, 'tracestate')));
      }
      let body: Uint8Array | ReadableStream<Uint8Array> | null = null;
      if (incoming.hasBody) {
        if (length !== undefined && length <= smallBody) body = await incoming.bytes(maxBodyBytes);
        else {
          body = incoming.stream(maxBodyBytes);
          if (length !== undefined) list.push('Content-Length', String(length));
        }
      }
      response = await receiveCall(app, { verb: incoming.method, path, query, headers: list, body }, contextOf(incoming, '', '', ''), access); // the trace travels in the headers
      if (span !== undefined) endSpan(span, path, '');
    } catch (error) {
      const failure = error instanceof RemoteFailure ? error : new RemoteFailure('Internal', textOf(error), error);
      if (span !== undefined) endSpan(span, path, failure.reason);
      counting?.replied(envelope.sender.appId, grpcInternal);
      return failed(incoming, failure);
    }
    counting?.replied(envelope.sender.appId, response.status);
    const { list, contentType } = responseHeaders(response.headers);
    if (contentType !== undefined) list.push('Content-Type', contentType);
    return incoming.respond(response.status, marked(list), response.body);
  };
}

/** This hop is a span of its own, child of the caller's sidecar's. */
function startSpan(list: RawHeaders, samplingRate: number): { traceparent: string; parent: string } {
  for (let i = 0; i < list.length; i += 2) {
    if ((list[i] as string).toLowerCase() !== 'traceparent') continue;
    const parent = list[i + 1] as string;
    return { traceparent: (list[i + 1] = newSpan(parent, samplingRate)), parent };
  }
  const traceparent = newSpan('', samplingRate);
  list.push('Traceparent', traceparent);
  return { traceparent, parent: '' };
}

/** What Dapr says of the RPC this leg stands for: whoever looks for calls between sidecars looks for these. */
const rpcAttributes = [['rpc.service', 'ServiceInvocation'], ['dapr.protocol', 'grpc'], ['dapr.api', '/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream']] as const;
const endSpan = (span: Span, path: string, error: string) => span.end({ attributes: [...rpcAttributes, ['dapr.invoke_method', decodedPath(path).slice(1)]], error });

const marked = (list: RawHeaders): RawHeaders => { list.push(legHeader, legVersion); return list; };
const failed = (incoming: Incoming, { code, reason }: RemoteFailure): Response => incoming.respond(500, marked([failureHeader, code, 'Content-Type', 'text/plain; charset=utf-8']), reason);
