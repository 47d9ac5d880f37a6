// The limit on request line and headers, for listeners whose server has none of its own that could be set.
import type { Incoming } from '../core/host.ts';

/** Bytes of the request line and the headers, about as they were on the wire. */
export function headSize({ method, target, headers }: Incoming): number {
  let size = method.length + target.length + 14; // two blanks, HTTP/1.1, two line ends
  for (let i = 0; i < headers.length; i += 2) size += (headers[i] as string).length + (headers[i + 1] as string).length + 4;
  return size;
}

/** Go's answer above the limit. */
export const tooLong = (): Response => new Response('431 Request Header Fields Too Large', { status: 431, headers: { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' } });
