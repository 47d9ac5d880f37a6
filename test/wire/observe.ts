// Brings what was seen into the form that recordings have: values that change from run to run become <<names>>.
import type { Answer } from './exchange.ts';
import type { SeenRequest } from './app.ts';
import { mapTexts, parseJson, type Scenario, type Step, type Vars } from './scenario.ts';

export type Tidy = (text: string) => string;

const shapes: [RegExp, string][] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<<uuid>>'],
  [/\b00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\b/g, '<<traceparent>>'],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?( UTC)?/g, '<<time>>'],
  [/\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/g, '<<httpdate>>'],
];
// headers that say how a message travelled, not what it means; a scenario's keepHeaders brings them back
const answerNoise = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length', 'server', 'vary']);
const requestNoise = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'user-agent', 'accept-encoding', 'keep-alive']);

/** Known values first, the longest foremost, then the scenario's own patterns, then the general shapes. */
export function makeTidy(vars: Vars, scenario: Scenario): Tidy {
  const known = Object.entries(vars)
    .filter(([, value]) => typeof value === 'number' || (typeof value === 'string' && value.length > 3))
    .sort((a, b) => String(b[1]).length - String(a[1]).length)
    .map(([name, value]): [string | RegExp, string] => [typeof value === 'number' ? new RegExp(`(?<!\\d)${value}(?!\\d)`, 'g') : String(value), `<<${name}>>`]);
  const own = (scenario.tidy ?? []).map(([from, to]): [RegExp, string] => [new RegExp(from, 'g'), to]);
  return (text) => {
    for (const [from, to] of known) text = typeof from === 'string' ? text.split(from).join(to) : text.replace(from, to);
    for (const [from, to] of [...own, ...shapes]) text = text.replace(from, to);
    return text;
  };
}

export function seenAnswer(answer: Answer, scenario: Scenario, tidy: Tidy, sort?: Step['sort']) {
  const gone = new Set([...[...answerNoise].filter((name) => !scenario.keepHeaders?.includes(name)), ...(scenario.dropHeaders ?? [])]);
  return { status: answer.status, ...(answer.note ? { note: answer.note } : {}), headers: seenHeaders(answer.headers, gone, scenario, tidy), ...seenBody(answer.body, tidy, sort) };
}

export function seenRequest(request: SeenRequest, scenario: Scenario, tidy: Tidy, sortHeaders = false) {
  const gone = new Set([...requestNoise].filter((name) => !scenario.keepHeaders?.includes(name)));
  const headers = sortHeaders ? request.headers.toSorted((a, b) => (a[1] < b[1] ? -1 : 1)) : request.headers;
  return { method: request.method, target: tidy(request.target), headers: seenHeaders(headers, gone, scenario, tidy), ...seenBody(request.body, tidy) };
}

function seenHeaders(all: [string, string][], gone: Set<string>, scenario: Scenario, tidy: Tidy): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of all) {
    if (!gone.has(name)) headers[name] = name in headers ? `${headers[name]}, ${tidy(value)}` : tidy(value);
  }
  for (const name of scenario.anyHeaders ?? []) if (name in headers) headers[name] = '<<any>>';
  return sortKeys(headers);
}

/** Bytes that are text as text, others as base64, very large ones as their size. */
function seenBody(bytes: Buffer, tidy: Tidy, sort?: Step['sort']): object {
  if (bytes.length === 0) return {};
  if (bytes.length > 65_536) return { bodyBytes: bytes.length };
  const text = bytes.toString();
  if (!Buffer.from(text).equals(bytes)) return { base64: bytes.toString('base64') };
  return { text: tidy((sort ? sorted(text, sort) : undefined) ?? text) };
}

// a JSON text whose lists come in no fixed order, in one order; undefined where it is something else
function sorted(text: string, sort: true | string[]): string | undefined {
  const whole = parseJson(text);
  if (sort === true) return Array.isArray(whole) ? JSON.stringify(whole.sort(byJson)) : undefined;
  if (whole === undefined) return undefined;
  for (const path of sort) {
    const list = at(whole, path);
    if (Array.isArray(list)) list.sort(byPlainJson);
  }
  return JSON.stringify(whole);
}

/** The JSON value at a dotted path, undefined where there is none. */
export const at = (value: unknown, path: string): unknown =>
  path.split('.').reduce((part: unknown, key) => (part as Record<string, unknown> | null | undefined)?.[key], value);

export const byJson = (a: unknown, b: unknown) => JSON.stringify(a).localeCompare(JSON.stringify(b));
const byPlainJson = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

export const sortKeys = <T>(object: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

/** A reply of Redis: bytes that are no text read as `base64:…`. */
export function seenReply(reply: unknown, tidy: Tidy): unknown {
  const texts = (value: unknown): unknown => {
    if (value instanceof Error) return `error: ${value.message}`;
    if (Array.isArray(value)) return value.map(texts);
    if (!Buffer.isBuffer(value)) return value;
    const text = value.toString();
    return Buffer.from(text).equals(value) ? text : `base64:${value.toString('base64')}`;
  };
  return mapTexts(texts(reply), tidy);
}

/** A log line without what differs each time: `level: message`. */
export function logMessage(line: string): string {
  const [, level, message = ''] = line.match(/^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S*)/) ?? [];
  if (level) return `${level}: ${message.startsWith('"') ? (parseJson(message) ?? message) : message}`;
  const record = parseJson(line) as { level?: unknown; msg?: unknown } | null | undefined;
  return record === undefined || record === null ? line : `${record.level}: ${record.msg}`;
}
