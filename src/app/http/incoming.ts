// A host's view of a request built from a Web Request alone, for hosts that have nothing better (Bun, Deno, Workers).
import { BodyBroken, BodyTooLarge, type Incoming, type RawHeaders } from '../../core/host.ts';

export function incomingFromRequest(request: Request): Incoming {
  let headers: RawHeaders | undefined;
  const start = request.url.indexOf('/', request.url.indexOf('://') + 3);
  const declared = request.headers.get('content-length');
  const length = declared !== null && /^\d+$/.test(declared) ? Number(declared) : undefined;
  return {
    method: request.method,
    target: start < 0 ? '/' : request.url.slice(start),
    get headers() {
      if (headers === undefined) {
        headers = [];
        for (const [name, value] of request.headers) headers.push(name, value);
      }
      return headers;
    },
    length,
    hasBody: request.body !== null && length !== 0,
    signal: request.signal,
    bytes: async (limit) => {
      if (request.body === null) return new Uint8Array(0);
      if (length !== undefined && (limit <= 0 || length <= limit)) return new Uint8Array(await request.arrayBuffer().catch(broken));
      return collect(request.body, limit);
    },
    stream: (limit) => limited(request.body ?? new Blob([]).stream(), limit),
    respond: (status, list, body) => {
      const out = new Headers();
      for (let i = 0; i < list.length; i += 2) out.append(list[i] as string, list[i + 1] as string);
      // A null-body status refuses even the empty string.
      return new Response(status === 204 || status === 205 || status === 304 ? null : (body as BodyInit | null), { status, headers: out });
    },
  };
}

const broken = (error: unknown): never => {
  throw new BodyBroken(error instanceof Error ? error.message : 'unexpected EOF', { cause: error });
};

/** Passes a stream on until more than `limit` bytes came (0 = no limit); then it fails with BodyTooLarge. */
export function limited(stream: ReadableStream<Uint8Array>, limit: number): ReadableStream<Uint8Array> {
  if (limit <= 0) return stream;
  let total = 0;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        total += chunk.byteLength;
        if (total > limit) controller.error(new BodyTooLarge());
        else controller.enqueue(chunk);
      },
    }),
  );
}

/** All bytes of a stream; more than `limit` (0 = no limit) are BodyTooLarge. */
export async function collect(stream: ReadableStream<Uint8Array>, limit = 0): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const part of stream as unknown as AsyncIterable<Uint8Array>) {
      parts.push(part);
      total += part.byteLength;
      if (limit > 0 && total > limit) throw new BodyTooLarge(joined(parts, total).subarray(0, limit));
    }
  } catch (error) {
    if (error instanceof BodyTooLarge) throw error;
    broken(error);
  }
  return joined(parts, total);
}

function joined(parts: readonly Uint8Array[], total: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) { out.set(part, at); at += part.byteLength; }
  return out;
}
