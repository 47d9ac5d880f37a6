// The span of a call of the HTTP API: its name and attributes, known when the answer is (Dapr: pkg/diagnostics/http_tracing.go).
import { textOfBytes } from '../../../blocks/invoke/method.ts';
import { type HttpCall, segment } from '../../http/call.ts';
import { decodedPath } from '../../http/path.ts';
import { errorOfStatus, type Span, SpanKind, type SpanRecorder } from './span.ts';

/** Notes the call where its trace is sampled. `parent`: the caller's traceparent, '' for none. */
export function startApiSpan(recorder: SpanRecorder, call: HttpCall, parent: string): void {
  const { traceparent, tracestate } = call.context;
  const span = recorder.start(SpanKind.CLIENT, decodedPath(call.incoming.target), traceparent, parent, tracestate);
  // the call at the end may be a copy of this one: middleware changes calls
  if (span !== undefined) call.answered = (answered, status) => endApiSpan(span, answered, status);
}

function endApiSpan(span: Span, call: HttpCall, status: number): void {
  const { method, target, peer } = call.incoming;
  const path = decodedPath(target);
  const attributes: [string, string][] = [...ownHeaders(call)];
  const name = describe(call, `${method} ${path}`, attributes);
  attributes.push(['dapr.protocol', 'http'], ['dapr.api', `${method} ${path}`], ['dapr.status_code', String(status)], ['http.request.method', method], ['url.full', target]);
  if (peer !== undefined) {
    // Dapr calls the caller the server
    const colon = peer.lastIndexOf(':');
    attributes.push(['server.address', peer.slice(0, colon).replace(/^\[|\]$/g, '')], ['server.port', peer.slice(colon + 1)]);
  }
  span.end({ attributes, error: errorOfStatus(status), ...(name === undefined ? {} : { name }) });
}

/** Headers `dapr-…` are the caller's way to mark a span. The API token is none of them, though daprd shows it; neither is an app id that was used. */
function* ownHeaders({ incoming: { headers }, invoked }: HttpCall): Generator<[string, string]> {
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (name.startsWith('dapr-') && name !== 'dapr-api-token' && !(name === 'dapr-app-id' && invoked !== undefined)) yield [name, headers[i + 1] as string];
  }
}

/** What the span says of the building block, by the group of the route; the name, where it is not the path. */
function describe(call: HttpCall, statement: string, attributes: [string, string][]): string | undefined {
  const { route } = call;
  const database = (system: string, name: string) => attributes.push(['db.system', system], ['db.connection_string', system], ['db.statement', statement], ['db.name', name]);
  const rpc = (peer: string) => attributes.push(['rpc.service', 'ServiceInvocation'], ['net.peer.name', peer]);
  if (route === undefined) {
    if (call.invoked === undefined) return undefined;
    rpc(call.invoked);
    return `CallLocal/${call.invoked}/${textOfBytes(call.invokedMethod ?? '')}`;
  }
  switch (route.group.slice(0, route.group.indexOf('/'))) {
    case 'state': database('state', segment(call, 2)); break;
    case 'secrets': database('secrets', segment(call, 2)); break;
    case 'bindings': database('bindings', segment(call, 2)); break;
    case 'publish': attributes.push(['messaging.system', 'pubsub']); break;
    case 'actors': {
      const type = segment(call, 2);
      const actor = `${type}.${segment(call, 3)}`;
      const called = route.name === 'InvokeActor';
      if (called) rpc(actor);
      else if (/ActorState/.test(route.name)) database('state', 'actor');
      else break;
      attributes.push(['dapr.actor', actor]);
      return called ? `CallActor/${type}/${segment(call, 5)}` : undefined;
    }
  }
  return undefined;
}
