// Values of PostgreSQL as JSON in the forms of daprd, whose driver (pgx) gives many types a Go value of their own.
import { toBase64 } from '../../core/base64.ts';
import { utf8 } from '../../core/go-json.ts';
import { type Exact, printExact, quote } from '../../core/json-exact.ts';

/** JSON text of one value; `text` is what the server sent. Throws where Go cannot print it either. */
export function jsonOf(type: number, text: string | null): string {
  if (text === null) return 'null';
  const element = elementOf.get(type);
  if (element !== undefined) return `[${elementsOf(text, element).map((item) => jsonOf(element, item)).join(',')}]`;
  return (forms.get(type) ?? quote)(text);
}

type Form = (text: string) => string;
const asIs: Form = (text) => text;
const numbersIn = (text: string): number[] => Array.from(text.matchAll(/[-+\d.][-+\d.eE]*/g), ([number]) => Number(number));
const base64 = (bytes: Uint8Array | number[]): string => `"${toBase64(Uint8Array.from(bytes))}"`;
const bytesOf = (hex: string): number[] => Array.from(hex.matchAll(/[0-9a-f]{2}/gi), ([pair]) => Number.parseInt(pair, 16));
const unprintable = (what: string): Error => new Error(`error serializing results: json: ${what}`);

const float: Form = (text) => {
  const number = Number(text);
  if (!Number.isFinite(number)) throw unprintable(`unsupported value: ${text === 'NaN' ? text : number > 0 ? '+Inf' : '-Inf'}`);
  return Object.is(number, -0) ? '-0' : String(number);
};
// Infinity has no form in JSON; pgx writes 0 for a numeric one, which it is not.
const numeric: Form = (text) => (/^[-\d.]+$/.test(text) ? text : quote(text));

/** `2024-02-03 04:05:06.1+02` as RFC 3339 in UTC. Infinity is 1 and -1, as pgx counts it. */
const time: Form = (text) => {
  if (text.endsWith('infinity')) return text === 'infinity' ? '1' : '-1';
  const match = /^(\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?)?( BC)?$/.exec(text);
  if (match === null) return quote(text); // a server with a DateStyle of its own
  const [, year = '', month, day, hour = '0', minute = '0', second = '0', fraction = '', sign, zoneHour = '0', zoneMinute = '0', zoneSecond = '0', before] = match;
  const zone = (Number(zoneHour) * 3600 + Number(zoneMinute) * 60 + Number(zoneSecond)) * (sign === '-' ? -1 : 1);
  const date = new Date(0);
  date.setUTCFullYear(before === undefined ? Number(year) : 1 - Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second) - zone);
  if (date.getUTCFullYear() < 0 || date.getUTCFullYear() > 9999) throw unprintable('error calling MarshalJSON for type time.Time: Time.MarshalJSON: year outside of range [0,9999]');
  return `"${date.toISOString().slice(0, 19)}${fraction.replace(/\.?0+$/, '')}Z"`;
};

const microseconds = (hours: string, minutes: string, seconds: string): number => Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6);
const timeOfDay: Form = (text) => {
  const [hours = '', minutes = '', seconds = ''] = text.split(':');
  return JSON.stringify({ Microseconds: microseconds(hours, minutes, seconds), Valid: true });
};
const interval: Form = (text) => {
  const match = /^(?:(-?\d+) years? ?)?(?:(-?\d+) mons? ?)?(?:(-?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?))?$/.exec(text);
  if (match === null) return quote(text); // a server with an IntervalStyle of its own
  const [, years = '0', months = '0', days = '0', sign, hours = '0', minutes = '0', seconds = '0'] = match;
  const Microseconds = microseconds(hours, minutes, seconds) * (sign === '-' ? -1 : 1);
  return JSON.stringify({ Microseconds: Microseconds || 0, Days: Number(days), Months: Number(years) * 12 + Number(months), Valid: true });
};

/** As Go decodes it: numbers are floats, keys come in order. */
const json: Form = (text) => printExact(JSON.parse(text) as Exact);
const bits: Form = (text) => {
  const bytes = Array.from(text.matchAll(/.{1,8}/g), ([byte]) => Number.parseInt(byte.padEnd(8, '0'), 2));
  return `{"Bytes":${base64(bytes)},"Len":${text.length},"Valid":true}`;
};

const point = ([X, Y]: (number | undefined)[]) => ({ X, Y });
const points = (text: string) => {
  const numbers = numbersIn(text);
  return Array.from({ length: numbers.length / 2 }, (_, i) => point(numbers.slice(2 * i, 2 * i + 2)));
};
const circle: Form = (text) => {
  const [X, Y, R] = numbersIn(text);
  return JSON.stringify({ P: { X, Y }, R, Valid: true });
};
const line: Form = (text) => {
  const [A, B, C] = numbersIn(text);
  return JSON.stringify({ A, B, C, Valid: true });
};

/** Bounds are told by the letters pgx has for them: inclusive, exclusive, Unbounded, Empty. */
const range = (bound: Form): Form => (text) => {
  const of = (lower: string, upper: string, lowerType: string, upperType: string) => `{"Lower":${lower},"Upper":${upper},"LowerType":${lowerType.charCodeAt(0)},"UpperType":${upperType.charCodeAt(0)},"Valid":true}`;
  if (text === 'empty') return of('null', 'null', 'E', 'E');
  const [, from, lower = '', upper = '', to] = /^([[(])(.*),(.*)([\])])$/.exec(text) ?? [];
  const shown = (part: string) => (part === '' ? 'null' : bound(part.replace(/^"|"$/g, '')));
  const kind = (part: string, inclusive: boolean) => (part === '' ? 'U' : inclusive ? 'i' : 'e');
  return of(shown(lower), shown(upper), kind(lower, from === '['), kind(upper, to === ']'));
};

const integer = asIs;
const truth: Form = (text) => (text === 't' ? 'true' : 'false');
const bytea: Form = (text) => base64(bytesOf(text.slice(2)));
const uuid: Form = (text) => JSON.stringify(bytesOf(text.replaceAll('-', '')));
const mac: Form = (text) => base64(bytesOf(text));
const xml: Form = (text) => base64(utf8(text));
const address: Form = (text) => quote(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
const oneByte: Form = (text) => String(utf8(text)[0] ?? 0);
const box: Form = (text) => JSON.stringify({ P: points(text), Valid: true });
const path: Form = (text) => JSON.stringify({ P: points(text), Closed: text.startsWith('('), Valid: true });

/** Object id of a type, that of its array, its form. Numbers: PostgreSQL's pg_type.dat. What is not here is text. */
const types: readonly [number, number, Form][] = [
  [16, 1000, truth], [17, 1001, bytea], [18, 1002, oneByte], [19, 1003, quote], [20, 1016, integer], [21, 1005, integer], [23, 1007, integer], [25, 1009, quote], [26, 1028, integer], [28, 1011, integer], [29, 1012, integer],
  [114, 199, json], [3802, 3807, json], [142, 143, xml], [700, 1021, float], [701, 1022, float], [1700, 1231, numeric],
  [600, 1017, quote], [601, 1018, box], [602, 1019, path], [603, 1020, box], [604, 1027, path], [628, 629, line], [718, 719, circle],
  [650, 651, address], [869, 1041, address], [829, 1040, mac], [774, 775, mac], [1042, 1014, quote], [1043, 1015, quote], [2950, 2951, uuid],
  [1082, 1182, time], [1114, 1115, time], [1184, 1185, time], [1083, 1183, timeOfDay], [1186, 1187, interval], [1560, 1561, bits], [1562, 1563, bits],
  [3904, 3905, range(integer)], [3926, 3927, range(integer)], [3906, 3907, range(numeric)], [3908, 3909, range(time)], [3910, 3911, range(time)], [3912, 3913, range(time)],
];
const forms = new Map(types.map(([type, , form]) => [type, form]));
const elementOf = new Map(types.map(([type, array]) => [array, type]));

/** Elements of an array literal, those of inner arrays one after the other, as pgx reads arrays of unknown depth. */
function elementsOf(literal: string, element: number): (string | null)[] {
  const body = literal.replace(/^\[.*?\]=/, ''); // bounds that are not 1
  const delimiter = element === 603 ? ';' : ',';
  const out: (string | null)[] = [];
  for (let at = 0; at < body.length; at++) {
    const c = body[at] as string;
    if (c === '{' || c === '}' || c === delimiter) continue;
    if (c === '"') {
      let item = '';
      for (at++; body[at] !== '"' && at < body.length; at++) item += body[at] === '\\' ? body[++at] : body[at];
      out.push(item);
    } else {
      let end = at;
      while (end < body.length && body[end] !== delimiter && body[end] !== '}') end++;
      const item = body.slice(at, end);
      out.push(item === 'NULL' ? null : item);
      at = end - 1;
    }
  }
  return out;
}
