// Addresses and ports as daprd chooses them: HOST_ADDRESS, the stable sidecar-to-sidecar port, listening with patience.
import { hostname, networkInterfaces, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Address other sidecars reach this machine at: DAPR_HOST_IP, else the one the system would send from, else the best of the
 * interfaces; undefined where there is none. Source: dapr/utils/host.go.
 */
export async function hostAddress(env: Readonly<Record<string, string | undefined>>): Promise<string | undefined> {
  return env.DAPR_HOST_IP || (await sourceAddress('udp4', '192.0.2.1')) || (await sourceAddress('udp6', '2001:db8::1')) || bestInterface();
}

/** Connecting a datagram socket sends nothing; it only asks the routing table. */
async function sourceAddress(kind: 'udp4' | 'udp6', to: string): Promise<string | undefined> {
  const { createSocket } = await import('node:dgram');
  const socket = createSocket(kind);
  try {
    const address = await new Promise<string>((done, fail) => {
      socket.once('error', fail);
      socket.connect(9, to, () => done(socket.address().address));
    });
    return reachable(address) ? address : undefined;
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

const reachable = (address: string) => !/^(127\.|0\.0\.0\.0$|::1?$|192\.0\.0\.[0-7]$)/.test(address);

/** Public IPv4, global IPv6, private IPv4, unique local IPv6, link-local. */
export function bestInterface(interfaces = networkInterfaces()): string | undefined {
  const rank = (address: string) => {
    if (address.includes(':')) return /^fe[89ab]/i.test(address) ? 4 : /^f[cd]/i.test(address) ? 3 : 1;
    if (/^169\.254\./.test(address)) return 4;
    return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(address) ? 2 : 0;
  };
  const candidates = Object.values(interfaces).flatMap((list) => list ?? []).filter((one) => !one.internal && reachable(one.address));
  return candidates.map(({ address }) => address).sort((a, b) => rank(a) - rank(b))[0];
}

/** The same port for the same app, folder, user and machine where it is free, else any free one. Source: dapr/pkg/ports/ports.go. */
export async function stablePort(appId: string): Promise<number> {
  const port = portFor(appId, process.cwd(), process.getuid?.() ?? userInfo().uid, hostname());
  return (await canListen(port)) ? port : freePort();
}
export function portFor(appId: string, folder: string, user: number, machine: string): number {
  // not imported: the ES form of this module runs all of Web Crypto, 15 ms of the start
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256').update(`${appId}|${folder}|${user}|${machine}`).digest();
  return 47300 + (hash.readUInt16LE(0) % (65535 - 47300));
}

/** Not imported: 10 ms of the start on Bun, and most sidecars are told their ports. */
const net = () => process.getBuiltinModule('node:net');

/** True where nobody listens on this port of localhost. */
export const canListen = (port: number) =>
  new Promise<boolean>((done) => {
    const server = net().createServer().once('error', () => done(false));
    server.listen(port, 'localhost', () => server.close(() => done(true)));
  });

/** A port nobody listens on at the moment. */
export const freePort = () =>
  new Promise<number>((done, fail) => {
    const server = net().createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });

/** Tries again where an address is taken, after 100 to 500 ms, for at most 10 s. Rejects with the last error. */
export async function patiently<T>(listen: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const until = Date.now() + 10_000;
  for (let pause = 100; ; pause = Math.min(500, pause * 1.5)) {
    try {
      return await listen();
    } catch (error) {
      if (signal.aborted || Date.now() + pause > until) throw error;
      await sleep(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw error;
    }
  }
}
