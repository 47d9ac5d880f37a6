// Spans on their way out: kept until there are many or some time is over, then exported together; what does not fit is dropped, nobody waits.
import { textOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { pause } from '../../../core/pause.ts';
import type { FinishedSpan } from './span.ts';

export interface SpanExporter {
  /** Where it sends, for the log. */
  readonly name: string;
  /** Rejects when the spans did not arrive; with Retryable where another try may help. */
  export(spans: readonly FinishedSpan[], signal: AbortSignal): Promise<void>;
  close?(): void;
}

/** The collector asks for another try, after so many milliseconds where it says. */
export class Retryable extends Error {
  override name = 'Retryable';
  readonly afterMs: number | undefined;
  constructor(message: string, afterMs?: number, cause?: unknown) {
    super(message, { cause });
    this.afterMs = afterMs;
  }
}

/** OpenTelemetry's batch span processor; each may be set by its variable OTEL_BSP_*. */
export interface BatchLimits {
  /** Spans kept at most; those that come beyond are dropped. Default 2048. */
  maxQueue: number;
  /** Spans in one export. Default 512. */
  maxBatch: number;
  /** How long the first span of a batch waits. Default 5000. */
  delayMs: number;
  /** How long one export may take with all its tries. Default 30000. */
  timeoutMs: number;
}

export interface Batch {
  add(span: FinishedSpan): void;
  /** Exports what is there now; resolves when it is gone, or could not be delivered. Never rejects. */
  flush(): Promise<void>;
  /** Like flush, with one try for each batch, `ms` in all; whatever comes later is dropped. */
  close(ms: number): Promise<void>;
}

export function batchLimits(env: Readonly<Record<string, string | undefined>>): BatchLimits {
  const number = (name: string, fallback: number) => {
    const given = Number(env[`OTEL_BSP_${name}`] || Number.NaN);
    return Number.isInteger(given) && given > 0 ? given : fallback;
  };
  const maxQueue = number('MAX_QUEUE_SIZE', 2048);
  return { maxQueue, maxBatch: Math.min(maxQueue, number('MAX_EXPORT_BATCH_SIZE', 512)), delayMs: number('SCHEDULE_DELAY', 5000), timeoutMs: number('EXPORT_TIMEOUT', 30_000) };
}

const firstPauseMs = 1000;
const longestPauseMs = 5000;

/** Tells of trouble once, and of its end. */
function createOutcome({ name }: SpanExporter, log: Logger): { arrived(): void; failed(error: unknown): void } {
  let failing = false;
  return {
    arrived: () => {
      if (failing) log.info(`spans arrive at ${name} again`);
      failing = false;
    },
    failed: (error) => {
      if (!failing) log.error(`spans do not arrive at ${name} and are lost until they do: ${textOf(error)}`);
      failing = true;
    },
  };
}

/**
 * For hosts where nothing outlives a request: no timers, no second try, and no export waits for that of another request.
 * Whoever ends a request flushes.
 */
export function createUnattendedBatch(exporter: SpanExporter, { maxQueue, timeoutMs }: BatchLimits, log: Logger): Batch {
  let queue: FinishedSpan[] = [];
  const outcome = createOutcome(exporter, log);
  const flush = async () => {
    const spans = queue;
    queue = [];
    if (spans.length === 0) return;
    await exporter.export(spans, AbortSignal.timeout(timeoutMs)).then(outcome.arrived, outcome.failed);
  };
  return { add: (span) => { if (queue.length < maxQueue) queue.push(span); }, flush, close: flush };
}

export function createBatch(exporter: SpanExporter, { maxQueue, maxBatch, delayMs, timeoutMs }: BatchLimits, log: Logger): Batch {
  let queue: FinishedSpan[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The export under way: there is one at a time. */
  let running: Promise<void> | undefined;
  let closing = false;
  const closed = new AbortController();
  const hurry = new AbortController();
  const outcome = createOutcome(exporter, log);

  const exportOne = async (spans: readonly FinishedSpan[]): Promise<void> => {
    const limit = new AbortController();
    const timeout = setTimeout(() => limit.abort(), timeoutMs);
    try {
      await tried(spans, AbortSignal.any([limit.signal, closed.signal]));
    } finally {
      clearTimeout(timeout);
    }
  };
  const tried = async (spans: readonly FinishedSpan[], signal: AbortSignal): Promise<void> => {
    for (let waitMs = firstPauseMs; ; waitMs = Math.min(longestPauseMs, waitMs * 1.5)) {
      try {
        await exporter.export(spans, signal);
        outcome.arrived();
        return;
      } catch (error) {
        outcome.failed(error);
        if (!(error instanceof Retryable) || closing || signal.aborted) return;
        await pause(error.afterMs ?? waitMs * (0.5 + Math.random()), AbortSignal.any([signal, hurry.signal]));
        if (closing || signal.aborted) return;
      }
    }
  };
  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const spans = queue.slice(0, maxBatch);
      queue = queue.slice(maxBatch);
      await exportOne(spans);
    }
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    running ??= drain().finally(() => { running = undefined; });
    return running;
  };

  return {
    add: (span) => {
      if (closing || queue.length >= maxQueue) return;
      queue.push(span);
      if (running !== undefined) return;
      if (queue.length >= maxBatch) void flush();
      else timer ??= setTimeout(() => void flush(), delayMs);
    },
    flush,
    close: async (ms) => {
      closing = true;
      hurry.abort();
      const limit = setTimeout(() => closed.abort(), ms);
      await flush();
      clearTimeout(limit);
      closed.abort();
      exporter.close?.();
    },
  };
}
