// bindings.cron: an event to the app at the times of a schedule. Every sidecar keeps its own time.
import { defineBinding } from '../../blocks/bindings/port.ts';
import { background } from '../../core/context.ts';
import { field, MetadataError, schema } from '../../core/metadata.ts';
import { parseSchedule } from './cron-schedule.ts';

const longestSleepMs = 60 * 60 * 1000; // timers count in 31 bits, and the clock may be set

export default defineBinding({
  type: 'bindings.cron',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno'],
  features: ['INPUT_BINDING'],
  summary: 'An event at the times of a schedule.',
  metadata: schema({
    schedule: field.text().default('').describe('Five or six fields (seconds first), `@every 1m30s`, or `@hourly` and its like; `CRON_TZ=Europe/Berlin` in front for a time zone'),
  }),
  open: async ({ schedule: text }, { host }) => {
    if (!host.background) throw new Error('bindings.cron needs a runtime that works between requests');
    if (text === '') throw new MetadataError('schedule not set');
    const { Cron } = await import('croner');
    let schedule: ReturnType<typeof parseSchedule>;
    try {
      schedule = parseSchedule(text, Cron);
    } catch (error) {
      throw new MetadataError(`invalid schedule format '${text}': ${error instanceof Error ? error.message : String(error)}`);
    }
    const stops = new Set<() => void>();
    return {
      read: async (handler) => {
        let timer: ReturnType<typeof setTimeout> | undefined;
        let due = schedule.next(Date.now());
        const fire = () => {
          // An event that the app refuses is gone; the next one comes anyway.
          handler({ data: new Uint8Array(0), metadata: { timeZone: 'Local', readTimeUTC: goTime(new Date()) } }, background).catch(() => undefined);
        };
        const wait = () => {
          if (due === undefined) return;
          timer = setTimeout(() => {
            const now = Date.now();
            if (due !== undefined && now >= due) {
              fire();
              // On time for the next one whatever the delay of this; those missed meanwhile are left out.
              const following = schedule.next(due);
              due = following === undefined || following > now ? following : schedule.next(now);
            }
            wait();
          }, Math.min(Math.max(due - Date.now(), 0), longestSleepMs));
        };
        const stop = () => {
          clearTimeout(timer);
          due = undefined;
          stops.delete(stop);
        };
        stops.add(stop);
        wait();
        return { close: async () => stop() };
      },
      close: async () => {
        for (const stop of stops) stop();
      },
    };
  },
});

/** How Go prints a time in UTC: `2006-01-02 15:04:05.999 +0000 UTC`. */
function goTime(time: Date): string {
  const iso = time.toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${iso.slice(19, 23).replace(/\.?0+$/, '')} +0000 UTC`;
}
