// One keep-alive connection of the load generator: a request goes out as prepared bytes, one is in flight at a time.
import { connect } from 'node:net';
import { frameReader, statusOf } from './frames.ts';

export type Connection = { send(request: Buffer): void; close(): void };

// One read buffer serves all connections: a message is looked at before the next read.
const shared = Buffer.allocUnsafe(256 * 1024);

/** `onAnswer` gets the status of each answer, 0 when the connection broke. */
export function openConnection(port: number, onAnswer: (status: number) => void): Promise<Connection> {
  return new Promise((done, fail) => {
    let open = false;
    const read = frameReader((bytes) => onAnswer(statusOf(bytes)));
    const socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length) => {
          read(shared.subarray(0, length));
          return true;
        },
      },
    });
    socket.once('connect', () => {
      open = true;
      done({
        send: (request) => socket.write(request),
        close: () => {
          open = false;
          socket.destroy();
        },
      });
    });
    socket.once('error', (error) => (open ? undefined : fail(error)));
    socket.once('close', () => {
      if (open) onAnswer(0);
    });
  });
}
