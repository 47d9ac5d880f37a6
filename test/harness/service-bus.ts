// A contract server that speaks Azure Service Bus's AMQP 1.0 as its protocol guide documents it. Neither the service nor its emulator, which is a container image only.
import { createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import rhea, { type Connection, type EventContext, type Message, type Sender } from 'rhea';

interface Stored {
  message: Message;
  sequence: number;
  deliveries: number;
  enqueued: Date;
}
interface Locked extends Stored {
  queue: Queue;
  /** Milliseconds since 1970. */
  until: number;
}
interface Queue {
  waiting: Stored[];
  readers: Set<Sender>;
}
const keyName = 'RootManageSharedAccessKey';
const key = 'c2VjcmV0LWZvci10ZXN0cw==';
const batchFormat = 0x80013700;
const maxDeliveries = 10;

/** Everything is there at once. `subscriptions`: what is sent to is a topic, and these are its subscriptions; without them it is a queue. */
export async function startServiceBus({ subscriptions = [] as string[], lockMs = 30_000 } = {}) {
  const container = rhea.create_container({ id: 'contract' });
  const queues = new Map<string, Queue>();
  const locked = new Map<string, Locked>();
  const dead: string[] = [];
  const sent: { entity: string; message: Message }[] = [];
  const tokens: string[] = [];
  /** Conditions that the next messages are refused with. */
  const refusals: string[] = [];
  const connections = new Set<Connection>();
  let sequence = 0, renewals = 0;

  const queueOf = (name: string): Queue => {
    const known = queues.get(name) ?? { waiting: [], readers: new Set() };
    queues.set(name, known);
    return known;
  };
  const give = (queue: Queue) => {
    for (const reader of [...queue.readers]) {
      while (queue.waiting.length > 0 && reader.sendable() && reader.is_open()) {
        const one = queue.waiting.shift() as Stored;
        const tag = randomBytes(16);
        const until = Date.now() + lockMs;
        locked.set(tag.toString('hex'), { ...one, queue, until });
        const annotations = { ...one.message.message_annotations, 'x-opt-sequence-number': one.sequence, 'x-opt-enqueued-time': one.enqueued, 'x-opt-locked-until': new Date(until) };
        reader.send({ ...one.message, delivery_count: one.deliveries, message_annotations: annotations }, tag);
      }
      // Readers of one queue take turns.
      queue.readers.delete(reader);
      queue.readers.add(reader);
      if (queue.waiting.length === 0) break;
    }
  };
  const store = (entity: string, message: Message) => {
    sent.push({ entity, message });
    const targets = subscriptions.length > 0 ? subscriptions.map((name) => `${entity}/Subscriptions/${name}`) : [entity];
    for (const name of targets) {
      const queue = queueOf(name);
      queue.waiting.push({ message, sequence: ++sequence, deliveries: 0, enqueued: new Date() });
      give(queue);
    }
  };
  const again = (id: string) => {
    const one = locked.get(id);
    if (one === undefined) return;
    locked.delete(id);
    if (one.deliveries + 1 >= maxDeliveries) return void dead.push(String(one.message.body?.content ?? one.message.body));
    one.queue.waiting.push({ ...one, deliveries: one.deliveries + 1 });
    one.queue.waiting.sort((a, b) => a.sequence - b.sequence);
    give(one.queue);
  };
  const expiry = setInterval(() => {
    for (const [id, { until }] of locked) if (until < Date.now()) again(id);
  }, 50);
  const reply = (connection: Connection, to: string, request: Message, status: number, body?: unknown) => {
    const answer = { to, correlation_id: request.message_id as string, application_properties: { 'status-code': status, 'status-description': status < 300 ? 'OK' : 'refused', statusCode: status }, body };
    connection.each_sender((sender: Sender) => {
      if (sender.target.address === to || sender.name === to) sender.send(answer as never);
    });
  };
  const isGoodToken = (token: string) => {
    const given = new URLSearchParams(token.replace('SharedAccessSignature ', ''));
    const expected = createHmac('sha256', key).update(`${encodeURIComponent(given.get('sr') ?? '')}\n${given.get('se')}`).digest('base64');
    return given.get('skn') === keyName && given.get('sig') === expected;
  };
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
  const onMessage = ({ connection, receiver, message, delivery }: EventContext) => {
    const entity = receiver?.target.address as string;
    if (message === undefined || delivery === undefined || connection === undefined) return;
    const to = message.reply_to as string;
    if (entity === '$cbs') {
      delivery.accept();
      tokens.push(message.application_properties?.name as string);
      return reply(connection, to, message, isGoodToken(message.body as string) ? 202 : 401);
    }
    if (entity.endsWith('/$management')) {
      delivery.accept();
      const until = renew((message.body as { 'lock-tokens': Buffer[] })['lock-tokens'] ?? []);
      const isLost = until.includes(undefined);
      return reply(connection, to, message, isLost ? 410 : 200, isLost ? undefined : { expirations: rhea.types.wrap_array(until, 0x83, undefined) });
    }
    const refusal = refusals.shift();
    if (refusal !== undefined) return delivery.reject({ condition: refusal, description: 'asked for by the test' });
    delivery.accept();
    if ((delivery as unknown as { format: number }).format !== batchFormat) return store(entity, message);
    // The library hands over a format it does not know as bytes.
    const { body } = rhea.message.decode(message as unknown as Buffer) as unknown as { body: { content: Buffer | Buffer[] } };
    for (const part of [body.content].flat()) store(entity, rhea.message.decode(part) as unknown as Message);
  };
  container.on('connection_open', ({ connection }) => void connections.add(connection));
  container.on('disconnected', ({ connection }) => {
    connections.delete(connection);
    for (const queue of queues.values()) for (const reader of queue.readers) if (reader.connection === connection) queue.readers.delete(reader);
  });
  container.on('sender_open', ({ sender }: EventContext) => {
    const address = sender?.source?.address as string;
    sender?.set_source({ address });
    sender?.set_target({ address: sender.target?.address as string });
    if (sender !== undefined && address !== '$cbs' && !address.endsWith('/$management')) queueOf(address).readers.add(sender);
  });
  container.on('receiver_open', ({ receiver }: EventContext) => {
    receiver?.set_target({ address: receiver.target?.address as string });
    receiver?.set_source({ address: receiver.source?.address as string });
  });
  container.on('sendable', ({ sender }: EventContext) => {
    const queue = queues.get(sender?.source?.address as string);
    if (queue !== undefined) give(queue);
  });
  container.on('sender_draining', ({ sender }: EventContext) => sender?.set_drained(true));
  container.on('sender_close', ({ sender }: EventContext) => {
    for (const queue of queues.values()) queue.readers.delete(sender as Sender);
  });
  container.on('message', onMessage);
  /** The service settles what its client says of a message: that is the client's answer. */
  const settled = (outcome: 'accepted' | 'modified', then: (id: string) => void) => ({ delivery }: EventContext) => {
    const outgoing = delivery as unknown as { tag: Buffer; update(settled: boolean, state: unknown): void };
    outgoing.update(true, (rhea.message as unknown as Record<string, (fields: object) => { described(): unknown }>)[outcome]?.({}).described());
    then(outgoing.tag.toString('hex'));
  };
  container.on('accepted', settled('accepted', (id) => void locked.delete(id)));
  for (const outcome of ['modified', 'released', 'rejected']) container.on(outcome, settled('modified', again));
  for (const trouble of ['connection_error', 'session_error', 'receiver_error', 'sender_error', 'error']) container.on(trouble, () => undefined);
  container.sasl_server_mechanisms.enable_anonymous();
  container.sasl_server_mechanisms.enable_plain(() => true);
  container.options = { receiver_options: { autoaccept: false, credit_window: 1000 } } as never;
  const server = container.listen({ port: 0, host: '127.0.0.1', receiver_options: { autoaccept: false, credit_window: 1000 } });
  await new Promise<void>((resolve) => server.on('listening', () => resolve()));
  const { port } = server.address() as AddressInfo;
  const connectionString = `Endpoint=sb://127.0.0.1:${port}/;SharedAccessKeyName=${keyName};SharedAccessKey=${key};UseDevelopmentEmulator=true`;
  return {
    connectionString, dead, sent, tokens, refusals,
    renewals: () => renewals,
    inHand: () => locked.size,
    /** All connections break. */
    cut: () => {
      for (const connection of connections) (connection as unknown as { socket: { destroy(): void } }).socket.destroy();
    },
    stop: async () => {
      clearInterval(expiry);
      for (const connection of connections) (connection as unknown as { socket: { destroy(): void } }).socket.destroy();
      await new Promise((resolve) => server.close(resolve));
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
