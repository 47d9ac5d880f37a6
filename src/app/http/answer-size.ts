// How many bytes the body of an answer has, for logs and metrics.
import { headerOf, type RawHeaders } from '../../core/host.ts';
import { tellingEnd } from '../../core/stream-end.ts';
import { utf8Length } from '../../core/utf8-length.ts';

export type AnswerBody = Uint8Array | string | ReadableStream<Uint8Array> | null;
export interface AnswerSize {
  /** A promise where only the end of a stream will tell. */
  bytes: number | Promise<number>;
}

/** Notes the size. A stream whose length is declared passes as it is, another comes back as one that is counted. */
export function sized(size: AnswerSize, headers: RawHeaders, body: AnswerBody): AnswerBody {
  if (!(body instanceof ReadableStream)) {
    size.bytes = body === null ? 0 : typeof body === 'string' ? utf8Length(body) : body.length;
    return body;
  }
  const declared = headerOf(headers, 'content-length');
  if (declared !== undefined) {
    size.bytes = Number(declared);
    return body;
  }
  let stream = body;
  size.bytes = new Promise((done) => {
    stream = tellingEnd(body, done);
  });
  return stream;
}
