// Raw header lists, changed the way Go's http.Header is: names in any case, repeated names kept in order.
import type { RawHeaders } from './host.ts';

/** A copy without any header of this name. */
export function withoutHeader(headers: RawHeaders, name: string): RawHeaders {
  const lower = name.toLowerCase();
  const list: RawHeaders = [];
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() !== lower) list.push(headers[i] as string, headers[i + 1] as string);
  return list;
}
/** A copy where this name has this one value. */
export const withHeader = (headers: RawHeaders, name: string, value: string): RawHeaders => [...withoutHeader(headers, name), name, value];
/** A copy where this name has one value more. */
export const withMoreOf = (headers: RawHeaders, name: string, value: string): RawHeaders => [...headers, name, value];

/** All values of a header, in order. */
export function headerValues(headers: RawHeaders, name: string): string[] {
  const lower = name.toLowerCase();
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) if ((headers[i] as string).toLowerCase() === lower) values.push(headers[i + 1] as string);
  return values;
}
