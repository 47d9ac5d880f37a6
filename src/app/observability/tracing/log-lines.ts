// Spans as lines of the log (Dapr: tracing.stdout; pkg/diagnostics/utils/trace_utils.go).
import type { Logger } from '../../../core/log.ts';
import type { SpanExporter } from './batch.ts';

export function logExporter(log: Logger): SpanExporter {
  const scoped = log.scope('dapr.runtime.trace');
  return {
    name: 'the log',
    export: async (spans) => {
      for (const { name, traceId, parentId, spanId, startMs, endMs } of spans) {
        scoped.info(`[${name}] Trace: ${traceId} Span: ${parentId || '0000000000000000'}/${spanId} Time: [${time(startMs)} ->  ${time(endMs)}] Annotations: []`);
      }
    },
  };
}

/** As Go prints a time: `2026-11-21 14:48:02.123456 +0000 UTC`. */
function time(ms: number): string {
  const whole = Math.floor(ms);
  const [date, clock] = new Date(whole).toISOString().slice(0, -1).split('T') as [string, string];
  const micro = String(Math.min(999, Math.floor((ms - whole) * 1000))).padStart(3, '0');
  return `${date} ${`${clock}${micro}`.replace(/\.?0+$/, '')} +0000 UTC`;
}
