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

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
/** True for a version 00 traceparent with ids that are not all zero. */
export function isTraceparent(text: string): boolean {
  const match = shape.exec(text);
  return match !== null && match[1] !== 'ff' && !/^0+$/.test(match[2] as string) && !/^0+$/.test(match[3] as string);
}

/** What upstream prints for a span without ids. */
export const zeroTraceparent = '00-00000000000000000000000000000000-0000000000000000-00';

/** The traceparent of a new span: a child of `parent` where that is valid (and sampled like it), else the root of a new trace. */
export function newSpan(parent: string, rate: number): string {
  if (isTraceparent(parent)) return `${parent.slice(0, 36)}${hex(8)}${parent.slice(52)}`;
  return `00-${hex(16)}-${hex(8)}-${Math.random() < rate ? '01' : '00'}`;
}

// Ids of unsampled traces need to be unique, not secret: a random start and a counter cost far less than 24 random bytes a call.
let seed: { trace: string; next: number } | undefined;
/** A new trace that nobody samples. */
export function freshTraceparent(): string {
  if (seed === undefined || seed.next > 0xffff_fffe) seed = { trace: hex(12), next: 0 };
  const count = (++seed.next).toString(16).padStart(8, '0');
  return `00-${seed.trace}${count}-${seed.trace.slice(0, 8)}${count}-00`;
}

const digits = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
function hex(bytes: number): string {
  let out = '';
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) out += digits[byte];
  return out;
}
