// The subscribing app of the publish scenario, inside the load generator so that both ends of a message share one clock.
import { createServer, type Socket } from 'node:net';
import { frameReader } from './frames.ts';

const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
const notFound = Buffer.from('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
const mark = '"seq":1'; // nine digits follow: numbers with a leading 1 have one length in JSON

/** Listens on the port; `onDelivery` gets the sequence number in each message that arrives at /deliver. */
export function listenForDeliveries(port: number, onDelivery: (seq: number) => void): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on(
      'data',
      frameReader((bytes, bodyAt) => {
        const at = bytes.toString('latin1', 0, 64).includes(' /deliver') ? bytes.indexOf(mark, bodyAt) : -1;
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

/** A publish request of about a kilobyte, with a place for the sequence number; `numbered` writes it in. */
export function publishRequest(port: number, path: string) {
  const body = `{${mark}000000000,"text":"${'x'.repeat(1000)}"}`;
  const bytes = Buffer.from(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const at = bytes.indexOf(mark) + mark.length;
  return {
    numbered(seq: number): Buffer {
      const copy = Buffer.from(bytes);
      copy.write(String(seq).padStart(9, '0'), at, 'latin1');
      return copy;
    },
  };
}
