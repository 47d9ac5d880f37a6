// Rows of MySQL as JSON in the forms of daprd, whose driver decides by the type of the column.
import { toBase64 } from '../../core/base64.ts';
import { utf8 } from '../../core/go-json.ts';
import { printObject, quote } from '../../core/json-exact.ts';

/** A column as the server describes it; numbers are those of its protocol. */
export interface MysqlColumn {
  name: string;
  columnType?: number | undefined;
  characterSet?: number | undefined;
}

const binary = 63; // the "character set" of bytes
const [float, nothing, json] = [4, 6, 245];
const times = new Set([7, 10, 12, 14]); // TIMESTAMP DATE DATETIME NEWDATE
const numbers = new Set([1, 2, 3, 4, 5, 8, 9, 13]); // TINY SHORT LONG FLOAT DOUBLE LONGLONG INT24 YEAR
const bytes = new Set([16, 249, 250, 251, 252, 253, 254, 255]); // BIT, blobs, VAR_STRING, STRING, GEOMETRY: where they are not text

const holdsBytes = ({ columnType, characterSet }: MysqlColumn): boolean => characterSet === binary && bytes.has(columnType as number);

/** An object by the names of the columns; of two with one name the last. NULL is left out, but for bytes and JSON, where it is null. */
export function rowJson(columns: readonly MysqlColumn[], row: readonly unknown[]): string {
  const entries = new Map<string, string>();
  for (const [i, column] of columns.entries()) {
    const value = row[i] ?? null;
    if (value !== null) entries.set(column.name, valueJson(column, value));
    else if (holdsBytes(column) || column.columnType === nothing || column.columnType === json) entries.set(column.name, 'null');
  }
  return printObject([...entries]);
}

function valueJson(column: MysqlColumn, value: unknown): string {
  const type = column.columnType as number;
  if (value instanceof Uint8Array) return `"${toBase64(value)}"`;
  if (type === json) return `"${toBase64(utf8(String(value)))}"`;
  if (times.has(type)) return quote(timeText(String(value)));
  if (numbers.has(type)) return type === float ? String(shortestFloat(Number(value))) : String(value);
  return quote(String(value));
}

/** `2024-02-03 04:05:06.120` as RFC 3339; the date that is none is Go's first one. */
function timeText(text: string): string {
  if (text.startsWith('0000-00-00')) return '0001-01-01T00:00:00Z';
  const [date = '', time = '00:00:00'] = text.split(' ');
  return `${date}T${time.includes('.') ? time.replace(/\.?0+$/, '') : time}Z`;
}

/** The number with the fewest digits that is the same in 32 bits. */
function shortestFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === Math.fround(value)) return shorter;
  }
  return value;
}
