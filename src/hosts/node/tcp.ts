// TCP on node:net, as the outbound connections use it.
import { connect } from 'node:net';
import type { Connector } from '../http1/line.ts';

/** Bodies up to this size leave in one piece with the head, as text, which is the cheapest write there is. */
const oneWrite = 16 * 1024;
const readSize = 64 * 1024;
/** All sockets read into this: what was read is handed over before the next read. On Windows reads are begun ahead. */
let shared: Buffer | undefined;
const bufferToRead = (): Buffer => (process.platform === 'win32' ? Buffer.allocUnsafeSlow(readSize) : (shared ??= Buffer.allocUnsafeSlow(readSize)));

export const nodeTcp: Connector = {
  givesBytes: false,
  connect: (host, port, { onOpen, onBytes, onDrain, onLost }) => {
    const buffer = bufferToRead();
    const socket = connect({
      host, port, noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          onBytes(buffer, bytes);
          return true;
        },
      },
    });
    socket.once('connect', onOpen);
    socket.on('drain', onDrain);
    socket.on('error', onLost);
    socket.on('end', () => onLost(undefined));
    socket.on('close', () => onLost(undefined));
    return {
      write: (head, body, tail = '') => {
        if (body === undefined) return socket.write(head, 'latin1');
        if (body.length <= oneWrite) return socket.write(head + (typeof body === 'string' ? body : Buffer.prototype.latin1Slice.call(body, 0, body.length)) + tail, 'latin1');
        socket.cork();
        if (head !== '') socket.write(head, 'latin1');
        let free = socket.write(body, 'latin1'); // of bytes it is not asked
        if (tail !== '') free = socket.write(tail, 'latin1');
        socket.uncork();
        return free;
      },
      get isFlushed() { return socket.writableLength === 0; },
      pause: () => { socket.pause(); },
      resume: () => { socket.resume(); },
      destroy: () => { socket.destroy(); },
    };
  },
};
