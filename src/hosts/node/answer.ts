// An answer kept as the core gave it (status, raw headers, body), so that a Node listener writes it without Web objects in between.
import type { RawHeaders } from '../../core/host.ts';

export type AnswerBody = Uint8Array | string | ReadableStream<Uint8Array> | null;

/**
 * Stands where a Response is expected; becomes a real one only for those who look into it. It does not inherit from Response:
 * nobody asks (Hono does not), and Node loads its whole fetch client, 50 ms of the start, when that name is first used.
 */
export class Answer {
  readonly status: number;
  readonly list: RawHeaders;
  readonly content: AnswerBody;
  #real: Response | undefined;
  constructor(status: number, list: RawHeaders, content: AnswerBody) {
    this.status = status;
    this.list = list;
    this.content = content;
  }
  get real(): Response {
    if (this.#real === undefined) {
      const headers = new Headers();
      for (let i = 0; i < this.list.length; i += 2) headers.append(this.list[i] as string, this.list[i + 1] as string);
      const empty = this.status === 204 || this.status === 205 || this.status === 304;
      this.#real = new Response(empty ? null : (this.content as BodyInit | null), { status: this.status, headers });
    }
    return this.#real;
  }
  get headers() { return this.real.headers; }
  get body() { return this.real.body; }
  get bodyUsed() { return this.real.bodyUsed; }
  get ok() { return this.status >= 200 && this.status < 300; }
  get statusText() { return this.real.statusText; }
  clone() { return this.real.clone(); }
  text() { return this.real.text(); }
  json() { return this.real.json(); }
  arrayBuffer() { return this.real.arrayBuffer(); }
}

/** The same for a Response that somebody else made. */
export function answerOf(response: Response): Answer {
  const list: RawHeaders = [];
  for (const [name, value] of response.headers) list.push(name, value);
  return new Answer(response.status, list, response.body);
}
