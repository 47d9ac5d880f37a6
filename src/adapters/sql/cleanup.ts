// Removes expired rows every so often; sidecars that share a database agree through a row of its metadata table who does it.
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';

export interface Cleanup {
  /** Milliseconds between two cleanups; 0 and less: never. */
  intervalMs: number;
  log: Logger;
  /**
   * Writes the time of the last cleanup unless that is younger than `minAgeMs`, and tells whether it did.
   * The interval arrives shortened by 100 ms, so that a timer that fires a little early still counts.
   */
  claim(minAgeMs: number): Promise<boolean>;
  /** Deletes what has expired and tells how many rows that were. */
  remove(): Promise<number>;
}

// Beyond 2^31-1 ms a timer fires at once.
const longestTimer = 2147483647;

/** Source: components-contrib/common/component/sql/cleanup.go. */
export function scheduleCleanup({ intervalMs, log, claim, remove }: Cleanup): { stop(): void } {
  if (intervalMs <= 0) return { stop: () => {} };
  let running = false;
  const run = async () => {
    if (running) return;
    running = true;
    try {
      if (await claim(intervalMs - 100)) log.info(`Removed ${await remove()} expired rows`);
    } catch (error) {
      log.error(`Error removing expired data: ${textOf(error)}`);
    } finally {
      running = false;
    }
  };
  const timer = setInterval(run, Math.min(intervalMs, longestTimer));
  (timer as { unref?(): void }).unref?.();
  return { stop: () => clearInterval(timer) };
}
