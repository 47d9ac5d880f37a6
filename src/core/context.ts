// What travels with one API call through every floor: cancellation and the caller's trace.

export interface CallContext {
  readonly signal?: AbortSignal | undefined;
  /** W3C traceparent of the span this call runs in; empty when tracing is off. */
  readonly traceparent: string;
  readonly tracestate: string;
  /** W3C baggage as received, empty when none. */
  readonly baggage: string;
}

export const background: CallContext = { traceparent: '', tracestate: '', baggage: '' };

/** The same call with another end, which is made when somebody asks for it; what else belongs to the call stays. */
export function withSignal(context: CallContext, signal: () => AbortSignal): CallContext {
  // Asked for before it is inherited: a trace that is made up at the first look must be made up once.
  void context.traceparent;
  return Object.create(context, { signal: { get: signal, enumerable: true } }) as CallContext;
}
