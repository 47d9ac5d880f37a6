// A body from the host's HTTP port, read to its end.
import type { HttpResponse } from './host.ts';

/**
 * The whole body as bytes, at most `limit` of them: `cut` tells that there was more, which is not read.
 * Rejects when the body ends early.
 */
export async function readBody(body: HttpResponse['body'], limit = Number.POSITIVE_INFINITY): Promise<{ bytes: Uint8Array; cut: boolean }> {
  if (body === null) return { bytes: new Uint8Array(0), cut: false };
  if (body instanceof Uint8Array) return body.length > limit ? { bytes: body.subarray(0, limit), cut: true } : { bytes: body, cut: false };
  const parts: Uint8Array[] = [];
  let length = 0;
  let cut = false;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const room = limit - length;
    parts.push(value.length > room ? value.subarray(0, room) : value);
    length += Math.min(value.length, room);
    if (value.length > room) {
      cut = true;
      await reader.cancel();
      break;
    }
  }
  if (parts.length === 1) return { bytes: parts[0] as Uint8Array, cut };
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, cut };
}
