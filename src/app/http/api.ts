// The HTTP API as a Hono application: routes in Dapr's order of precedence, and invocation for everything that matches none.
import { Hono } from 'hono';
import type { H } from 'hono/types';
import type { Incoming } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { holdClock, now, releaseClock } from '../../core/meter.ts';
import type { TracingRules } from '../observability/tracing/tracing.ts';
import { startApiSpan } from '../observability/tracing/api-span.ts';
import { Measured } from './api-logging.ts';
import { answer, type CallCounter, type Handler, type HttpCall, httpCall, plainText, type Route } from './call.ts';
import { renderError } from './errors.ts';
import { contextOf, type Cors, traceOf } from './gate.ts';
import { splitTarget, wellEscaped } from './path.ts';
import type { Serve } from './pipeline.ts';
import { createRouter } from './router.ts';
import { background } from '../../core/context.ts';

export interface ApiOptions extends TracingRules {
  routes: readonly Route[];
  /** Answers what no route matches; undefined: plain 404 and 405, as on the public port. */
  fallback: ((call: HttpCall) => Response | Promise<Response>) | undefined;
  log: Logger;
  maxBodyBytes: number;
  cors: Cors | undefined;
  /** DAPR_API_TOKEN, '' = open. */
  apiToken: string;
  /** Puts handlers of the Configuration in front of everything behind the gate; undefined: there are none. */
  pipeline?: ((serve: Serve) => Serve) | undefined;
  /** Counts calls, those that the gate's CORS and token checks answer too; undefined: nobody counts. */
  counter?: CallCounter | undefined;
  /** Told of every error that becomes an answer. */
  onError?: ((error: unknown) => void) | undefined;
  /** Called after each answer where API logging is on. */
  onAnswer?: ((call: HttpCall, route: Route | undefined, response: Response, startedAt: number) => void) | undefined;
}

export type HandleCall = (incoming: Incoming) => Response | Promise<Response>;

const healthPaths = new Set(['v1.0/healthz', 'v1.0/healthz/outbound']);

export function createApi(options: ApiOptions): HandleCall {
  const { log, apiToken, cors, recorder, counter } = options;
  const invoke = options.fallback;
  const logged = options.onAnswer;
  const hono = new Hono({ router: createRouter() });
  const fallback: Handler = invoke ?? plainFallback(options.routes);
  // Handlers get the call in place of Hono's Context, which costs more than most of them and which none would look at.
  const add = (methods: readonly string[], path: string, handler: Handler) => hono.on([...methods], path, handler as unknown as H);
  if (invoke) add(['ALL'], '/v1.0/invoke/*', fallback);
  for (const route of options.routes) {
    add(route.methods, `/${route.path}`, logged || recorder ? (call) => { call.route = route; return route.handler(call); } : route.handler);
  }
  const failed = (call: HttpCall, error: unknown): Response => {
    options.onError?.(error);
    return renderError(call, error, log);
  };

  const guarded = (call: HttpCall, response: Promise<Response>): Promise<Response> => response.catch((error: unknown) => failed(call, error));

  // There are no HEAD routes in Dapr: such calls, too, go where all go that match none.
  const dispatch = (call: HttpCall): Response | Promise<Response> => {
    const [found] = hono.router.match(call.incoming.method, call.path)[0];
    const handler = found === undefined ? fallback : (found[0][0] as unknown as Handler);
    try {
      const response = handler(call);
      return response instanceof Promise ? guarded(call, response) : response;
    } catch (error) {
      return failed(call, error);
    }
  };

  const noted: Serve = logged === undefined ? dispatch : async (call) => {
    const started = Date.now();
    call.incoming = new Measured(call.incoming);
    const response = await dispatch(call);
    logged(call, call.route, response, started);
    return response;
  };
  const serve = options.pipeline === undefined ? noted : options.pipeline(noted);

  const admit: Serve = (call) => {
    const { incoming } = call;
    if (cors) {
      const preflight = cors.preflight(incoming);
      if (preflight) return answer(call, 200, preflight, '');
      call.extra = call.extra.concat(cors.actual(incoming));
    }
    if (apiToken !== '' && incoming.header('dapr-api-token') !== apiToken && !(incoming.method === 'GET' && healthPaths.has(asWritten(incoming.target)))) {
      return plainText(call, 401, 'invalid api token\n');
    }
    return serve(call);
  };

  const counted: Serve = (call) => {
    call.counter = counter;
    call.startedAt = now();
    holdClock(call.startedAt);
    try {
      return admit(call);
    } finally {
      releaseClock();
    }
  };

  return (incoming) => {
    const call = httpCall(incoming, options.maxBodyBytes, background);
    if (!(call.plain || wellEscaped(call.path))) return plain400(call);
    const isHealth = (call.plain ? call.path : unescaped(call.path)).includes('/healthz');
    let refusal: string | undefined;
    if (options.tracing !== 'off' && !isHealth) {
      const trace = traceOf(incoming, options.tracing, options.samplingRate);
      call.context = trace.context;
      call.extra = trace.headers;
      refusal = trace.refusal;
      if (recorder !== undefined && refusal === undefined) startApiSpan(recorder, call, trace.parent);
    } else call.context = contextOf(incoming, '', '', incoming.header('baggage') ?? '');
    if (refusal !== undefined) return plainText(call, 400, `${refusal}\n`);
    return counter === undefined ? admit(call) : counted(call);
  };
}

/** The token exclusion looks at the decoded path as it was sent, not cleaned, with slashes trimmed at both ends. */
const asWritten = (target: string): string => unescaped(splitTarget(target).path).replace(/^\/+|\/+$/g, '');

function unescaped(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // not a health path then
  }
}

const plain400 = (call: HttpCall) => answer(call, 400, ['Content-Type', 'text/plain; charset=utf-8', 'Connection', 'close'], '400 Bad Request');

/** Go's router without fallback: 404 text, or 405 with the methods that would have matched. */
function plainFallback(routes: readonly Route[]): Handler {
  const patterns = routes.map((route) => ({ route, matches: new RegExp(`^/${route.path.replace(/:\w+\{\.\+\}/g, '.+').replace(/:\w+/g, '[^/]+')}$`) }));
  const known = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);
  return (call) => {
    const allowed = [...new Set(patterns.filter((p) => p.matches.test(call.path)).flatMap((p) => p.route.methods))];
    if (allowed.length === 0) return plainText(call, 404, '404 page not found\n');
    return answer(call, 405, known.has(call.incoming.method) ? allowed.flatMap((m) => ['Allow', m]) : [], null);
  };
}
