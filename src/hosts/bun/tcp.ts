// TCP on Bun.connect, as the outbound connections use it: less work for a small call than Bun's node:net.
import type { Connection, ConnectionEvents, Connector } from '../http1/line.ts';

/** https://bun.com/docs/runtime/networking/tcp */
interface BunSocket {
  /** Bytes taken, -1 where it is closed; what is not taken is the caller's to keep until `drain`. */
  write(data: Uint8Array): number;
  write(data: string, encoding: 'latin1'): number;
  pause(): void;
  resume(): void;
  terminate(): void;
}
declare const Bun: {
  connect(options: {
    hostname: string;
    port: number;
    socket: {
      open(socket: BunSocket): void;
      data(socket: BunSocket, bytes: Buffer): void;
      drain(socket: BunSocket): void;
      end(socket: BunSocket): void;
      error(socket: BunSocket, error: Error): void;
      close(socket: BunSocket, error?: Error): void;
      connectError(socket: BunSocket, error: Error): void;
    };
  }): Promise<BunSocket>;
};

/** Up to this size, what belongs together leaves in one write. */
const oneWrite = 64 * 1024;

export const bunTcp: Connector = {
  givesBytes: true,
  connect: (hostname, port, events) => new BunConnection(hostname, port, events),
};

class BunConnection implements Connection {
  readonly #events: ConnectionEvents;
  /** Undefined until it is open. */
  #socket: BunSocket | undefined;
  /** What the system did not take yet. */
  #waiting: Uint8Array[] = [];
  #over = false;

  constructor(hostname: string, port: number, events: ConnectionEvents) {
    this.#events = events;
    const lost = (_socket: BunSocket, error?: Error) => {
      if (this.#over) return;
      this.#over = true;
      events.onLost(error);
    };
    Bun.connect({
      hostname, port,
      socket: {
        open: (socket) => this.#opened(socket),
        data: (_socket, bytes) => { if (!this.#over) events.onBytes(bytes, bytes.length); },
        drain: () => this.#flush(),
        end: lost, error: lost, close: lost, connectError: lost,
      },
    }).catch(() => undefined); // connectError has told
  }

  #opened(socket: BunSocket): void {
    if (this.#over) {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#events.onOpen();
    this.#flush();
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const parts = this.#waiting;
    this.#waiting = [];
    for (const part of parts) this.#send(part);
    if (this.#waiting.length === 0 && !this.#over) this.#events.onDrain();
  }

  #send(part: Uint8Array): void {
    if (this.#socket === undefined || this.#waiting.length > 0) {
      this.#waiting.push(part);
      return;
    }
    // where it is closed its end is told by an event
    const taken = Math.max(0, this.#socket.write(part));
    if (taken < part.length) this.#waiting.push(taken === 0 ? part : part.subarray(taken));
  }

  #sendText(text: string): void {
    if (text === '') return;
    if (this.#socket === undefined || this.#waiting.length > 0) {
      this.#waiting.push(Buffer.from(text, 'latin1'));
      return;
    }
    const taken = Math.max(0, this.#socket.write(text, 'latin1'));
    if (taken < text.length) this.#waiting.push(Buffer.from(text.slice(taken), 'latin1'));
  }

  write(head: string, body: Uint8Array | string = '', tail = ''): boolean {
    if (typeof body === 'string') this.#sendText(head + body + tail);
    else if (body.length <= oneWrite) {
      const whole = Buffer.allocUnsafe(head.length + body.length + tail.length);
      whole.write(head, 0, 'latin1');
      whole.set(body, head.length);
      whole.write(tail, head.length + body.length, 'latin1');
      this.#send(whole);
    } else {
      this.#sendText(head);
      this.#send(body);
      this.#sendText(tail);
    }
    return this.#waiting.length === 0;
  }

  get isFlushed(): boolean { return this.#waiting.length === 0; }
  pause(): void { this.#socket?.pause(); }
  resume(): void { this.#socket?.resume(); }
  destroy(): void {
    this.#over = true;
    this.#socket?.terminate();
  }
}
