// One HTTP API call on its way through the routes: what came in, its trace, and the ways to answer.
import type { Context } from 'hono';
import type { CallContext } from '../../core/context.ts';
import { fail } from '../../core/errors.ts';
import { GoJsonError, parseFirst, textOfBytes } from '../../core/go-json.ts';
import { BodyBroken, BodyTooLarge, hasHeader, type Incoming, type RawHeaders } from '../../core/host.ts';
import { type AnswerSize, sized } from './answer-size.ts';
import { queryUnescape, readTarget } from './path.ts';

export interface HttpCall {
  /** Replaced on the way by what a middleware pipeline makes of it. */
  incoming: Incoming;
  /** Cleaned, still escaped: what is routed. */
  readonly path: string;
  /** Raw query without `?`. */
  query: string;
  /** Nothing in `path` is escaped. */
  readonly plain: boolean;
  context: CallContext;
  /** Headers the answer gets on top of the handler's, unless the handler set them (traceparent, CORS). */
  extra: readonly string[];
  /** Bytes a body may have, 0 = no limit. */
  readonly maxBody: number;
  /** App id an invocation goes to, for the API log and the span, and its method (a byte string). */
  invoked?: string;
  invokedMethod?: string;
  /** The route that answers, noted where somebody wants to know; none: service invocation. */
  route?: Route;
  /** Told of the answer's status before it leaves; set where the call is traced. */
  answered?: (call: HttpCall, status: number) => void;
  /** Where calls are counted: the size of the answer's body. */
  counted?: AnswerSize;
}
/** Hono's environment of a call. */
export type Env = { Bindings: { call: HttpCall } };
/** What handlers use of a Hono Context. */
export type HandlerContext = Pick<Context<Env>, 'env'>;
export type Handler = (c: HandlerContext) => Response | Promise<Response>;

/** One row of the API: which methods and path, Dapr's endpoint name (logs), its allow/deny group. */
export interface Route {
  methods: readonly string[];
  /** Hono pattern below `/`, e.g. `v1.0/state/:storeName/:key`. */
  path: string;
  name: string;
  /** `state/v1`; '' for routes that no rule can switch off (health). */
  group: string;
  handler: Handler;
}

const none: readonly string[] = [];
export function httpCall(incoming: Incoming, maxBody: number, context: CallContext): HttpCall {
  const { path, query, plain } = readTarget(incoming.target);
  return { incoming, path, query, plain, context, extra: none, maxBody };
}

export const callOf = (c: HandlerContext): HttpCall => c.env.call;

/** Path segment `index` (0 = version), unescaped by query rules: `+` is a space. */
export function segment(call: HttpCall, index: number): string {
  let start = 1;
  for (let i = 0; i < index; i++) start = call.path.indexOf('/', start) + 1;
  const end = call.path.indexOf('/', start);
  const text = end < 0 ? call.path.slice(start) : call.path.slice(start, end);
  return call.plain ? text : queryUnescape(text);
}
/** Everything from segment `index` on (a `*` of the route). */
export function rest(call: HttpCall, index: number): string {
  let start = 1;
  for (let i = 0; i < index; i++) start = call.path.indexOf('/', start) + 1;
  const text = call.path.slice(start);
  return call.plain ? text : queryUnescape(text);
}

export const header = (call: HttpCall, name: string): string | undefined => call.incoming.header(name);

/** The answer, with the call's extra headers where the handler did not set them. */
export function answer(call: HttpCall, status: number, headers: RawHeaders, body: Uint8Array | string | ReadableStream<Uint8Array> | null): Response {
  const { extra } = call;
  call.answered?.(call, status);
  for (let i = 0; i < extra.length; i += 2) {
    const name = extra[i] as string;
    if (!hasHeader(headers, name)) headers.push(name, extra[i + 1] as string);
  }
  return call.incoming.respond(status, headers, call.counted === undefined ? body : sized(call.counted, headers, body));
}
export const empty = (call: HttpCall): Response => answer(call, 204, [], null);
export const json = (call: HttpCall, status: number, text: string): Response => answer(call, status, ['Content-Type', 'application/json'], text);
/** Errors of the HTTP layer itself: Go's http.Error. */
export const plainText = (call: HttpCall, status: number, text: string): Response => answer(call, status, ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff'], text);

/** How the body reads for "native" handlers: any trouble is ERR_MALFORMED_REQUEST with this text in front. */
export async function bodyBytes(call: HttpCall): Promise<Uint8Array> {
  return call.incoming.bytes(call.maxBody);
}
/**
 * First JSON value of the body, as Go's streaming decoder reads it: what follows is never seen, not even that it is too much.
 * Rejects with GoJsonError, BodyTooLarge or BodyBroken.
 */
export async function firstJson(call: HttpCall): Promise<unknown> {
  try {
    return parseFirst(textOfBytes(await call.incoming.bytes(call.maxBody)));
  } catch (error) {
    if (!(error instanceof BodyTooLarge) || error.received === undefined) throw error;
    try {
      return parseFirst(textOfBytes(error.received));
    } catch (inner) {
      throw inner instanceof GoJsonError && inner.message.endsWith('EOF') ? error : inner;
    }
  }
}
/** "Universal" handlers: trouble while reading is ERR_BODY_READ. */
export async function universalBody(call: HttpCall): Promise<Uint8Array> {
  try {
    return await call.incoming.bytes(call.maxBody);
  } catch (error) {
    if (error instanceof BodyTooLarge || error instanceof BodyBroken) throw fail('bodyRead', { error: error.message });
    throw error;
  }
}
