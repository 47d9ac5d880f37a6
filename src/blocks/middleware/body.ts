// Bodies between the handlers of a pipeline: made from what is there, read only by those who need them.
import { readBody } from '../../core/body.ts';
import { tellingEnd } from '../../core/stream-end.ts';
import type { MiddlewareAnswer, MiddlewareBody } from './port.ts';

const streamOf = (bytes: Uint8Array): ReadableStream<Uint8Array> => new ReadableStream({ start: (controller) => { if (bytes.length > 0) controller.enqueue(bytes); controller.close(); } });

export function bodyOf(source: Uint8Array | ReadableStream<Uint8Array>, length: number | undefined = source instanceof Uint8Array ? source.length : undefined): MiddlewareBody {
  if (source instanceof Uint8Array) return { length, bytes: async () => source, stream: () => streamOf(source) };
  return { length, bytes: async () => (await readBody(source)).bytes, stream: () => source };
}

/** A body that could not be read: whoever asks for it next gets the same error, in its own words. */
export const brokenBody = (error: unknown): MiddlewareBody => ({
  length: undefined,
  bytes: () => Promise.reject(error),
  stream: () => new ReadableStream({ start: (controller) => controller.error(error) }),
});

/** All bytes of an answer's body. */
export const answerBytes = async ({ body }: MiddlewareAnswer): Promise<Uint8Array> => (typeof body === 'string' ? new TextEncoder().encode(body) : (await readBody(body)).bytes);

/** The same answer; `done` is called once: now, or when the last of a streamed body has gone or nobody wants it any more. */
export function whenSent(answer: MiddlewareAnswer, done: () => void): MiddlewareAnswer {
  const { body } = answer;
  if (!(body instanceof ReadableStream)) {
    done();
    return answer;
  }
  return { ...answer, body: tellingEnd(body, done) };
}
