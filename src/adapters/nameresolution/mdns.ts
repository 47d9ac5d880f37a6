// nameresolution.mdns: sidecars on one network find each other by multicast DNS, in the form daprd announces and asks (components-contrib/nameresolution/mdns, zeroconf).
import { defineNameResolver, type Instance } from '../../blocks/invoke/port.ts';
import { textOf } from '../../core/errors.ts';
import type { MulticastPort } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { decodeMessage, encodeMessage, type Message, type ResourceRecord, types } from './mdns-packet.ts';

const lifetime = { service: 3200, address: 120 };
/** Questions of one look-up, and how long it waits for an answer. */
const askAt = [0, 120, 400];
const lookupMs = 1000;
/** Addresses count for a minute and are asked for again every half, while somebody uses them. */
const addressMs = 60_000;
const refreshMs = 30_000;
const unusedMs = 300_000;
const serviceTypes = '_services._dns-sd._udp.local';

type Socket = Awaited<ReturnType<MulticastPort['join']>>;

export default defineNameResolver({
  type: 'nameresolution.mdns',
  summary: 'Finds sidecars on the same network by multicast DNS, together with Dapr’s own; needs no configuration.',
  open: async (_configuration, { host, log, self }) => {
    if (self.address === '') throw new Error('address is missing');
    if (self.internalPort <= 0) throw new Error('port is missing or invalid');
    const peers = createPeers();
    if (!host.multicast) {
      log.warn('mDNS: this host has no multicast; other apps are found only through another name resolver');
      return { ...resolverOf(peers, undefined), close: async () => undefined };
    }
    const own = ownRecords(self, host.hostname);
    let socket: Socket | undefined;
    try {
      socket = await host.multicast.join((packet, from) => {
        const message = decodeMessage(packet);
        if (message === undefined || socket === undefined) return;
        if (message.response) peers.learn(message);
        else for (const { packet: answer, unicast } of own.answer(message)) socket.send(answer, unicast ? from : undefined);
      });
    } catch (error) {
      log.warn(`mDNS: no multicast here, other apps are found only through another name resolver: ${textOf(error)}`);
      return { ...resolverOf(peers, undefined), close: async () => undefined };
    }
    const stopAnnouncing = announce(socket, own, log, self);
    const resolver = resolverOf(peers, socket);
    return {
      ...resolver,
      close: async () => {
        stopAnnouncing();
        resolver.stop();
        socket.send(own.announcement(0));
        socket.close();
      },
    };
  },
});

/** What this instance says of itself. */
function ownRecords({ appId, address, internalPort }: Instance, hostname: string) {
  const service = `${appId}.local`;
  // Unique to the process; daprd puts its process id behind the host's name.
  const instance = `${hostname}:${crypto.getRandomValues(new Uint32Array(1))[0]}.${service}`;
  const target = hostname.endsWith('.local') ? hostname : `${hostname}.local`;
  const srv = (ttl: number, flush: boolean): ResourceRecord => ({ type: types.SRV, name: instance, ttl, flush, port: internalPort, target });
  const txt = (ttl: number, flush: boolean): ResourceRecord => ({ type: types.TXT, name: instance, ttl, flush, texts: [appId] });
  const ptr = (ttl: number): ResourceRecord => ({ type: types.PTR, name: service, ttl, target: instance });
  const listed = (ttl: number): ResourceRecord => ({ type: types.PTR, name: serviceTypes, ttl, target: service });
  const ip = (ttl: number, flush: boolean): ResourceRecord => ({ type: address.includes(':') ? types.AAAA : types.A, name: target, ttl, flush, address: address === 'localhost' ? '127.0.0.1' : address.replace(/^\[|\]$/g, '') });
  const everything = (ttl: number, flush: boolean) => [srv(ttl, flush), txt(ttl, flush), ptr(ttl), listed(ttl), ip(ttl === 0 ? 0 : lifetime.address, flush)];
  const message = (more: Partial<Message>): Uint8Array => encodeMessage({ response: true, questions: [], answers: [], authorities: [], additionals: [], ...more });
  const { service: ttl } = lifetime;

  return {
    probe: () => message({ response: false, questions: [{ name: instance, type: types.PTR }], authorities: [srv(ttl, false), txt(ttl, false)] }),
    /** With 0 it says good-bye. */
    announcement: (lives: number = ttl) => message({ answers: everything(lives, true) }),
    /** Answers to a query, and whether each goes to the asker alone. */
    answer: ({ id, questions, answers, authorities }: Message): { packet: Uint8Array; unicast: boolean }[] => {
      if (authorities.length > 0) return []; // somebody's probe
      const knows = (target: string) => answers.some((known) => known.type === types.PTR && known.target === target && known.ttl >= ttl / 2);
      return questions.flatMap(({ name, unicast = false }) => {
        const reply = (parts: Partial<Message>) => [{ packet: message({ ...parts, ...(unicast ? { id } : {}) }), unicast }];
        if (name === service && !knows(instance)) return reply({ answers: [ptr(ttl)], additionals: [srv(ttl, false), txt(ttl, false), ip(lifetime.address, false)] });
        if (name === serviceTypes && !knows(service)) return reply({ answers: [listed(ttl)] });
        return name === instance ? reply({ answers: everything(ttl, false) }) : [];
      });
    },
  };
}

/** Two probes, then two announcements a second apart, in the background. */
function announce(socket: Socket, own: ReturnType<typeof ownRecords>, log: Logger, { appId, address, internalPort }: Instance): () => void {
  const pause = () => 50 + Math.random() * 150;
  const steps: [waitMs: number, packet: () => Uint8Array][] = [[0, own.probe], [pause(), own.probe], [pause(), () => own.announcement()], [1000, () => own.announcement()]];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = (index: number) => {
    const step = steps[index];
    if (step === undefined) return;
    timer = setTimeout(() => {
      socket.send(step[1]());
      next(index + 1);
    }, step[0]);
  };
  next(0);
  log.info(`local service entry announced: ${appId} -> ${address}:${internalPort}`);
  return () => clearTimeout(timer);
}

interface Peer {
  /** `host:port`, or `[address]:port`; IPv4 first. */
  addresses: Map<string, number>;
  usedAt: number;
  /** Look-ups waiting for the first address. */
  waiting: Set<() => void>;
}

/** The apps asked for so far and what is known of them. */
function createPeers(now: () => number = () => performance.now()) {
  const peers = new Map<string, Peer>();
  const live = (peer: Peer): string[] => {
    const at = now();
    const list: string[] = [];
    for (const [address, until] of peer.addresses) {
      if (until > at) list.push(address);
      else peer.addresses.delete(address);
    }
    return list;
  };
  return {
    peers,
    live,
    now,
    peer: (appId: string): Peer => {
      let found = peers.get(appId);
      if (found === undefined) peers.set(appId, (found = { addresses: new Map(), usedAt: now(), waiting: new Set() }));
      return found;
    },
    /** An instance counts when its SRV, TXT (the app id) and an address came in one message, as daprd wants it too. */
    learn: ({ answers, authorities, additionals }: Message) => {
      const records = [...answers, ...authorities, ...additionals];
      for (const srv of records) {
        if (srv.type !== types.SRV) continue;
        const txt = records.find((one) => one.type === types.TXT && one.name === srv.name);
        const appId = txt?.type === types.TXT ? txt.texts[0] : undefined;
        if (appId === undefined || !srv.name.endsWith(`.${appId}.local`)) continue;
        const peer = peers.get(appId);
        if (peer === undefined) continue;
        const hosts = records.filter((one) => (one.type === types.A || one.type === types.AAAA) && one.name === srv.target) as (ResourceRecord & { address: string })[];
        const first = hosts.find((one) => one.type === types.A) ?? hosts[0];
        if (first === undefined) continue;
        const address = `${first.address.includes(':') ? `[${first.address}]` : first.address}:${srv.port}`;
        if (srv.ttl === 0) {
          peer.addresses.delete(address);
          continue;
        }
        peer.addresses.set(address, now() + addressMs);
        for (const wake of peer.waiting) wake();
      }
    },
  };
}

function resolverOf({ peers, peer, live, now }: ReturnType<typeof createPeers>, socket: Socket | undefined) {
  const ask = (appId: string) => socket?.send(encodeMessage({ response: false, questions: [{ name: `${appId}.local`, type: types.PTR }], answers: [], authorities: [], additionals: [] }));
  const refresh = setInterval(() => {
    for (const [appId, known] of peers) {
      if (now() - known.usedAt > unusedMs) peers.delete(appId);
      else ask(appId);
    }
  }, refreshMs);
  (refresh as { unref?: () => void }).unref?.();

  const browse = (appId: string, wanted: Peer): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const questions = askAt.map((ms) => setTimeout(() => ask(appId), ms));
      const end = () => {
        for (const timer of [...questions, deadline]) clearTimeout(timer);
        wanted.waiting.delete(end);
        const list = live(wanted);
        if (list.length > 0) return resolve(list);
        // Nobody of that name: not to be remembered, nor asked for again and again.
        if (wanted.waiting.size === 0 && peers.get(appId) === wanted) peers.delete(appId);
        reject(new Error(`couldn't find service: ${appId}`));
      };
      const deadline = setTimeout(end, lookupMs);
      wanted.waiting.add(end);
    });

  return {
    cacheMs: 0,
    peek: (appId: string) => {
      const known = peers.get(appId);
      if (known === undefined) return undefined;
      known.usedAt = now();
      const list = live(known);
      return list.length > 0 ? list : undefined;
    },
    failed: (appId: string, _namespace: string, address: string) => { peers.get(appId)?.addresses.delete(address); },
    resolve: async (appId: string) => {
      if (socket === undefined || !/^[^.]{1,63}$/.test(appId)) throw new Error(`couldn't find service: ${appId}`);
      const wanted = peer(appId);
      wanted.usedAt = now();
      const list = live(wanted);
      return list.length > 0 ? list : browse(appId, wanted);
    },
    stop: () => clearInterval(refresh),
  };
}
