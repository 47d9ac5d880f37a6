// How a call between two sidecars, and its answer, travel as one message of a WebSocket: numbers first, then the head as text, then the body.
import type { RawHeaders } from '../../core/host.ts';

/** Name of this protocol in Sec-WebSocket-Protocol. */
export const peerProtocol = 'outrigger-leg.1';
/** On a request of the HTTP leg: fetches the body of an answer that was too large, or not yet known, for one message. */
export const pickUpHeader = 'outrigger-pick-up';
/** Bodies up to this many bytes travel as messages. */
export const maxMessageBody = 256 * 1024;

export type Frame =
  | { kind: 'call'; id: number; method: string; path: string; headers: RawHeaders; body: Uint8Array | null }
  /** `ticket`: the body waits on the HTTP leg under this name. */
  | { kind: 'answer'; id: number; status: number; headers: RawHeaders; body: Uint8Array | null; ticket?: string }
  /** The caller no longer wants the answer. */
  | { kind: 'cancel'; id: number }
  /** The callee ends: calls in hand are answered, new ones go another way. */
  | { kind: 'leaving' };

const call = 1;
const answer = 2;
const answerElsewhere = 3;
const cancel = 4;
const leaving = 5;
/** Kind, id, status, whether there is a body, length of the head. */
const fixed = 12;

/** Texts are byte strings without line breaks, as header lines are. */
function frame(kind: number, id: number, status: number, head: string, body: Uint8Array | null): Buffer<ArrayBuffer> {
  const data: Buffer<ArrayBuffer> = Buffer.allocUnsafe(fixed + head.length + (body?.length ?? 0));
  data[0] = kind;
  data[1] = body === null ? 0 : 1;
  data.writeUInt16LE(status, 2);
  data.writeUInt32LE(id, 4);
  data.writeUInt32LE(head.length, 8);
  data.write(head, fixed, 'latin1');
  if (body !== null) data.set(body, fixed + head.length);
  return data;
}
export const callFrame = (id: number, method: string, path: string, headers: RawHeaders, body: Uint8Array | null): Buffer<ArrayBuffer> => frame(call, id, 0, headers.length === 0 ? `${method}\n${path}` : `${method}\n${path}\n${headers.join('\n')}`, body);
export const answerFrame = (id: number, status: number, headers: RawHeaders, body: Uint8Array | null): Buffer<ArrayBuffer> => frame(answer, id, status, headers.join('\n'), body);
export const answerElsewhereFrame = (id: number, status: number, headers: RawHeaders, ticket: string): Buffer<ArrayBuffer> => frame(answerElsewhere, id, status, [ticket, ...headers].join('\n'), null);
export const cancelFrame = (id: number): Buffer<ArrayBuffer> => frame(cancel, id, 0, '', null);
export const leavingFrame = (): Buffer<ArrayBuffer> => frame(leaving, 0, 0, '', null);

/** undefined: no frame of this protocol. The body is a view of `data`. */
export function readFrame(data: Buffer): Frame | undefined {
  if (data.length < fixed) return undefined;
  const id = data.readUInt32LE(4);
  const end = fixed + data.readUInt32LE(8);
  if (end > data.length) return undefined;
  const words = end === fixed ? [] : data.toString('latin1', fixed, end).split('\n');
  const body = data[1] === 1 ? data.subarray(end) : null;
  switch (data[0]) {
    case call: {
      const [method, path, ...headers] = words;
      return method === undefined || path === undefined || headers.length % 2 === 1 ? undefined : { kind: 'call', id, method, path, headers, body };
    }
    case answer: return words.length % 2 === 1 ? undefined : { kind: 'answer', id, status: data.readUInt16LE(2), headers: words, body };
    case answerElsewhere: {
      const [ticket, ...headers] = words;
      return ticket === undefined || headers.length % 2 === 1 ? undefined : { kind: 'answer', id, status: data.readUInt16LE(2), headers, body: null, ticket };
    }
    case cancel: return { kind: 'cancel', id };
    case leaving: return { kind: 'leaving' };
    default: return undefined;
  }
}
