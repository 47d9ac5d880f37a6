// The multicast port on node:dgram: one listening socket per address family, one sending socket per interface.
import type { Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { MulticastPort } from '../../core/host.ts';

const port = 5353;
const groups = { udp4: '224.0.0.251', udp6: 'ff02::fb' } as const;
type Family = keyof typeof groups;

interface Line {
  family: Family;
  /** IPv4 address of the interface, or its name. */
  at: string;
}

/** Interfaces other machines are reached through; where there is none, the loopback one still joins the sidecars of this machine. */
function lines(): Line[] {
  const found: Line[] = [];
  const inner: Line[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { family, address, internal } of addresses ?? []) {
      if (family === 'IPv4') (internal ? inner : found).push({ family: 'udp4', at: address });
      else if (!internal && address.startsWith('fe80') && !found.some((one) => one.at === name)) found.push({ family: 'udp6', at: name });
    }
  }
  return found.length > 0 ? found : inner;
}

export const nodeMulticast: MulticastPort = {
  join: async (onPacket) => {
    const { createSocket } = await import('node:dgram');
    const senders: { line: Line; socket: Socket }[] = [];
    const listeners: Socket[] = [];
    const all = lines();
    const open = (family: Family, address: string | undefined): Promise<Socket> =>
      new Promise((resolve, reject) => {
        // Every sidecar and every other mDNS service of the machine shares this port.
        const socket = createSocket({ type: family, reuseAddr: true, ...(family === 'udp6' ? { ipv6Only: true } : {}) });
        socket.once('error', reject);
        socket.bind({ port, ...(address === undefined ? {} : { address }), exclusive: false }, () => {
          socket.removeListener('error', reject);
          socket.on('error', () => undefined); // an interface that goes away ends nothing
          socket.unref();
          resolve(socket);
        });
      });
    let problem: unknown = new Error('no network interface');
    for (const family of ['udp4', 'udp6'] as const) {
      const own = all.filter((line) => line.family === family);
      if (own.length === 0) continue;
      try {
        const listener = await open(family, family === 'udp4' ? '0.0.0.0' : '::');
        listener.on('message', (packet, from) => onPacket(packet, from));
        listeners.push(listener);
        for (const line of own) {
          try {
            if (family === 'udp4') listener.addMembership(groups.udp4, line.at);
            else listener.addMembership(groups.udp6, `::%${line.at}`);
            const socket = await open(family, family === 'udp4' ? line.at : '::');
            socket.setMulticastInterface(family === 'udp4' ? line.at : `::%${line.at}`);
            socket.setMulticastTTL(255);
            socket.setMulticastLoopback(true);
            if (family === 'udp4') socket.on('message', (packet, from) => onPacket(packet, from));
            senders.push({ line, socket });
          } catch (error) {
            problem = error;
          }
        }
      } catch (error) {
        problem = error;
      }
    }
    const close = () => {
      for (const socket of [...listeners, ...senders.map((one) => one.socket)]) socket.close();
    };
    if (senders.length === 0) {
      close();
      throw problem;
    }
    let leaving = false;
    let closed = false;
    let onTheWay = 0;
    const finish = () => {
      if (!leaving || closed || onTheWay > 0) return;
      closed = true;
      close();
    };
    return {
      send: (packet, to) => {
        if (closed) return;
        const targets = to === undefined ? senders : senders.filter(({ line }) => (line.family === 'udp6') === to.address.includes(':')).slice(0, 1);
        for (const { line, socket } of targets) {
          onTheWay++;
          socket.send(packet, to?.port ?? port, to?.address ?? (line.family === 'udp4' ? groups.udp4 : `${groups.udp6}%${line.at}`), () => { onTheWay--; finish(); });
        }
      },
      // What was sent last, the good-bye, still goes out.
      close: () => { leaving = true; finish(); },
    };
  },
};
