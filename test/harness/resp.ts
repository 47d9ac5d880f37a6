// A tiny Redis client (RESP2) that lets tests look at what a store holds; it shares no code with the adapters under test.
import { connect, type Socket } from 'node:net';

type Waiting = { done(reply: unknown): void; fail(error: Error): void };
export type RedisClient = { command(args: (string | Uint8Array)[]): Promise<unknown>; close(): void };

/** Replies are Buffers, numbers, null and arrays of these; an error reply rejects (inside an array it is an Error). */
export function redisClient(port: number): RedisClient {
  let socket: Socket | undefined;
  let waiting: Waiting[] = [];
  let rest: Buffer = Buffer.alloc(0);

  const drop = (error: Error) => {
    socket?.destroy();
    socket = undefined;
    rest = Buffer.alloc(0);
    for (const { fail } of waiting.splice(0)) fail(error);
  };
  const open = () => {
    const mine = connect(port, '127.0.0.1').setNoDelay();
    mine.on('data', (data: Buffer) => {
      rest = Buffer.concat([rest, data]);
      for (let got = parse(rest, 0); got; got = parse(rest, 0)) {
        rest = rest.subarray(got.next);
        const turn = waiting.shift();
        if (got.value instanceof Error) turn?.fail(got.value);
        else turn?.done(got.value);
      }
    });
    mine.on('error', (error) => mine === socket && drop(error));
    mine.on('close', () => mine === socket && drop(new Error('redis closed the connection')));
    return mine;
  };
  return {
    command: (args) =>
      new Promise((done, fail) => {
        socket ??= open();
        waiting = [...waiting, { done, fail }];
        socket.write(encode(args));
      }),
    close: () => drop(new Error('closed')),
  };
}

function encode(args: (string | Uint8Array)[]): Buffer {
  const parts = args.map((arg) => Buffer.from(arg as Uint8Array));
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])]);
}

// undefined: the reply is not complete yet
function parse(bytes: Buffer, at: number): { value: unknown; next: number } | undefined {
  const end = bytes.indexOf('\r\n', at);
  if (end < 0) return undefined;
  const kind = String.fromCharCode(bytes[at] ?? 0);
  const line = bytes.subarray(at + 1, end).toString();
  let next = end + 2;
  if (kind === '+') return { value: Buffer.from(line), next };
  if (kind === '-') return { value: new Error(line), next };
  const count = Number(line);
  if (kind === ':') return { value: count, next };
  if (count < 0) return { value: null, next };
  if (kind === '$') {
    if (bytes.length < next + count + 2) return undefined;
    return { value: bytes.subarray(next, next + count), next: next + count + 2 };
  }
  const list: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const item = parse(bytes, next);
    if (!item) return undefined;
    list.push(item.value);
    next = item.next;
  }
  return { value: list, next };
}
