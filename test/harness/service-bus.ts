// A contract server that speaks Azure Service Bus's AMQP 1.0 as its protocol guide documents it. Neither the service nor its emulator, which is a container image only.
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import rhea, { type EventContext, type Message, type Sender } from 'rhea';
import { type AmqpServerOptions, startAzureAmqp } from './azure-amqp.ts';
import { openJournal } from './journal.ts';

interface Stored {
  message: Message;
  sequence: number;
  deliveries: number;
  enqueued: Date;
}
interface Locked extends Stored {
  queue: Queue;
  reader: Sender;
  /** Milliseconds since 1970. */
  until: number;
}
interface Queue {
  waiting: Stored[];
  readers: Set<Sender>;
  /** Sessions that somebody reads, with the end of the lock. */
  sessions: Map<string, { reader: Sender; until: number }>;
}
const batchFormat = 0x80013700;
const maxDeliveries = 10;
const sessionFilter = 'com.microsoft:session-filter';
const sessionOf = ({ message }: Stored): string | undefined => (message as { group_id?: string }).group_id;

/** `message` is what AMQP makes of it, in Base64. */
type Entry = { store: string; message: string; enqueued: number } | { done: number };

/**
 * Everything is there at once. `subscriptions`: what is sent to is a topic, and these are its subscriptions; without them it is a queue.
 * `journal`: a file with everything but locks and numbers of deliveries.
 */
export async function startServiceBus({ subscriptions = [] as string[], lockMs = 30_000, journal: file, ...options }: { subscriptions?: string[]; lockMs?: number; journal?: string } & AmqpServerOptions = {}) {
  const journal = openJournal<Entry>(file);
  const finished = new Set(journal.past.map((entry) => ('done' in entry ? entry.done : undefined)));
  const queues = new Map<string, Queue>();
  const locked = new Map<string, Locked>();
  const dead: string[] = [];
  const sent: { entity: string; message: Message }[] = [];
  /** Sessions in the order in which they were accepted, and given back. */
  const sessionLog: string[] = [];
  /** Conditions that the next messages are refused with. */
  const refusals: string[] = [];
  let sequence = 0, renewals = 0, sessionRenewals = 0;

  const queueOf = (name: string): Queue => {
    const known = queues.get(name) ?? { waiting: [], readers: new Set(), sessions: new Map() };
    queues.set(name, known);
    return known;
  };
  /** How many a reader has been given; the library takes more than there is credit for, and keeps them. */
  const given = new WeakMap<Sender, number>();
  const hasRoom = (reader: Sender) => reader.is_open() && (reader as unknown as { credit: number }).credit > (given.get(reader) ?? 0) - (reader as unknown as { delivery_count: number }).delivery_count;
  const hand = (queue: Queue, reader: Sender, one: Stored) => {
    given.set(reader, (given.get(reader) ?? 0) + 1);
    const tag = randomBytes(16);
    const until = Date.now() + lockMs;
    locked.set(tag.toString('hex'), { ...one, queue, reader, until });
    const annotations = { ...one.message.message_annotations, 'x-opt-sequence-number': rhea.types.wrap_long(one.sequence), 'x-opt-enqueued-time': one.enqueued, 'x-opt-locked-until': new Date(until) };
    reader.send({ ...one.message, delivery_count: one.deliveries, message_annotations: annotations }, tag);
  };
  const give = (queue: Queue) => {
    for (const [id, { reader }] of queue.sessions)
      for (let at = queue.waiting.findIndex((one) => sessionOf(one) === id); at >= 0 && hasRoom(reader); at = queue.waiting.findIndex((one) => sessionOf(one) === id)) hand(queue, reader, queue.waiting.splice(at, 1)[0] as Stored);
    for (const reader of [...queue.readers]) {
      while (queue.waiting.length > 0 && hasRoom(reader)) hand(queue, reader, queue.waiting.shift() as Stored);
      // Readers of one queue take turns.
      queue.readers.delete(reader);
      queue.readers.add(reader);
      if (queue.waiting.length === 0) break;
    }
  };
  const store = (entity: string, message: Message, enqueued = new Date()) => {
    sent.push({ entity, message });
    const targets = subscriptions.length > 0 ? subscriptions.map((name) => `${entity}/Subscriptions/${name}`) : [entity];
    for (const name of targets) {
      const queue = queueOf(name);
      if (!finished.has(++sequence)) queue.waiting.push({ message, sequence, deliveries: 0, enqueued });
      give(queue);
    }
  };
  const take = (entity: string, message: Message) => {
    if (file !== undefined) journal.add({ store: entity, message: Buffer.from(rhea.message.encode(message) as unknown as Uint8Array).toString('base64'), enqueued: Date.now() });
    store(entity, message);
  };
  for (const entry of journal.past) if ('store' in entry) store(entry.store, rhea.message.decode(Buffer.from(entry.message, 'base64') as never) as unknown as Message, new Date(entry.enqueued));
  const again = (id: string) => {
    const one = locked.get(id);
    if (one === undefined) return;
    locked.delete(id);
    if (one.deliveries + 1 >= maxDeliveries) return void dead.push(String(one.message.body?.content ?? one.message.body));
    one.queue.waiting.push({ message: one.message, sequence: one.sequence, enqueued: one.enqueued, deliveries: one.deliveries + 1 });
    one.queue.waiting.sort((a, b) => a.sequence - b.sequence);
    give(one.queue);
  };
  /** What a reader of sessions has in hand and its session are free again. */
  const leave = (fits: (reader: Sender) => boolean) => {
    for (const queue of queues.values()) {
      for (const reader of queue.readers) if (fits(reader)) queue.readers.delete(reader);
      for (const [id, { reader }] of queue.sessions) {
        if (!fits(reader)) continue;
        queue.sessions.delete(id);
        sessionLog.push(`-${id}`);
        for (const [tag, one] of locked) if (one.reader === reader) again(tag);
      }
    }
  };
  const expiry = setInterval(() => {
    const now = Date.now();
    for (const [id, { until, reader, queue }] of locked) if (until < now && ![...queue.sessions.values()].some((session) => session.reader === reader)) again(id);
    for (const queue of queues.values()) for (const { reader, until } of queue.sessions.values()) if (until < now) {
      reader.close({ condition: 'com.microsoft:session-lock-lost', description: 'The session lock has expired.' });
      leave((one) => one === reader);
    }
  }, 50);
  const renew = (tokens: Buffer[]) =>
    tokens.map((token) => {
      // A GUID in network order here, in .NET's order as the tag of the delivery.
      const [a, b, c, rest] = [token.subarray(0, 4), token.subarray(4, 6), token.subarray(6, 8), token.subarray(8)].map((part) => Buffer.from(part)) as [Buffer, Buffer, Buffer, Buffer];
      const one = locked.get(Buffer.concat([a.reverse(), b.reverse(), c.reverse(), rest]).toString('hex'));
      if (one === undefined) return undefined;
      renewals++;
      one.until = Date.now() + lockMs;
      return new Date(one.until);
    });
  const server = await startAzureAmqp(({ connection, receiver, message, delivery }) => {
    const entity = receiver?.target.address as string;
    const to = message.reply_to as string;
    if (entity.endsWith('/$management')) {
      delivery?.accept();
      const body = message.body as { 'lock-tokens'?: Buffer[]; 'session-id'?: string };
      if (message.application_properties?.operation === 'com.microsoft:renew-session-lock') {
        const session = queueOf(entity.replace(/\/\$management$/, '')).sessions.get(body['session-id'] ?? '');
        if (session === undefined) return server.reply(connection, to, message, 410);
        sessionRenewals++;
        session.until = Date.now() + lockMs;
        return server.reply(connection, to, message, 200, { expiration: new Date(session.until) });
      }
      const until = renew(body['lock-tokens'] ?? []);
      const isLost = until.includes(undefined);
      return server.reply(connection, to, message, isLost ? 410 : 200, isLost ? undefined : { expirations: rhea.types.wrap_array(until, 0x83, undefined) });
    }
    const refusal = refusals.shift();
    if (refusal !== undefined) return delivery?.reject({ condition: refusal, description: 'asked for by the test' });
    delivery?.accept();
    if ((delivery as unknown as { format: number }).format !== batchFormat) return take(entity, message);
    // The library hands over a format it does not know as bytes.
    const { body } = rhea.message.decode(message as unknown as Buffer) as unknown as { body: { content: Buffer | Buffer[] } };
    for (const part of [body.content].flat()) take(entity, rhea.message.decode(part) as unknown as Message);
  }, options);
  const { container } = server;
  container.on('sender_open', ({ sender }: EventContext) => {
    if (sender === undefined) return;
    const { address, filter } = sender.source as { address: string; filter?: Record<string, unknown> };
    sender.set_target({ address: sender.target?.address as string });
    const sessions = filter !== undefined && Object.hasOwn(filter, sessionFilter);
    if (!sessions) sender.set_source({ address } as never);
    if (address === '$cbs' || address.endsWith('/$management')) return;
    // Whoever wants to hear that its outcomes have arrived gets that.
    const { local, remote } = sender as unknown as { local: { attach: { rcv_settle_mode?: number; properties?: unknown } }; remote: { attach: { rcv_settle_mode?: number } } };
    local.attach.rcv_settle_mode = remote.attach.rcv_settle_mode;
    const queue = queueOf(address);
    if (!sessions) return void queue.readers.add(sender);
    // A link that is refused is opened without a source, then closed. Whoever names none gets the first with messages. The service waits for one as long as the client wants to; here it says at once that there is none.
    const asked = filter[sessionFilter] as { value: unknown } | string | null; // some clients describe the value, some do not
    const wanted = typeof asked === 'object' ? asked?.value : asked;
    const free = queue.waiting.map(sessionOf).find((id) => id !== undefined && !queue.sessions.has(id));
    const id = typeof wanted === 'string' ? wanted : free;
    if (id === undefined || queue.sessions.has(id)) return void sender.close({ condition: id === undefined ? 'com.microsoft:timeout' : 'com.microsoft:session-cannot-be-locked', description: 'no session' });
    const until = Date.now() + lockMs;
    queue.sessions.set(id, { reader: sender, until });
    sessionLog.push(`+${id}`);
    const ticks = Buffer.alloc(8);
    ticks.writeBigInt64BE(BigInt(until) * 10_000n + 621_355_968_000_000_000n);
    local.attach.properties = { 'com.microsoft:locked-until-utc': rhea.types.wrap_long(ticks as never) };
    sender.set_source({ address, filter: { [sessionFilter]: typeof asked === 'object' && asked !== null ? rhea.types.wrap_described(id, 0x137000000c) : id } } as never);
    give(queue);
  });
  container.on('sendable', ({ sender }: EventContext) => {
    const queue = queues.get(sender?.source?.address as string);
    if (queue !== undefined) give(queue);
  });
  // A reader that gives its credit back: the library counts it as if it had been used.
  container.on('sender_draining', ({ sender }: EventContext) => {
    if (sender !== undefined) given.set(sender, (given.get(sender) ?? 0) + (sender as unknown as { credit: number }).credit);
  });
  container.on('disconnected', ({ connection }) => leave((reader) => reader.connection === connection));
  container.on('sender_close', ({ sender }: EventContext) => leave((reader) => reader === sender));
  /** The service settles what its client says of a message: that is the client's answer. */
  const settled = (outcome: 'accepted' | 'modified', then: (id: string) => void) => ({ delivery }: EventContext) => {
    const outgoing = delivery as unknown as { tag: Buffer; update(settled: boolean, state: unknown): void };
    outgoing.update(true, (rhea.message as unknown as Record<string, (fields: object) => { described(): unknown }>)[outcome]?.({}).described());
    then(outgoing.tag.toString('hex'));
  };
  container.on('accepted', settled('accepted', (id) => {
    const one = locked.get(id);
    if (one === undefined) return;
    locked.delete(id);
    journal.add({ done: one.sequence });
  }));
  for (const outcome of ['modified', 'released', 'rejected']) container.on(outcome, settled('modified', again));
  return {
    ...server, dead, sent, refusals, sessionLog,
    renewals: () => renewals,
    sessionRenewals: () => sessionRenewals,
    inHand: () => locked.size,
    stop: async () => {
      clearInterval(expiry);
      await server.stop();
    },
  };
}

/** The management API: what is put is there. */
export async function startServiceBusAdmin() {
  const there = new Map<string, string>();
  const requests: { method: string; path: string; authorization: string }[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://admin');
    requests.push({ method: request.method ?? '', path: pathname, authorization: request.headers.authorization ?? '' });
    if (searchParams.get('api-version') !== '2021-05') return response.writeHead(400).end('<Error><Code>400</Code><Detail>api-version</Detail></Error>');
    if (pathname === '/forbidden') return response.writeHead(401).end('<Error><Code>401</Code><Detail>Manage claims required.</Detail></Error>');
    if (request.method === 'PUT') {
      if (there.has(pathname)) return response.writeHead(409).end('<Error><Code>409</Code><Detail>Conflict</Detail></Error>');
      there.set(pathname, text);
      return response.writeHead(201, { 'Content-Type': 'application/atom+xml' }).end(text);
    }
    // The service answers with an empty feed where there is no such entity.
    return response.writeHead(200, { 'Content-Type': 'application/atom+xml' }).end(there.get(pathname) ?? '<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">Publicly Listed Services</title></feed>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, there, requests, stop: () => new Promise((resolve) => server.close(resolve)) };
}
