// As much of an LDAP server as PostgreSQL asks for to check a user's password: simple binds (RFC 4511). Unlike SCRAM it is told the password itself, as Amazon RDS is.
import { type AddressInfo, createServer, type Socket } from 'node:net';

interface Part {
  tag: number;
  value: Buffer;
  /** Of the first byte behind it. */
  end: number;
}

/** `check` says whether the password is good; the user is the bind's name as it came. */
export async function startLdap(check: (user: string, password: string) => boolean | Promise<boolean>) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let rest: Buffer = Buffer.alloc(0);
    socket.on('data', async (data: Buffer) => {
      rest = Buffer.concat([rest, data]);
      for (let message = partAt(rest, 0); message !== undefined; message = partAt(rest, 0)) {
        rest = rest.subarray(message.end);
        const id = partAt(message.value, 0) as Part;
        const request = partAt(message.value, id.end) as Part;
        if (request.tag !== 0x60) return void socket.end(); // unbind
        const version = partAt(request.value, 0) as Part;
        const name = partAt(request.value, version.end) as Part;
        const password = partAt(request.value, name.end) as Part;
        const code = (await check(name.value.toString(), password.value.toString())) ? 0 : 49; // invalidCredentials
        const answer = Buffer.from([0x61, 7, 0x0a, 1, code, 4, 0, 4, 0]);
        socket.write(Buffer.concat([Buffer.from([0x30, id.value.length + 2 + answer.length, 2, id.value.length]), id.value, answer]));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One value of BER; undefined where it has not come whole. */
function partAt(bytes: Buffer, from: number): Part | undefined {
  const [tag, short] = [bytes[from], bytes[from + 1]];
  if (tag === undefined || short === undefined) return undefined;
  const more = short < 128 ? 0 : short - 128;
  const begin = from + 2 + more;
  if (bytes.length < begin) return undefined;
  const end = begin + (more === 0 ? short : bytes.readUIntBE(from + 2, more));
  return bytes.length < end ? undefined : { tag, value: bytes.subarray(begin, end), end };
}
