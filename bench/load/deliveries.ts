// The subscribing app of the publish scenarios, inside the load generator so that both ends of a message share one clock.
import { createServer, type Socket } from 'node:net';
import { frameReader } from './frames.ts';

const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
const notFound = Buffer.from('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
const mark = '"seq":1'; // nine digits follow: numbers with a leading 1 have one length in JSON

/** Listens on the port; `onDelivery` gets the sequence number in each message that arrives at /deliver, or among many at /batch. */
export function listenForDeliveries(port: number, onDelivery: (seq: number) => void): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on(
      'data',
      frameReader((bytes, bodyAt) => {
        const line = bytes.toString('latin1', 0, 64);
        if (line.includes(' /batch')) {
          const { answer, seqs } = batch(bytes.toString('latin1', bodyAt));
          socket.write(answer);
          for (const seq of seqs) onDelivery(seq);
          return;
        }
        const at = line.includes(' /deliver') ? bytes.indexOf(mark, bodyAt) : -1;
        socket.write(at < 0 ? notFound : ok);
        if (at >= 0) onDelivery(Number(bytes.toString('latin1', at + mark.length, at + mark.length + 9)));
      }),
    );
  });
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return new Promise((done) => server.listen(port, '127.0.0.1', () => done({ close })));
}

/** Where each of these ends in the text. (Expressions would cost the generator more than the sidecar has to do.) */
function after(text: string, what: string): number[] {
  const places: number[] = [];
  for (let at = text.indexOf(what); at >= 0; at = text.indexOf(what, at)) places.push((at += what.length));
  return places;
}

/** Every entry of a bulk delivery is a success. */
function batch(body: string): { answer: string; seqs: number[] } {
  const statuses = after(body, '"entryId":"').map((at) => `{"entryId":"${body.slice(at, body.indexOf('"', at))}","status":"SUCCESS"}`);
  const json = `{"statuses":[${statuses.join(',')}]}`;
  return { answer: `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`, seqs: after(body, mark).map((at) => Number(body.slice(at, at + 9))) };
}

/** A request that publishes messages of about a kilobyte, with places for their sequence numbers; `numbered` writes them in. */
export function publishRequest(port: number, path: string, entries = 1) {
  const message = `{${mark}000000000,"text":"${'x'.repeat(1000)}"}`;
  const body = entries === 1 ? message : `[${Array.from({ length: entries }, (_, i) => `{"entryId":"${i}","contentType":"application/json","event":${message}}`).join(',')}]`;
  const bytes = Buffer.from(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const places: number[] = [];
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + 1)) places.push(at + mark.length);
  return {
    numbered(first: number): Buffer {
      const copy = Buffer.from(bytes);
      for (const [i, at] of places.entries()) copy.write(String(first + i).padStart(9, '0'), at, 'latin1');
      return copy;
    },
  };
}
