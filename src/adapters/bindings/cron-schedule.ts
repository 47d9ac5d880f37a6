// Schedules as Dapr reads them: robfig's cron with optional seconds, names, descriptors and a time zone in front (dapr/kit/cron).
import type { Cron, CronOptions } from 'croner';
import { parseDuration } from '../../core/duration.ts';

export interface Schedule {
  /** First time after `from` (milliseconds since 1970); undefined: never. */
  next(from: number): number | undefined;
}

type MakeCron = new (pattern: string, options: CronOptions) => Cron;
interface Field {
  least: number;
  most: number;
  names?: readonly string[];
}
const fields: readonly Field[] = [
  { least: 0, most: 59 },
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { least: 0, most: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];
const descriptors: Readonly<Record<string, string>> = {
  '@yearly': '0 0 0 1 1 *', '@annually': '0 0 0 1 1 *', '@monthly': '0 0 0 1 * *', '@weekly': '0 0 0 * * 0', '@daily': '0 0 0 * * *', '@midnight': '0 0 0 * * *', '@hourly': '0 0 * * * *',
};

/** Throws with robfig's words where the text is no schedule. `Make` is croner's Cron, which knows calendars and time zones. */
export function parseSchedule(text: string, Make: MakeCron): Schedule {
  let pattern = text;
  let timezone: string | undefined;
  const zoned = /^(?:CRON_)?TZ=(\S*)(?:\s+|$)/.exec(pattern);
  if (zoned) {
    timezone = zoned[1] || 'UTC';
    pattern = pattern.slice(zoned[0].length).trim();
    if (timezone === 'Local') timezone = undefined;
    else if (!isTimeZone(timezone)) throw new Error(`provided bad location ${timezone}: unknown time zone ${timezone}`);
  }
  if (pattern.startsWith('@every ')) return every(pattern.slice(7), pattern);
  if (pattern.startsWith('@')) {
    const meant = descriptors[pattern];
    if (meant === undefined) throw new Error(`unrecognized descriptor: ${pattern}`);
    pattern = meant;
  }
  const words = pattern.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0 && !zoned) throw new Error('empty spec string');
  if (words.length < 5 || words.length > 6) throw new Error(`expected 5 to 6 fields, found ${words.length}: [${words.join(' ')}]`);
  const sets = (words.length === 5 ? ['0', ...words] : words).map((word, i) => expand(word, fields[i] as Field));
  if (sets.some((set) => set === '')) return { next: () => undefined };
  const cron = new Make(sets.join(' '), { paused: true, mode: '6-part', domAndDow: false, ...(timezone === undefined ? {} : { timezone }) });
  return { next: (from) => cron.nextRun(new Date(from))?.getTime() };
}

function every(duration: string, whole: string): Schedule {
  const ms = parseDuration(duration);
  if (ms === undefined) throw new Error(`failed to parse duration ${whole}: time: invalid duration ${JSON.stringify(duration)}`);
  // Upstream takes these and then fires without a pause for ever.
  if (ms < 1) throw new Error(`the duration of ${whole} must be at least a millisecond`);
  return { next: (from) => from + ms };
}

/** A field as a list of numbers, `*` where it has a plain star; '' where it names nothing (`,`). */
function expand(text: string, field: Field): string {
  const hits = new Set<number>();
  let star = false;
  for (const expression of text.split(',')) {
    if (expression === '') continue;
    const [range = '', stepText, ...moreSteps] = expression.split('/');
    const [low = '', high, ...moreHyphens] = range.split('-');
    const any = low === '*' || low === '?';
    if (!any && moreHyphens.length > 0) throw new Error(`too many hyphens: ${expression}`);
    const start = any ? field.least : numberOf(low, field.names);
    let end = any ? field.most : high === undefined ? start : numberOf(high, field.names);
    if (moreSteps.length > 0) throw new Error(`too many slashes: ${expression}`);
    const step = stepText === undefined ? 1 : numberOf(stepText);
    if (stepText !== undefined && high === undefined) end = field.most; // N/step is N-max/step
    if (start < field.least) throw new Error(`beginning of range (${start}) below minimum (${field.least}): ${expression}`);
    if (end > field.most) throw new Error(`end of range (${end}) above maximum (${field.most}): ${expression}`);
    if (start > end) throw new Error(`beginning of range (${start}) beyond end of range (${end}): ${expression}`);
    if (step === 0) throw new Error(`step of range should be a positive number: ${expression}`);
    if (any && step === 1) star = true;
    for (let i = start; i <= end; i += step) hits.add(i);
  }
  return star ? '*' : [...hits].sort((a, b) => a - b).join(',');
}

function numberOf(text: string, names?: readonly string[]): number {
  const at = names?.indexOf(text.toLowerCase()) ?? -1;
  if (at >= 0) return names?.length === 12 ? at + 1 : at;
  if (!/^[+-]?\d+$/.test(text)) throw new Error(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) < 0) throw new Error(`negative number (${Number(text)}) not allowed: ${text}`);
  return Number(text);
}

function isTimeZone(name: string): boolean {
  if (/^[+-]/.test(name)) return false;
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }));
  } catch {
    return false;
  }
}
