// Which trace an event carries that a call of the API publishes.
import { readTraceparent, type TracingMode } from '../../core/traceparent.ts';
import type { EventTrace } from '../../blocks/pubsub/pubsub.ts';
import { header, type HttpCall } from './call.ts';

export const untraced: EventTrace = { traceparent: '', tracestate: '' };

/** In `echo` mode the event carries the caller's trace only; a trace made up for the answer would lead nowhere. */
export function callerTrace(call: HttpCall, tracing: TracingMode): EventTrace {
  if (tracing === 'off') return untraced;
  const { traceparent, tracestate } = call.context;
  if (tracing === 'spans') return { traceparent, tracestate };
  const given = readTraceparent(header(call, 'traceparent'));
  return given === undefined ? untraced : { traceparent: given, tracestate };
}
