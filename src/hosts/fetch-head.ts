// What listeners on fetch servers add to a request: the limit on request line and headers where the server has none that could be set, and how its caller's address is written.
import type { Incoming } from '../core/host.ts';

/** Bytes of the request line and the headers, about as they were on the wire. */
export function headSize({ method, target, headers }: Incoming): number {
  let size = method.length + target.length + 14; // two blanks, HTTP/1.1, two line ends
  for (let i = 0; i < headers.length; i += 2) size += (headers[i] as string).length + (headers[i + 1] as string).length + 4;
  return size;
}

/** Go's answer above the limit. */
export const tooLong = (): Response => new Response('431 Request Header Fields Too Large', { status: 431, headers: { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' } });

/** `ip:port` as Go writes it; undefined for a caller without one (a Unix socket). An IPv4 caller of a listener on `::` goes by its own address. */
export function addressText(address: string | undefined, port: number | undefined): string | undefined {
  if (address === undefined) return undefined;
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  return `${plain.includes(':') ? `[${plain}]` : plain}:${port ?? 0}`;
}
