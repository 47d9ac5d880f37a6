// W3C traceparent texts: what is valid, and the ids of spans this sidecar starts.

/**
 * What the Configuration's `tracing` section asks for:
 * `off` a sampling rate of 0: nothing is read, made or sent on; `echo` neither rate nor exporter: the caller's trace is handed on;
 * `spans` a rate or an exporter is set: every step has a span of its own.
 */
export type TracingMode = 'off' | 'echo' | 'spans';

export function tracingMode(tracing: { samplingRate: string; stdout: boolean; zipkin?: { endpointAddress: string } | undefined; otel?: { endpointAddress?: string | undefined; protocol?: string | undefined } | undefined }): TracingMode {
  const rate = tracing.samplingRate.trim();
  if (rate !== '' && Number(rate) === 0) return 'off';
  const exporter = tracing.stdout || Boolean(tracing.zipkin?.endpointAddress) || Boolean(tracing.otel?.endpointAddress && tracing.otel.protocol);
  return rate !== '' || exporter ? 'spans' : 'echo';
}
/** Dapr's default where the rate is missing or no number. Source: dapr/pkg/diagnostics/utils/trace_utils.go. */
const defaultRate = 1e-4;
export const samplingRateOf = (text: string): number => (text.trim() === '' || Number.isNaN(Number(text)) ? defaultRate : Number(text));

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const noTrace = '0'.repeat(32);
const noSpan = '0'.repeat(16);
/**
 * The traceparent a text stands for, in version 00, the one this sidecar writes; undefined where it is none (W3C Trace Context §3.2.2:
 * ids are not all zeros, version ff is forbidden, later versions may carry more fields, version 00 has four).
 */
export function readTraceparent(text: string | undefined): string | undefined {
  const match = text === undefined ? null : shape.exec(text);
  if (match === null) return undefined;
  const [, version, trace, span, flags, more] = match;
  if (version === 'ff' || trace === noTrace || span === noSpan) return undefined;
  if (version === '00') return more === undefined ? text : undefined;
  return `00-${trace}-${span}-${flags}`;
}
export const isTraceparent = (text: string): boolean => readTraceparent(text) !== undefined;
/** Whether the trace of a valid traceparent is recorded: the last bit of its flags. */
export const isSampled = (traceparent: string): boolean => '13579bdf'.includes(traceparent.charAt(54) || ' ');

const member = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
/** A tracestate without blanks around its members, as OpenTelemetry for Go prints it; '' where it breaks the rules (§3.3) and so counts as none. */
export function readTracestate(text: string | undefined): string {
  if (text === undefined || text === '') return '';
  const seen = new Set<string>();
  const members: string[] = [];
  for (const part of text.split(',')) {
    const one = part.replace(/^[ \t]+|[ \t]+$/g, '');
    if (one === '') continue;
    const name = one.slice(0, one.indexOf('='));
    if (!member.test(one) || seen.has(name) || seen.size >= 32) return '';
    seen.add(name);
    members.push(one);
  }
  return members.join(',');
}

/** What upstream prints for a span without ids. */
export const zeroTraceparent = '00-00000000000000000000000000000000-0000000000000000-00';

/** The traceparent of a new span: a child of `parent` where that is valid (and sampled like it), else the root of a new trace. */
export function newSpan(parent: string, rate: number): string {
  const known = readTraceparent(parent);
  if (known !== undefined) return `${known.slice(0, 36)}${hex(8)}${known.slice(52)}`;
  return `00-${hex(16)}-${hex(8)}-${Math.random() < rate ? '01' : '00'}`;
}

// Ids of unsampled traces need to be unique, not secret: a random start and a counter cost far less than 24 random bytes a call.
let seed: { trace: string; next: number } | undefined;
/** A new trace that nobody samples. */
export function freshTraceparent(): string {
  if (seed === undefined || seed.next > 0x1_ffff_fffe) seed = { trace: hex(12), next: 0x1_0000_0000 };
  const count = (++seed.next).toString(16).slice(1);
  return `00-${seed.trace}${count}-${seed.trace.slice(0, 8)}${count}-00`;
}

const digits = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
// Asking for random bytes costs more than using them, so they are asked for by the thousand.
let pool: Uint8Array<ArrayBuffer> | undefined;
let used = 0;
function hex(bytes: number): string {
  if (pool === undefined || used + bytes > pool.length) {
    pool ??= new Uint8Array(4096);
    crypto.getRandomValues(pool);
    used = 0;
  }
  let out = '';
  for (const end = used + bytes; used < end; used++) out += digits[pool[used] as number];
  return out;
}
