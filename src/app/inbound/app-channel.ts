// The channel to the app beside this sidecar: where it listens, the token it is shown, how many requests it gets at once.
import type { AppChannel, AppRequest } from '../../blocks/invoke/app-channel.ts';
import type { CallContext } from '../../core/context.ts';
import { hasHeader, type Host, HttpFailure, type HttpRequest, type HttpResponse, type RawHeaders, withoutHeaders } from '../../core/host.ts';
import { tellingEnd } from '../../core/stream-end.ts';
import type { Settings } from '../settings.ts';
import { createTurns, type Turns } from './turns.ts';

export interface AppChannelOptions {
  /** False while app health checks say the app is unhealthy; default always healthy. */
  isHealthy?: () => boolean;
  /** Places that others take too; default: as many as the settings say, of its own. */
  turns?: Turns | undefined;
}

/** --app-max-concurrency; undefined: no limit. */
export const turnsOf = ({ app }: Settings): Turns | undefined => (app.maxConcurrency > 0 ? createTurns(app.maxConcurrency) : undefined);

/** undefined without an app port. Needs no connection to the app yet. */
export function createAppChannel(settings: Settings, host: Host, { isHealthy = () => true, turns = turnsOf(settings) }: AppChannelOptions = {}): AppChannel | undefined {
  const { app, appToken } = settings;
  if (app.port === 0) return undefined;
  const { protocol } = app;
  const origin = `${protocol === 'https' || protocol === 'grpcs' ? 'https' : 'http'}://${app.address.includes(':') && !app.address.startsWith('[') ? `[${app.address}]` : app.address}:${app.port}`;
  const speaksGrpc = protocol === 'grpc' || protocol === 'grpcs';
  // The certificate of an app behind https is not checked: it is the app's own, on this machine.
  const transport: Pick<HttpRequest, 'insecure' | 'h2c'> = { ...(protocol === 'https' ? { insecure: true } : {}), ...(protocol === 'h2c' ? { h2c: true } : {}) };
  let closed = false;

  const post = ({ method, path, headers, body }: AppRequest, context: CallContext): Promise<HttpResponse> =>
    host.http.send({ method, origin, path, headers: complete(headers, appToken, context), body, gone: () => context.signal, ...transport });

  return {
    origin,
    get healthy() { return isHealthy(); },
    send: async (request, context) => {
      if (closed) throw new HttpFailure('aborted', 'the app channel is closed');
      if (speaksGrpc) throw new HttpFailure('other', `the app speaks gRPC (--app-protocol ${protocol}), and this version of Outrigger cannot call such apps`);
      if (turns === undefined) return post(request, context);
      const release = await turns.take(context.signal);
      try {
        const response = await post(request, context);
        if (!(response.body instanceof ReadableStream)) release();
        else response.body = tellingEnd(response.body, release); // the turn is held until then
        return response;
      } catch (error) {
        release();
        throw error;
      }
    },
    close: async () => { closed = true; },
  };
}

/** Adds what the request does not say itself; the app's token always takes the place of a caller's. */
function complete(headers: RawHeaders, appToken: string, { traceparent, tracestate, baggage }: CallContext): RawHeaders {
  const more: RawHeaders = [];
  // A tracestate without the traceparent it belongs to says nothing.
  if (traceparent !== '' && !hasHeader(headers, 'Traceparent')) {
    more.push('Traceparent', traceparent);
    if (tracestate !== '') more.push('Tracestate', tracestate);
  }
  if (baggage !== '' && !hasHeader(headers, 'Baggage')) more.push('Baggage', baggage);
  if (appToken === '') return more.length === 0 ? headers : headers.concat(more);
  more.push('Dapr-Api-Token', appToken);
  return withoutHeaders(headers, ['dapr-api-token']).concat(more);
}
