// What every call to the main port passes before it is routed: trace context, baggage, CORS, API token.
import { baggageProblem } from '../../core/baggage.ts';
import type { CallContext } from '../../core/context.ts';
import { headerOf, type Incoming, type RawHeaders } from '../../core/host.ts';
import { freshTraceparent, newSpan, readTraceparent, readTracestate, type TracingMode, zeroTraceparent } from '../../core/traceparent.ts';

/** Several baggage headers count as one, their values joined by commas. */
function joinedBaggage(headers: RawHeaders): string {
  let joined = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 7 && name.toLowerCase() === 'baggage') joined += joined === '' ? headers[i + 1] : `,${headers[i + 1]}`;
  }
  return joined;
}

/** The signal is the listener's own, asked for only by those who need it. (A class: each object literal with a getter would get a hidden class of its own.) */
class ApiContext implements CallContext {
  // not #private, see FetchIncoming
  private readonly incoming: Incoming;
  private given: string | undefined;
  readonly tracestate: string;
  readonly baggage: string;
  constructor(incoming: Incoming, traceparent: string | undefined, tracestate: string, baggage: string) {
    this.incoming = incoming;
    this.given = traceparent;
    this.tracestate = tracestate;
    this.baggage = baggage;
  }
  get signal(): AbortSignal { return this.incoming.signal; }
  get traceparent(): string {
    this.given ??= freshTraceparent();
    return this.given;
  }
}
/** `traceparent` undefined: a fresh one for those who ask. */
export const contextOf = (incoming: Incoming, traceparent: string | undefined, tracestate: string, baggage: string): CallContext => new ApiContext(incoming, traceparent, tracestate, baggage);

export interface Trace {
  context: CallContext;
  /** The caller's traceparent, '' where it has none. */
  parent: string;
  /** Headers for the answer. */
  headers: readonly string[];
  /** Set where the call is refused: 400 text. */
  refusal?: string;
}

/**
 * In `spans` mode the call has a span of its own, a child of the caller's; else the caller's trace is handed on.
 * Where the caller has none, calls of the app get a fresh unsampled one, but the answer says what daprd says: all zeros, that is, no trace.
 */
export function traceOf(incoming: Incoming, mode: Exclude<TracingMode, 'off'>, samplingRate: number): Trace {
  const given = readTraceparent(incoming.header('traceparent'));
  const parent = given ?? '';
  const traceparent = mode === 'spans' ? newSpan(parent, samplingRate) : given;
  const tracestate = given === undefined ? '' : readTracestate(incoming.header('tracestate'));
  const baggage = incoming.header('baggage') === undefined ? '' : joinedBaggage(incoming.headers);
  if (traceparent === undefined && baggage === '') return { context: contextOf(incoming, undefined, '', ''), parent, headers: untraced };
  const out: RawHeaders = ['Traceparent', traceparent ?? zeroTraceparent];
  if (tracestate !== '' && tracestate.length <= longestTracestate) out.push('Tracestate', tracestate);
  if (baggage !== '') {
    const problem = baggageProblem(baggage);
    // Refused before the call has a span: the answer names none.
    if (problem !== undefined) return { context: contextOf(incoming, traceparent, tracestate, ''), parent, headers: [], refusal: `invalid baggage header: ${problem}` };
    out.push('Baggage', baggage);
  }
  return { context: contextOf(incoming, traceparent, tracestate, baggage), parent, headers: out };
}
/** What most calls are answered. */
const untraced: readonly string[] = ['Traceparent', zeroTraceparent];
/** Longer ones are not sent on (dapr/pkg/diagnostics/consts). */
const longestTracestate = 512;

export interface Cors {
  /** Headers of an actual answer. */
  actual(incoming: Incoming): RawHeaders;
  /** Headers of a preflight's 200; undefined when the call is none. */
  preflight(incoming: Incoming): RawHeaders | undefined;
}

const methods = new Set(['HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const canonical = (name: string) => name.toLowerCase().replace(/(^|-)[a-z]/g, (c) => c.toUpperCase());

/** CORS as go-chi/cors with Dapr's options decorates it; nothing is ever blocked. undefined: switched off. */
export function createCors(allowedOrigins: string): Cors | undefined {
  if (allowedOrigins === '') return undefined;
  const entries = allowedOrigins.split(',').map((entry) => entry.toLowerCase());
  const all = entries.includes('*');
  const allowed = (origin: string) => all || entries.some((entry) => {
    const star = entry.indexOf('*');
    const low = origin.toLowerCase();
    return star < 0 ? entry === low : low.length >= entry.length - 1 && low.startsWith(entry.slice(0, star)) && low.endsWith(entry.slice(star + 1));
  });
  const originHeaders = (origin: string): RawHeaders => ['Access-Control-Allow-Origin', all ? '*' : origin];
  return {
    actual: ({ headers, method }) => {
      const origin = headerOf(headers, 'origin');
      return ['Vary', 'Origin', ...(origin !== undefined && methods.has(method) && allowed(origin) ? originHeaders(origin) : [])];
    },
    preflight: ({ headers, method }) => {
      const requested = headerOf(headers, 'access-control-request-method');
      if (method !== 'OPTIONS' || !requested) return undefined;
      const out: RawHeaders = ['Vary', 'Origin', 'Vary', 'Access-Control-Request-Method', 'Vary', 'Access-Control-Request-Headers'];
      const origin = headerOf(headers, 'origin');
      if (origin === undefined || !allowed(origin) || !methods.has(requested.toUpperCase())) return out;
      out.push(...originHeaders(origin), 'Access-Control-Allow-Methods', requested.toUpperCase());
      const wanted = headerOf(headers, 'access-control-request-headers');
      if (wanted) out.push('Access-Control-Allow-Headers', wanted.split(',').map((h) => canonical(h.trim())).filter(Boolean).join(', '));
      return out;
    },
  };
}
