// Calls to Google Cloud Pub/Sub through its REST API, which says the same as the gRPC one (cloud.google.com/pubsub/docs/reference/rest).
import { readBody } from '../../core/body.ts';
import { AdapterError, textOf } from '../../core/errors.ts';
import { textOfBytes, utf8 } from '../../core/go-json.ts';
import type { Host } from '../../core/host.ts';
import { pause } from '../../core/pause.ts';
import type { GoogleTokens } from './credentials.ts';

/** The service said no, or nothing. `status` is the gRPC code: `NOT_FOUND`, `UNAVAILABLE`… */
export class RpcFailure extends AdapterError {
  readonly status: string;
  constructor(status: string, message: string, cause?: unknown) {
    super(transient.has(status) ? 'unavailable' : 'invalid', `rpc error: code = ${status.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, c: string) => c.toUpperCase())} desc = ${message}`, cause);
    this.status = status;
  }
  /** Another try may help. */
  get transient(): boolean {
    return transient.has(this.status);
  }
}
const transient = new Set(['ABORTED', 'INTERNAL', 'UNKNOWN', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED']);
const statuses: Record<number, string> = { 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 409: 'ALREADY_EXISTS', 429: 'RESOURCE_EXHAUSTED', 500: 'INTERNAL', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED' };

export interface ReceivedMessage {
  ackId: string;
  message: { data?: string; messageId?: string; orderingKey?: string; publishTime?: string; attributes?: Record<string, string> };
}
interface Answer {
  receivedMessages?: ReceivedMessage[];
  messageIds?: string[];
}
export interface GooglePubSub {
  /** `resource` follows `/v1/projects/<project>/`: `topics/orders:publish`. Rejects with RpcFailure; tries again for a minute where that may help, unless `once`. */
  call(method: 'GET' | 'PUT' | 'POST', resource: string, body?: unknown, options?: { signal?: AbortSignal | undefined; once?: boolean }): Promise<Answer>;
}

const [firstPauseMs, pauseGrowth, tryingMs] = [100, 1.3, 60_000];

/** `emulator`: `host:port` or an address; it is called without credentials. */
export function connectGooglePubSub(host: Host, project: string, access: { emulator: string } | { tokens: GoogleTokens }): GooglePubSub {
  const origin = 'emulator' in access ? emulatorOrigin(access.emulator) : 'https://pubsub.googleapis.com';
  const once = async (method: string, resource: string, body: unknown, signal: AbortSignal | undefined): Promise<Answer> => {
    const headers = [...('tokens' in access ? ['Authorization', await access.tokens()] : []), ...(body === undefined ? [] : ['Content-Type', 'application/json'])];
    const request = { method, origin, path: `/v1/projects/${encodeURIComponent(project)}/${resource}`, headers, body: body === undefined ? null : utf8(JSON.stringify(body)), ...(signal ? { signal } : {}) };
    const { status, text } = await host.http.send(request).then(
      async ({ status, body }) => ({ status, text: textOfBytes((await readBody(body)).bytes) }),
      (error) => {
        throw new RpcFailure('UNAVAILABLE', textOf(error), error);
      },
    );
    if (status < 200 || status > 299) throw failureOf(status, text);
    return text.trim() === '' ? {} : (JSON.parse(text) as Answer);
  };
  return {
    call: async (method, resource, body, { signal, once: noRetry = false } = {}) => {
      const end = Date.now() + tryingMs;
      for (let pauseMs = firstPauseMs; ; pauseMs *= pauseGrowth) {
        try {
          return await once(method, resource, body, signal);
        } catch (error) {
          const again = !noRetry && error instanceof RpcFailure && error.transient && !signal?.aborted && Date.now() + pauseMs < end;
          if (!again) throw error;
          await pause(pauseMs * Math.random(), signal ?? never);
        }
      }
    },
  };
}
const never = new AbortController().signal;

const emulatorOrigin = (address: string): string => new URL(/^https?:\/\//.test(address) ? address : `http://${address}`).origin;

function failureOf(code: number, text: string): RpcFailure {
  try {
    const { error } = JSON.parse(text) as { error?: { status?: string; message?: string } };
    if (error !== undefined) return new RpcFailure(error.status ?? statuses[code] ?? 'UNKNOWN', error.message ?? '');
  } catch {
    // no JSON: a proxy's word
  }
  return new RpcFailure(statuses[code] ?? 'UNKNOWN', `unexpected HTTP status ${code}: ${text.slice(0, 200)}`);
}
