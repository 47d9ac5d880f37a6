// The beginning of a conversation with a Kafka broker, as far as logging in: what a client says to a broker of Amazon MSK, which none of ours checks.
import { type AddressInfo, createServer, type Socket } from 'node:net';

const apiVersions = 18, saslHandshake = 17, saslAuthenticate = 36;
const int16 = (value: number) => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

/** Takes every client that says `mechanism`; `logins` are what they said. */
export async function startKafkaLogin(mechanism: string) {
  const logins: { mechanism: string; bytes: Buffer }[] = [];
  const sockets = new Set<Socket>();
  const answer = (key: number, version: number, body: Buffer): Buffer => {
    if (key === apiVersions) {
      const supported = [[apiVersions, 0, 2], [saslHandshake, 1, 1], [saslAuthenticate, 0, 0], [3, 0, 5]];
      return Buffer.concat([int16(0), int32(supported.length), ...supported.flat().map(int16), ...(version > 0 ? [int32(0)] : [])]);
    }
    if (key === saslHandshake) {
      const asked = body.subarray(2, 2 + body.readInt16BE()).toString();
      logins.push({ mechanism: asked, bytes: Buffer.alloc(0) });
      return Buffer.concat([int16(asked === mechanism ? 0 : 33), int32(1), int16(mechanism.length), Buffer.from(mechanism)]);
    }
    if (key === saslAuthenticate) {
      const login = logins.at(-1);
      if (login !== undefined) login.bytes = body.subarray(4, 4 + body.readInt32BE());
      return Buffer.concat([int16(0), int16(-1), int32(0)]);
    }
    throw new Error(`a request of kind ${key} is not for here`);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    let waiting = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      waiting = Buffer.concat([waiting, data as Buffer]);
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readInt32BE()) {
        const request = waiting.subarray(4, 4 + waiting.readInt32BE());
        waiting = waiting.subarray(4 + request.length);
        // key, version, number of the request, name of the client, body
        const reply = Buffer.concat([request.subarray(4, 8), answer(request.readInt16BE(), request.readInt16BE(2), request.subarray(10 + Math.max(0, request.readInt16BE(8))))]);
        socket.write(Buffer.concat([int32(reply.length), reply]));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    brokers: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    logins,
    stop: () => new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    }),
  };
}
