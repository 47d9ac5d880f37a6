// Waiting for what happens at its own time.
import { setTimeout as sleep } from 'node:timers/promises';

/** Looks every 10 ms; rejects after that many milliseconds, by default before the test's own time is over. */
export async function until(fits: () => boolean | Promise<boolean>, ms = 25_000): Promise<void> {
  for (const end = Date.now() + ms; !(await fits()); await sleep(10)) if (Date.now() > end) throw new Error(`not within ${ms} ms: ${fits}`);
}
