// How many bytes the body of an answer has, for logs and metrics.
import { headerOf, type RawHeaders } from '../../core/host.ts';
import { utf8Length } from '../../core/utf8-length.ts';

export type AnswerBody = Uint8Array | string | ReadableStream<Uint8Array> | null;

/** undefined: only the end of the stream will tell. */
export function sizeOf(headers: RawHeaders, body: AnswerBody): number | undefined {
  if (body === null) return 0;
  if (typeof body === 'string') return utf8Length(body);
  if (!(body instanceof ReadableStream)) return body.length;
  const declared = headerOf(headers, 'content-length');
  return declared === undefined ? undefined : Number(declared);
}
