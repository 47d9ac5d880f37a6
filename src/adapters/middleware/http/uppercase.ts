// middleware.http.uppercase: bodies in capital letters (Dapr: cmd/daprd/components/middleware_http_uppercase.go). For tests.
import { withoutHeaders } from '../../../core/host.ts';
import { schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware, type MiddlewareAnswer, type MiddlewareBody } from '../../../blocks/middleware/port.ts';
import * as z from 'zod';

export default defineHttpMiddleware({
  type: 'middleware.http.uppercase',
  status: 'alpha',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  summary: 'Turns the letters of a body into capitals. For tests.',
  metadata: schema({ direction: z.string().default('request').describe('`request`, `response` or `both`; the name must be spelled like this') }),
  open: async (_metadata, { properties }) => {
    // read by its exact name, as upstream does; anything unknown means the request
    const direction = (properties.direction ?? '').toLowerCase();
    const request = direction !== 'response';
    const response = direction === 'response' || direction === 'both';
    return {
      handle: async (asked, next) => {
        const answer = await next(request && asked.body !== null ? { ...asked, body: inCapitals(asked.body) } : asked);
        return response ? answerInCapitals(answer) : answer;
      },
      close: async () => undefined,
    };
  },
});

/** Unlike String.toUpperCase, one character stays one: ß has no capital. */
export function capitals(text: string): string {
  let out = '';
  for (const character of text) {
    const upper = character.toUpperCase();
    out += upper.length === character.length || [...upper].length === 1 ? upper : character;
  }
  return out;
}

const encoder = new TextEncoder();
const capitalStream = (source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return source.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
    transform: (part, controller) => controller.enqueue(encoder.encode(capitals(decoder.decode(part, { stream: true })))),
    flush: (controller) => {
      const rest = decoder.decode();
      if (rest !== '') controller.enqueue(encoder.encode(capitals(rest)));
    },
  }));
};
const capitalBytes = (bytes: Uint8Array): Uint8Array => encoder.encode(capitals(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)));

/** How long it will be is not known: some capitals have more bytes than their small letters. */
const inCapitals = (body: MiddlewareBody): MiddlewareBody => ({ length: undefined, bytes: async () => capitalBytes(await body.bytes()), stream: () => capitalStream(body.stream()) });

function answerInCapitals({ status, headers, body }: MiddlewareAnswer): MiddlewareAnswer {
  return { status, headers: withoutHeaders(headers, ['content-length']), body: body === null ? null : typeof body === 'string' ? capitals(body) : body instanceof Uint8Array ? capitalBytes(body) : capitalStream(body) };
}
