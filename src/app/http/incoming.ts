// A host's view of a request built from a Web Request alone, for hosts that have nothing better (Bun, Deno, Workers).
import { BodyBroken, BodyTooLarge, type Incoming, type RawHeaders } from '../../core/host.ts';
import { zeroTraceparent } from '../../core/traceparent.ts';

/** `peer` tells `ip:port` of a request's caller, asked only by those who need it. */
export const incomingFromRequest = (request: Request, peer?: (request: Request) => string | undefined): Incoming => new FetchIncoming(request, peer);

/** How the headers of nearly every answer begin and end: to copy them and add to them is less work than to read a list. */
const usual = ['Content-Type', 'application/json', 'Traceparent', zeroTraceparent] as const;
let usualHeaders: Headers | undefined;

/** Everything is read from the Request only when somebody asks: most of it costs more than the answer to a small call. */
class FetchIncoming implements Incoming {
  readonly method: string;
  // not #private: engines other than V8 pay for such fields with each request
  private readonly request: Request;
  private rawTarget: string | undefined;
  private rawHeaders: RawHeaders | undefined;
  private readonly askPeer: ((request: Request) => string | undefined) | undefined;
  constructor(request: Request, peer: ((request: Request) => string | undefined) | undefined) {
    this.method = request.method;
    this.request = request;
    this.askPeer = peer;
  }
  get peer(): string | undefined { return this.askPeer?.(this.request); }
  get target(): string {
    this.rawTarget ??= targetOf(this.request.url);
    return this.rawTarget;
  }
  get headers(): RawHeaders {
    if (this.rawHeaders !== undefined) return this.rawHeaders;
    const list: RawHeaders = [];
    this.request.headers.forEach((value, name) => { list.push(name, value); }); // twice as fast as for…of on Bun
    this.rawHeaders = list;
    return list;
  }
  header(name: string): string | undefined { return this.request.headers.get(name) ?? undefined; }
  get length(): number | undefined {
    const declared = this.header('content-length');
    return declared !== undefined && /^\d+$/.test(declared) ? Number(declared) : undefined;
  }
  get hasBody(): boolean {
    // A Request for GET or HEAD has none, whatever was sent.
    if (this.method === 'GET' || this.method === 'HEAD') return false;
    const { length } = this;
    return length === undefined ? this.request.body !== null : length > 0;
  }
  get signal(): AbortSignal { return this.request.signal; }
  async bytes(limit: number): Promise<Uint8Array> {
    if (!this.hasBody) return new Uint8Array(0);
    const { length } = this;
    if (length !== undefined && (limit <= 0 || length <= limit)) return new Uint8Array(await this.request.arrayBuffer().catch(broken));
    return collect(this.request.body as ReadableStream<Uint8Array>, limit);
  }
  stream(limit: number): ReadableStream<Uint8Array> {
    return limited(this.request.body ?? new Blob([]).stream(), limit);
  }
  respond(status: number, list: RawHeaders, body: Uint8Array | string | ReadableStream<Uint8Array> | null): Response {
    // A null-body status refuses even the empty string.
    const given = status === 204 || status === 205 || status === 304 ? null : (body as BodyInit | null);
    const last = list.length - 2;
    if (last < 2 || list[0] !== usual[0] || list[1] !== usual[1] || list[last] !== usual[2] || list[last + 1] !== usual[3]) return new Response(given, { status, headers: headersOf(list) });
    usualHeaders ??= new Headers([[usual[0], usual[1]], [usual[2], usual[3]]]);
    const response = new Response(given, { status, headers: usualHeaders });
    for (let i = 2; i < last; i += 2) response.headers.append(list[i] as string, list[i + 1] as string);
    return response;
  }
}

function targetOf(url: string): string {
  if (url.charCodeAt(0) === 0x2f) return url; // Bun, for a request with an empty Host
  const start = url.indexOf('/', 'https://'.length);
  return start < 0 ? '/' : url.slice(start);
}

/** A plain object where no name is repeated: the form the runtimes read fastest. */
function headersOf(list: RawHeaders): Record<string, string> | [string, string][] {
  const headers: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    if (name in headers) return Array.from({ length: list.length / 2 }, (_, at) => [list[at * 2] as string, list[at * 2 + 1] as string]);
    headers[name] = list[i + 1] as string;
  }
  return headers;
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
