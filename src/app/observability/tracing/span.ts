// A span: one step of a trace, noted while it happens and handed to the exporters when it is over (Dapr: pkg/diagnostics/tracing.go).
import { SpanKind } from '@opentelemetry/api';
import { isSampled, readTraceparent } from '../../../core/traceparent.ts';

export { SpanKind };

export type Attributes = readonly (readonly [name: string, value: string])[];

/** A span that is over, as exporters get it. */
export interface FinishedSpan {
  /** 32 and 16 hex digits; the parent's '' for the first span of a trace. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly tracestate: string;
  /** Trace flags of the W3C, 0 to 255. */
  readonly flags: number;
  readonly kind: SpanKind;
  readonly name: string;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  /** What went wrong, '' where nothing did. */
  readonly error: string;
}

/** A span under way. */
export interface Span {
  /** Ends it; `name` replaces the one it was started with. Later ends change nothing. */
  end(outcome: { name?: string; attributes: Attributes; error?: string }): void;
}

/** Notes spans for the exporters. There is none where nothing is exported, so that nothing is noted either. */
export interface SpanRecorder {
  /**
   * `traceparent` is the span's own, `parent` the one it was made from (anything else counts as none).
   * undefined where the trace is not sampled: nobody wants to see it.
   */
  start(kind: SpanKind, name: string, traceparent: string, parent: string, tracestate: string): Span | undefined;
}

/** How many attributes a span keeps; OpenTelemetry's default. */
const mostAttributes = 128;

class RecordedSpan implements FinishedSpan, Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly tracestate: string;
  readonly flags: number;
  readonly kind: SpanKind;
  readonly startMs = epochMs();
  readonly #done: (span: FinishedSpan) => void;
  name: string;
  endMs = 0;
  attributes: Attributes = [];
  error = '';
  constructor(kind: SpanKind, name: string, traceparent: string, parent: string, tracestate: string, done: (span: FinishedSpan) => void) {
    this.kind = kind;
    this.name = name;
    this.traceId = traceparent.slice(3, 35);
    this.spanId = traceparent.slice(36, 52);
    this.flags = Number.parseInt(traceparent.slice(53, 55), 16);
    this.parentId = readTraceparent(parent)?.slice(36, 52) ?? '';
    this.tracestate = tracestate;
    this.#done = done;
  }
  end({ name, attributes, error }: Parameters<Span['end']>[0]): void {
    if (this.endMs !== 0) return;
    this.endMs = Math.max(this.startMs, epochMs());
    if (name !== undefined) this.name = name;
    this.attributes = unique(attributes);
    this.error = error ?? '';
    this.#done(this);
  }
}

export const createSpanRecorder = (done: (span: FinishedSpan) => void): SpanRecorder => ({
  start: (kind, name, traceparent, parent, tracestate) => (isSampled(traceparent) ? new RecordedSpan(kind, name, traceparent, parent, tracestate, done) : undefined),
});

/** The last value of each name; none that is empty (dapr/pkg/diagnostics AddAttributesToSpan). */
function unique(attributes: Attributes): Attributes {
  const values = new Map<string, string>();
  for (const [name, value] of attributes) if (value !== '') values.set(name, value);
  return [...values].slice(0, mostAttributes);
}

let skew = 0;
/** The time in parts of a millisecond: the fine clock, kept beside the system's, which may be set or have slept. */
function epochMs(): number {
  const fine = performance.timeOrigin + performance.now();
  const rough = Date.now();
  if (Math.abs(fine + skew - rough) > 5) skew = rough - fine;
  return fine + skew;
}

const texts: Readonly<Record<number, string>> = {
  400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable',
  407: 'Proxy Authentication Required', 408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed', 413: 'Request Entity Too Large',
  414: 'Request URI Too Long', 415: 'Unsupported Media Type', 416: 'Requested Range Not Satisfiable', 417: 'Expectation Failed', 418: "I'm a teapot", 421: 'Misdirected Request',
  422: 'Unprocessable Entity', 423: 'Locked', 424: 'Failed Dependency', 425: 'Too Early', 426: 'Upgrade Required', 428: 'Precondition Required', 429: 'Too Many Requests',
  431: 'Request Header Fields Too Large', 451: 'Unavailable For Legal Reasons', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable',
  504: 'Gateway Timeout', 505: 'HTTP Version Not Supported', 506: 'Variant Also Negotiates', 507: 'Insufficient Storage', 508: 'Loop Detected', 510: 'Not Extended',
  511: 'Network Authentication Required',
};
/** The error of a span that ended with this HTTP status: `Code(404): Not Found`; '' below 400. Source: dapr/pkg/diagnostics/http_tracing.go. */
export const errorOfStatus = (status: number): string => (status < 400 ? '' : `Code(${status}): ${texts[status] ?? 'Unknown'}`);
