// Invocation under a policy: which answers count as failures, and how long a call lasts (Dapr: pkg/api/http/directmessaging.go).
import { readBody } from '../../core/body.ts';
import type { CallContext } from '../../core/context.ts';
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { AttemptEnded, Final, StatusFailure } from '../resiliency/failures.ts';
import type { Attempt, Policy } from '../resiliency/policy.ts';
import type { InvokeRequest, InvokeResponse } from './invoke.ts';

/** An answer outside 2xx and 3xx: the policy takes it for a failure, and where it is the last one the caller gets it. */
class Refused extends StatusFailure {
  readonly response: InvokeResponse;
  constructor(response: InvokeResponse) {
    super(response.status, `the app answered ${response.status}`);
    this.response = response;
  }
}

/**
 * Makes the call, again where the policy says so. A body of known length is kept to be sent again; one that comes in chunks is sent once,
 * and whatever is answered to it is final. A call is over, for timeouts and circuit breakers, when its answer has been passed on whole.
 */
export async function invokeUnder(policy: Policy, given: InvokeRequest, context: CallContext, call: (request: InvokeRequest, context: CallContext) => Promise<InvokeResponse>, log: Logger): Promise<InvokeResponse> {
  const streaming = given.body instanceof ReadableStream && given.length === undefined;
  const request = policy.retries && !streaming && given.body instanceof ReadableStream ? { ...given, body: (await readBody(given.body)).bytes } : given;
  return new Promise((resolve, reject) => {
    let answered = false;
    const pass = (response: InvokeResponse) => {
      answered = true;
      resolve(response);
    };
    const once = async (limited: CallContext, attempt: Attempt): Promise<() => Promise<void>> => {
      const response = await call(request, limited);
      const { body, status } = response;
      if (attempt.late) {
        if (body instanceof ReadableStream) body.cancel().catch(() => undefined);
        throw new Final(new AttemptEnded('canceled'));
      }
      const isFailure = status < 200 || status > 399;
      if (isFailure && !streaming) throw new Refused({ ...response, body: body === null ? null : (await readBody(body)).bytes });
      return async () => {
        if (body instanceof ReadableStream) await new Promise<void>((done, broken) => pass({ ...response, body: passedOn(body, limited.signal, done, broken) }));
        else pass(response);
        if (isFailure) throw new Final(new StatusFailure(status, `a call with a body of unknown length was answered ${status}`));
      };
    };
    policy
      .run(context, async (limited, attempt) => {
        if (streaming) attempt.last();
        const passOn = await once(limited, attempt);
        attempt.last();
        await passOn();
      })
      .catch((error: unknown) => {
        if (!answered) return error instanceof Refused ? resolve(error.response) : reject(error);
        if (error instanceof StatusFailure) log.debug(`HTTP service invocation completed with non-success status: ${textOf(error)}`);
        else log.warn(`HTTP service invocation failed to complete with error: ${textOf(error)}`);
      });
  });
}

/** The same stream; tells when it has been read to its end (or nobody wants the rest), or was cut. It is cut when the signal ends. */
function passedOn(stream: ReadableStream<Uint8Array>, signal: AbortSignal | undefined, done: () => void, broken: (error: unknown) => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let cut = () => {};
  const over = () => signal?.removeEventListener('abort', cut);
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      cut = () => {
        const reason: unknown = signal?.reason;
        controller.error(reason);
        broken(reason);
        reader.cancel(reason).catch(() => undefined);
      };
      signal?.addEventListener('abort', cut, { once: true });
    },
    pull: async (controller) => {
      try {
        const { done: ended, value } = await reader.read();
        if (signal?.aborted) return;
        if (!ended) return controller.enqueue(value);
        over();
        controller.close();
        done();
      } catch (error) {
        over();
        controller.error(error);
        broken(error);
      }
    },
    cancel: async (reason) => {
      over();
      done();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
