// How calls between two sidecars, and their answers, travel in the messages of a WebSocket. A message is any number of frames;
// a frame is numbers first, then the head as text, then the body.
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
/** Kind, whether there is a body, status, id, lengths of the head and of the body. */
const fixed = 16;

/** Texts are byte strings without line breaks, as header lines are. */
function frame(kind: number, id: number, status: number, head: string, body: Uint8Array | null): Buffer<ArrayBuffer> {
  const data: Buffer<ArrayBuffer> = Buffer.allocUnsafe(fixed + head.length + (body?.length ?? 0));
  data[0] = kind;
  data[1] = body === null ? 0 : 1;
  data.writeUInt16LE(status, 2);
  data.writeUInt32LE(id, 4);
  data.writeUInt32LE(head.length, 8);
  data.writeUInt32LE(body?.length ?? 0, 12);
  data.write(head, fixed, 'latin1');
  if (body !== null) data.set(body, fixed + head.length);
  return data;
}
export const callFrame = (id: number, method: string, path: string, headers: RawHeaders, body: Uint8Array | null): Buffer<ArrayBuffer> => frame(call, id, 0, headers.length === 0 ? `${method}\n${path}` : `${method}\n${path}\n${headers.join('\n')}`, body);
export const answerFrame = (id: number, status: number, headers: RawHeaders, body: Uint8Array | null): Buffer<ArrayBuffer> => frame(answer, id, status, headers.join('\n'), body);
export const answerElsewhereFrame = (id: number, status: number, headers: RawHeaders, ticket: string): Buffer<ArrayBuffer> => frame(answerElsewhere, id, status, [ticket, ...headers].join('\n'), null);
export const cancelFrame = (id: number): Buffer<ArrayBuffer> => frame(cancel, id, 0, '', null);
export const leavingFrame = (): Buffer<ArrayBuffer> => frame(leaving, 0, 0, '', null);

/** undefined: no frames of this protocol. Bodies are views of `message`. */
export function readFrames(message: Buffer): Frame[] | undefined {
  const frames: Frame[] = [];
  for (let at = 0; at < message.length; ) {
    if (message.length - at < fixed) return undefined;
    const headEnd = at + fixed + message.readUInt32LE(at + 8);
    const end = headEnd + message.readUInt32LE(at + 12);
    if (end > message.length) return undefined;
    const frame = readFrame(message, at, headEnd, end);
    if (frame === undefined) return undefined;
    frames.push(frame);
    at = end;
  }
  return frames;
}

function readFrame(message: Buffer, at: number, headEnd: number, end: number): Frame | undefined {
  const id = message.readUInt32LE(at + 4);
  const words = headEnd === at + fixed ? [] : message.toString('latin1', at + fixed, headEnd).split('\n');
  const body = message[at + 1] === 1 ? message.subarray(headEnd, end) : null;
  const status = message.readUInt16LE(at + 2);
  switch (message[at]) {
    case call: {
      const [method, path] = words;
      return method === undefined || path === undefined || words.length % 2 === 1 ? undefined : { kind: 'call', id, method, path, headers: words.slice(2), body };
    }
    case answer: return words.length % 2 === 1 ? undefined : { kind: 'answer', id, status, headers: words, body };
    case answerElsewhere: {
      const [ticket] = words;
      return ticket === undefined || words.length % 2 === 0 ? undefined : { kind: 'answer', id, status, headers: words.slice(1), body: null, ticket };
    }
    case cancel: return { kind: 'cancel', id };
    case leaving: return { kind: 'leaving' };
    default: return undefined;
  }
}

/** Bytes of frames that are sent together at most, but for one frame alone. */
const together = 64 * 1024;

/** Sends what is written in one turn of the event loop as one message: a write to a socket costs more than all the rest of a call. */
export function frameWriter(send: (message: Buffer<ArrayBuffer>) => void): { write(frame: Buffer<ArrayBuffer>): void; flush(): void } {
  let frames: Buffer<ArrayBuffer>[] = [];
  let size = 0;
  const flush = () => {
    if (frames.length === 0) return;
    const message = frames.length === 1 ? (frames[0] as Buffer<ArrayBuffer>) : Buffer.concat(frames, size);
    frames = [];
    size = 0;
    send(message);
  };
  return {
    write: (frame) => {
      if (size > 0 && size + frame.length > together) flush();
      if (frames.length === 0) setImmediate(flush);
      frames.push(frame);
      size += frame.length;
    },
    flush,
  };
}
