// An app that breaks HTTP/1.1 in every way we could think of, the same for the same seed; every answer carries the id of the call it is for.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { bytes } from '../harness/raw-http.ts';
import { type Random, randomFrom } from './mutant.ts';

export type Answered = 'whole' | 'broken' | 'either';
type Talk = { socket: Socket; random: Random; id: string; body: string; write(...pieces: (string | Buffer)[]): Promise<void> };
type Trick = {
  /** What the caller must get: the whole answer, never all of it, or it depends on the place of the cut. */
  answered: Answered;
  /** Does not wait for the request's body. */
  early?: true;
  answer(talk: Talk): void | Promise<void>;
};

const head = (id: string, ...lines: string[]) => ['HTTP/1.1 200 OK', `X-Call: ${id}`, ...lines, '', ''].join('\r\n');
const fixed = (id: string, body: string, ...lines: string[]) => head(id, `Content-Length: ${body.length}`, ...lines) + body;
function chunked(random: Random, id: string, body: string, ...lines: string[]): string {
  let text = head(id, 'Transfer-Encoding: chunked', ...lines);
  for (let at = 0; at < body.length; ) {
    const part = body.slice(at, at + 1 + random.below(random.chance(0.5) ? 10 : 5000));
    text += `${part.length.toString(16)}${random.chance(0.2) ? ';a=b' : ''}\r\n${part}\r\n`;
    at += part.length;
  }
  return `${text}0\r\n${random.chance(0.2) ? 'X-Trailer: 1\r\n' : ''}\r\n`;
}
const either = (random: Random, id: string, body: string) => (random.chance(0.5) ? fixed(id, body) : chunked(random, id, body));
const noise = (random: Random, size: number) => Buffer.from(Array.from({ length: size }, () => random.below(256)));

export const tricks: Record<string, Trick> = {
  fixed: { answered: 'whole', answer: ({ write, id, body }) => write(fixed(id, body)) },
  chunked: { answered: 'whole', answer: ({ write, random, id, body }) => write(chunked(random, id, body)) },
  both: { answered: 'whole', answer: ({ write, random, id, body }) => write(chunked(random, id, body, 'Content-Length: 3')) },
  untilClose: { answered: 'whole', answer: ({ socket, id, body }) => { socket.end(head(id) + body, 'latin1'); } },
  says: { answered: 'whole', answer: ({ socket, id, body }) => { socket.end(fixed(id, body, 'Connection: close'), 'latin1'); } },
  announced: { answered: 'whole', answer: ({ write, random, id, body }) => write('HTTP/1.1 103 Early Hints\r\nX-Call: none\r\n\r\n'.repeat(random.below(50)) + fixed(id, body)) },
  pieces: {
    answered: 'whole',
    answer: async ({ write, random, id, body }) => {
      const text = either(random, id, body);
      const cuts = Array.from({ length: 4 }, () => random.below(text.length)).sort((a, b) => a - b);
      await write(...[0, ...cuts].map((cut, i) => text.slice(cut, cuts[i] ?? text.length)));
    },
  },
  drip: { answered: 'whole', answer: ({ write, random, id, body }) => { const text = either(random, id, body); return write(...text.slice(0, 150), text.slice(150)); } },
  // the caller's body is still on its way
  early: { answered: 'whole', early: true, answer: ({ write, random, id, body }) => write(either(random, id, body)) },
  earlyClose: { answered: 'either', early: true, answer: ({ socket, id, body }) => { socket.end(fixed(id, body), 'latin1'); } },
  earlyReset: { answered: 'either', early: true, answer: ({ socket, id, body }) => { socket.write(fixed(id, body), 'latin1', () => socket.resetAndDestroy()); } },
  // another answer behind the first, for a call that was never made
  two: { answered: 'whole', answer: ({ write, id, body }) => write(fixed(id, body) + fixed(`evil-${id}`, `evil-${id};`)) },
  tooMuch: { answered: 'whole', answer: ({ write, random, id, body }) => write(Buffer.concat([bytes(either(random, id, body)), noise(random, 1 + random.below(100))])) },
  cut: { answered: 'either', answer: ({ socket, random, id, body }) => { const text = either(random, id, body); socket.end(text.slice(0, random.below(text.length)), 'latin1'); } },
  cutReset: { answered: 'either', answer: ({ socket, random, id, body }) => { const text = either(random, id, body); socket.write(text.slice(0, random.below(text.length)), 'latin1', () => socket.resetAndDestroy()); } },
  changed: {
    answered: 'either',
    answer: ({ socket, random, id, body }) => {
      const text = bytes(either(random, id, body));
      for (let left = 1 + random.below(3); left > 0; left--) text[random.below(Math.min(text.length, 120))] = random.below(256);
      socket.end(text);
    },
  },
  garbage: { answered: 'broken', answer: ({ socket, random }) => { socket.end(noise(random, 1 + random.below(3000))); } },
  close: { answered: 'broken', answer: ({ socket }) => { socket.end(); } },
  reset: { answered: 'broken', answer: ({ socket }) => { socket.resetAndDestroy(); } },
  late: { answered: 'broken', answer: async ({ socket, random }) => { await sleep(random.below(50)); socket.destroy(); } },
  hugeChunk: { answered: 'broken', answer: ({ socket, random, id, body }) => { socket.end(`${head(id, 'Transfer-Encoding: chunked')}${random.one(['fffffffffffff', 'ffffffffffffffffffff', '-1', '0x10', ' 5', '5 5', ''])}\r\n${body}`, 'latin1'); } },
  hugeLength: { answered: 'broken', answer: ({ socket, random, id, body }) => { socket.end(`${head(id, `Content-Length: ${random.one(['999999999999', '99999999999999999999', '-1', '1e3', '5, 5', ''])}`)}${body}`, 'latin1'); } },
  switched: { answered: 'broken', answer: ({ write }) => write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n') },
  encoded: { answered: 'broken', answer: ({ write, id }) => write(`${head(id, 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`) },
  endlessHead: {
    answered: 'broken',
    answer: async ({ socket, id }) => {
      socket.write(`HTTP/1.1 200 OK\r\nX-Call: ${id}\r\n`);
      for (let i = 0; i < 200 && !socket.destroyed; i++) {
        socket.write(`X-${i}: ${'x'.repeat(900)}\r\n`);
        if (i % 10 === 0) await turn();
      }
      socket.end();
    },
  },
  endlessLine: {
    answered: 'broken',
    answer: async ({ socket, random }) => {
      const start = random.one(['HTTP/1.1 200 ', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n']);
      socket.write(start);
      for (let i = 0; i < 100 && !socket.destroyed; i++) {
        socket.write('y'.repeat(1000));
        if (i % 10 === 0) await turn();
      }
      socket.end();
    },
  },
};
export const trickNames = Object.keys(tricks);

/** What the body of a whole answer is: the id again and again, some bytes or some hundred thousand. */
export const bodyOf = (random: Random, id: string): string => `${id};`.repeat(random.one([1, 1, 1, 3, 100, 5000, 20_000]));

/** Serves `/ID/TRICK/SEED`; any other path gets a plain 200. */
export async function startHostileApp() {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    let got = Buffer.alloc(0);
    let talking = false;
    let answered = false;
    const next = (): void => {
      const end = got.indexOf('\r\n\r\n');
      if (end < 0 || talking) return;
      const text = got.toString('latin1', 0, end);
      const [, id = '', trick = '', seed = '0'] = /^\S+ \/([^/ ]+)\/([^/ ]+)\/(\d+)/.exec(text) ?? [];
      const way = tricks[trick] ?? { answered: 'whole', answer: ({ write }) => write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}') } satisfies Trick;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
      const endless = /\r\ntransfer-encoding: chunked/i.test(text);
      const bodyEnd = endless ? got.indexOf('0\r\n\r\n', end + 4, 'latin1') + 5 : end + 4 + length;
      const arrived = endless ? bodyEnd > 4 : got.length >= bodyEnd;
      if (answered && arrived) {
        // what came behind an early answer is the rest of its request
        answered = false;
        got = got.subarray(bodyEnd);
        next();
        return;
      }
      if (answered || (!arrived && !way.early)) return;
      talking = true;
      const random = randomFrom(Number(seed));
      const body = bodyOf(random, id);
      const write = async (...pieces: (string | Buffer)[]) => {
        for (const [i, piece] of pieces.entries()) {
          if (i > 0) await turn();
          if (!socket.destroyed) socket.write(bytes(piece));
        }
      };
      void Promise.resolve(way.answer({ socket, random, id, body, write })).then(() => {
        talking = false;
        answered = true;
        next();
      });
    };
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data]);
      next();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    /** Connections of this moment, and of all time. */
    open: () => open.size,
    connections: () => connections,
    stop: () => new Promise<void>((done) => {
      server.close(() => done());
      for (const socket of open) socket.destroy();
    }),
  };
}
