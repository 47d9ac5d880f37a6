// HTTP side of service invocation: who is called and how, read from path and headers; and everything that matches no other route.
import { headerOf, type RawHeaders } from '../../core/host.ts';
import { fail, textOf } from '../../core/errors.ts';
import { rewound } from '../../core/stream-rewound.ts';
import { responseHeaders } from '../../blocks/invoke/headers.ts';
import type { InvokeBlock, InvokeResponse } from '../../blocks/invoke/invoke.ts';
import { clean, decodeBytes, textOfBytes } from '../../blocks/invoke/method.ts';
import { answer, header, type HttpCall } from './call.ts';
import { splitTarget, wellEscaped } from './path.ts';
import { sniffContentType } from './sniff.ts';

export type InvokeHandler = (call: HttpCall) => Promise<Response>;

/** Bodies up to this size travel as bytes, longer ones as streams. */
const smallBody = 256 * 1024;

/** Answers 404 ERR_DIRECT_INVOKE where the call names no app. `underWay` says how many calls are without an answer. */
export function createInvokeHandler(block: InvokeBlock, underWay = { calls: 0 }): InvokeHandler {
  return async (call) => {
    underWay.calls++;
    try {
      const { incoming, query, context } = call;
      const target = findTarget(call);
      if (target === undefined) throw fail('invokeNoAppId');
      call.invoked = target.id;
      call.invokedMethod = target.method;
      const { length } = incoming;
      const sse = isEventStream(header(call, 'accept'));
      const body = incoming.hasBody ? await readBody(call, target.id) : null;
      const response = await block.invoke({
        id: target.id,
        method: target.method,
        verb: incoming.method,
        query,
        headers: sse ? plainAccept(incoming.headers) : incoming.headers,
        body,
        length,
      }, context);
      return await render(call, response, { sse, streaming: length === undefined && body !== null });
    } finally {
      underWay.calls--;
    }
  };
}

async function readBody({ incoming, maxBody }: HttpCall, id: string): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const { length } = incoming;
  if (length === undefined || (length > smallBody && (maxBody === 0 || length <= maxBody))) return incoming.stream(maxBody);
  try {
    return await incoming.bytes(maxBody);
  } catch (error) {
    throw fail('invoke', { appId: id, error: textOf(error) }, { cause: error });
  }
}

const isEventStream = (accept: string | undefined): boolean => accept !== undefined && accept.length < 64 && accept.trim().toLowerCase() === 'text/event-stream';
const plainAccept = (headers: RawHeaders): RawHeaders => headers.map((text, i) => (i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === 'accept' ? 'text/event-stream' : text));

interface Named {
  id: string;
  /** Decoded, cleaned, without leading slash; a byte string. */
  method: string;
}

/** The three ways to name the target; the first that fits wins. Source: dapr/pkg/api/http/directmessaging.go findTargetIDAndMethod. */
function findTarget(call: HttpCall): Named | undefined {
  const inHeader = header(call, 'dapr-app-id');
  if (inHeader !== undefined && inHeader !== '') return { id: textOfBytes(inHeader), method: wholePath(call) };
  const inAuthorization = appIdOf(header(call, 'authorization'));
  if (inAuthorization !== undefined) return { id: inAuthorization, method: wholePath(call) };

  const path = rawPath(call);
  const start = prefixEnd(path);
  const at = start < 0 ? -1 : path.indexOf('/method/', start);
  // `/v1.0/invoke//method/x` and `/v1.0/invoke/method/x` name nobody.
  if (at <= start) return undefined;
  const id = path.slice(start, at);
  return { id: textOfBytes(id.includes('%') || id.includes('+') ? twiceDecoded(id) : id), method: clean(path.slice(at + 8)) };
}

/** The path as it was asked for, percent-decoded but not cleaned: in `/v1.0/invoke/http://…` both slashes count. */
const rawPath = (call: HttpCall): string => decodeBytes(splitTarget(call.incoming.target).path);
const wholePath = (call: HttpCall): string => clean(rawPath(call)).slice(1);

/** Index behind `/v1.0/invoke/`, repeated slashes included; -1 where the path begins otherwise. */
function prefixEnd(path: string): number {
  if (path.startsWith('/v1.0/invoke/') && path.charCodeAt(13) !== 0x2f) return 13;
  return /^\/*v1\.0\/+invoke\/+/.exec(path)?.[0].length ?? -1;
}

/** The id is unescaped again by query rules; what cannot be stays as it is. */
function twiceDecoded(id: string): string {
  if (!wellEscaped(id)) return id;
  return decodeBytes(id.replaceAll('+', ' ')) || id;
}

/** `Authorization: Basic` of user name `dapr-app-id`: what `http://dapr-app-id:<id>@host/…` produces. */
function appIdOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !authorization.startsWith('Basic ')) return undefined;
  let text: string;
  try {
    text = atob(authorization.slice(6));
  } catch {
    return undefined;
  }
  const colon = text.indexOf(':');
  if (colon < 0 || text.includes(':', colon + 1) || text.slice(0, colon).toLowerCase() !== 'dapr-app-id') return undefined;
  return textOfBytes(text.slice(colon + 1)) || undefined;
}

/** The app's answer in the form Dapr gives it. Statuses outside 2xx and 3xx count as errors: their bodies have a length and a type. */
async function render(call: HttpCall, response: InvokeResponse, { sse, streaming }: { sse: boolean; streaming: boolean }): Promise<Response> {
  const { status, remote } = response;
  let { body } = response;
  const { list, contentType } = responseHeaders(response.headers);
  const isError = status < 200 || status > 399;
  let type = contentType;
  if (sse && !isError && (remote || status > 299)) {
    type = 'text/event-stream';
    setHeader(list, 'Cache-Control', 'no-cache');
  } else if (type === undefined || type === '') {
    if (isError && !streaming) type = 'application/json';
    else if (body instanceof Uint8Array) type = sniffContentType(body);
    else if (body !== null) ({ type, body } = await sniffStream(body));
  }
  if (type !== undefined) list.push('Content-Type', type);
  // An app's baggage comes after the caller's own, which is echoed.
  const echoed = headerOf(call.extra, 'baggage');
  if (echoed !== undefined && headerOf(list, 'baggage') !== undefined) list.unshift('Baggage', echoed);
  return answer(call, status, list, body);
}

function setHeader(list: RawHeaders, name: string, value: string): void {
  for (let i = list.length - 2; i >= 0; i -= 2) if (list[i] === name) list.splice(i, 2);
  list.push(name, value);
}

/** Looks at the first piece of a stream, which stays in front. */
async function sniffStream(stream: ReadableStream<Uint8Array>): Promise<{ type: string | undefined; body: ReadableStream<Uint8Array> }> {
  const reader = stream.getReader();
  const next = reader.read();
  const first = await next.catch(() => undefined); // told where the body is read
  return { type: first?.value && sniffContentType(first.value), body: rewound(reader, [], next) };
}
