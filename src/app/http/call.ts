// One HTTP API call on its way through the routes: what came in, its trace, and the ways to answer.
import type { CallContext } from '../../core/context.ts';
import { fail } from '../../core/errors.ts';
import { GoJsonError, parseFirst, textOfBytes } from '../../core/go-json.ts';
import { BodyBroken, BodyTooLarge, hasHeader, type Incoming, type RawHeaders } from '../../core/host.ts';
import type { AnswerBody } from './answer-size.ts';
import { beginOf, queryUnescape, readTarget } from './path.ts';

export interface HttpCall {
  /** Replaced on the way by what a middleware pipeline makes of it. */
  incoming: Incoming;
  /** Cleaned, still escaped: what is routed. */
  readonly path: string;
  /** Raw query without `?`. */
  query: string;
  /** Nothing in `path` is escaped. */
  readonly plain: boolean;
  /** Where the third and fourth segment of `path` begin; 0: there is none. */
  readonly third: number;
  readonly fourth: number;
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
  /** Counts the call when it is answered; set where somebody counts. */
  counter?: CallCounter;
  /** When it came in, by the clock of core/meter.ts; 0 where nobody counts. */
  startedAt: number;
}
/** Takes note of an answer that is about to leave and returns its body, or one in its place whose end is seen. */
export type CallCounter = (call: HttpCall, status: number, headers: RawHeaders, body: AnswerBody) => AnswerBody;
export type Handler = (call: HttpCall) => Response | Promise<Response>;

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
  const { path, query, plain, third, fourth } = readTarget(incoming.target);
  return { incoming, path, query, plain, third, fourth, context, extra: none, maxBody, startedAt: 0 };
}

const beginIn = ({ path, third, fourth }: HttpCall, index: number): number => (index === 2 ? third : index === 3 ? fourth : beginOf(path, index));
/** Path segment `index` (0 = version), unescaped by query rules: `+` is a space. '' where there is none. */
export function segment(call: HttpCall, index: number): string {
  const start = beginIn(call, index);
  if (start === 0) return '';
  const end = index === 2 && call.fourth > 0 ? call.fourth - 1 : call.path.indexOf('/', start);
  const text = end < 0 ? call.path.slice(start) : call.path.slice(start, end);
  return call.plain ? text : queryUnescape(text);
}
/** Everything from segment `index` on (a `*` of the route). */
export function rest(call: HttpCall, index: number): string {
  const start = beginIn(call, index);
  const text = start === 0 ? '' : call.path.slice(start);
  return call.plain ? text : queryUnescape(text);
}

export const header = (call: HttpCall, name: string): string | undefined => call.incoming.header(name);

/** The answer, with the call's extra headers where the handler did not set them. */
export function answer(call: HttpCall, status: number, headers: RawHeaders, body: AnswerBody): Response {
  const { extra } = call;
  call.answered?.(call, status);
  for (let i = 0; i < extra.length; i += 2) {
    const name = extra[i] as string;
    if (!hasHeader(headers, name)) headers.push(name, extra[i + 1] as string);
  }
  return call.incoming.respond(status, headers, call.counter === undefined ? body : call.counter(call, status, headers, body));
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
