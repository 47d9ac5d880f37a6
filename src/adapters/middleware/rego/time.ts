// Rego's functions of time. Nanoseconds are numbers here: exact to about a quarter of a microsecond.
import { parseDuration } from '../../../core/duration.ts';
import type { Builtin } from './evaluate.ts';
import { isArray, type Value } from './value.ts';

const perMs = 1e6;
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** A time is nanoseconds since 1970, or that and the name of a time zone. */
function partsOf(value: Value | undefined): { date: Date; zone: string } | undefined {
  const [ns, zone] = isArray(value as Value) ? (value as readonly Value[]) : [value, ''];
  if (typeof ns !== 'number' || typeof zone !== 'string') return undefined;
  return { date: new Date(ns / perMs), zone: zone === '' ? 'UTC' : zone };
}
function local(value: Value | undefined): Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', number> & { weekday: number } | undefined {
  const parts = partsOf(value);
  if (parts === undefined) return undefined;
  try {
    const shown = new Intl.DateTimeFormat('en-US', { timeZone: parts.zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' }).formatToParts(parts.date);
    const part = (type: string) => Number(shown.find((item) => item.type === type)?.value);
    const [year, month, day] = [part('year'), part('month'), part('day')];
    return { year, month, day, hour: part('hour'), minute: part('minute'), second: part('second'), weekday: new Date(Date.UTC(year, month - 1, day)).getUTCDay() };
  } catch {
    return undefined;
  }
}

export const timeBuiltins: Readonly<Record<string, Builtin>> = {
  'time.now_ns': () => Date.now() * perMs,
  'time.parse_rfc3339_ns': (a) => {
    if (typeof a !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(a)) return undefined;
    const ms = Date.parse(a);
    return Number.isNaN(ms) ? undefined : ms * perMs;
  },
  'time.parse_duration_ns': (a) => {
    const ms = typeof a === 'string' ? parseDuration(a) : undefined;
    return ms === undefined ? undefined : ms * perMs;
  },
  'time.date': (a) => { const at = local(a); return at && [at.year, at.month, at.day]; },
  'time.clock': (a) => { const at = local(a); return at && [at.hour, at.minute, at.second]; },
  'time.weekday': (a) => { const at = local(a); return at && days[at.weekday]; },
  'time.add_date': (a, years, months, more) => {
    const parts = partsOf(a);
    if (parts === undefined || ![years, months, more].every((n) => Number.isInteger(n))) return undefined;
    const { date } = parts;
    return Date.UTC(date.getUTCFullYear() + (years as number), date.getUTCMonth() + (months as number), date.getUTCDate() + (more as number), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()) * perMs;
  },
};
