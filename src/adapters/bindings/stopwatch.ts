// When a call of a database or GraphQL binding began and ended, as its response metadata tells it (Go's RFC3339Nano and durations).
import { formatDuration } from '../../core/duration.ts';

/** Starts now; the function returned is called at the end. */
export function stopwatch(): () => { 'start-time': string; 'end-time': string; duration: string } {
  const [startTime, startedAt] = [timeText(), performance.now()];
  return () => ({ 'start-time': startTime, 'end-time': timeText(), duration: formatDuration(performance.now() - startedAt) });
}

/** Closing zeros of the fraction are not written. */
const timeText = (): string => new Date().toISOString().replace(/\.?0+Z$/, 'Z');
