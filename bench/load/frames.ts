// Cuts a byte stream into whole HTTP/1.1 messages (requests or answers) with as little work as possible.

/** `bytes` holds one whole message and is only good during the call; `bodyAt` is where its body begins. */
export type OnFrame = (bytes: Buffer, bodyAt: number) => void;

export function frameReader(onFrame: OnFrame): (chunk: Buffer) => void {
  let rest: Buffer | undefined;
  return (chunk) => {
    let bytes = rest ? Buffer.concat([rest, chunk]) : chunk;
    rest = undefined;
    while (bytes.length > 0) {
      const split = bytes.indexOf('\r\n\r\n');
      const end = split < 0 ? -1 : frameEnd(bytes, split);
      if (end < 0 || end > bytes.length) {
        rest = Buffer.from(bytes); // the chunk's memory is used again
        return;
      }
      onFrame(end === bytes.length ? bytes : bytes.subarray(0, end), split + 4);
      bytes = bytes.subarray(end);
    }
  };
}

// -1: not known yet
function frameEnd(bytes: Buffer, split: number): number {
  const head = bytes.toString('latin1', 0, split);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (length) return split + 4 + Number(length[1]);
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return split + 4;
  const last = bytes.indexOf('\r\n0\r\n\r\n', split + 2);
  return last < 0 ? -1 : last + 7;
}

/** The status of an answer: the three digits after `HTTP/1.1 `. */
export const statusOf = (bytes: Buffer): number => (bytes[9] as number) * 100 + (bytes[10] as number) * 10 + (bytes[11] as number) - 5328;
