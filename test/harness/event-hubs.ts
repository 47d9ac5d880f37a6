// A contract server that speaks Azure Event Hubs' AMQP 1.0 as its protocol guide documents it. Neither the service nor its emulator, which is a container image only.
import rhea, { type Message, type Sender } from 'rhea';
import { type AmqpServerOptions, startAzureAmqp } from './azure-amqp.ts';
import { openJournal } from './journal.ts';

interface Event {
  message: Message;
  sequence: number;
  offset: string;
  enqueued: Date;
}
interface Reader {
  sender: Sender;
  /** Place in the partition of the next event for it. */
  next: number;
  epoch: number;
}
const batchFormat = 0x80013700;
const partitionKeyName = 'x-opt-partition-key';

/** `message` is what AMQP makes of it, in Base64. */
interface Entry {
  hub: string;
  partition: number;
  message: string;
  /** Milliseconds since 1970. */
  enqueued: number;
}

/** Every hub named is there, with so many partitions. `journal`: a file with all events. */
export async function startEventHubs({ partitions = 1, journal: file, ...options }: { partitions?: number; journal?: string } & AmqpServerOptions = {}) {
  const journal = openJournal<Entry>(file);
  const hubs = new Map<string, Event[][]>();
  const readers = new Map<string, Reader[]>();
  /** Filters of links as they came. */
  const filters: string[] = [];
  /** Conditions that the next messages are refused with. */
  const refusals: string[] = [];
  let turn = 0;

  const hubOf = (name: string): Event[][] => {
    const known = hubs.get(name) ?? Array.from({ length: partitions }, () => []);
    hubs.set(name, known);
    return known;
  };
  const give = (hub: string, partition: number) => {
    const events = hubOf(hub)[partition] as Event[];
    for (const [address, list] of readers) {
      const [, of, at] = /^(.+)\/ConsumerGroups\/[^/]+\/Partitions\/(\d+)$/.exec(address) ?? [];
      if (of !== hub || Number(at) !== partition) continue;
      for (const reader of list)
        while (reader.next < events.length && reader.sender.sendable() && reader.sender.is_open()) {
          const { message, sequence, offset, enqueued } = events[reader.next++] as Event;
          reader.sender.send({ ...message, message_annotations: { ...message.message_annotations, 'x-opt-sequence-number': rhea.types.wrap_long(sequence), 'x-opt-offset': offset, 'x-opt-enqueued-time': rhea.types.wrap_timestamp(enqueued.getTime()) } });
        }
    }
  };
  const append = (hub: string, partition: number, message: Message, enqueued: Date) => {
    const events = hubOf(hub)[partition] as Event[];
    const sequence = events.length;
    events.push({ message, sequence, offset: String(sequence * 64), enqueued });
  };
  for (const { hub, partition, message, enqueued } of journal.past) append(hub, partition, rhea.message.decode(Buffer.from(message, 'base64') as never) as unknown as Message, new Date(enqueued));
  const store = (hub: string, message: Message, key: unknown) => {
    const { length } = hubOf(hub);
    // The same key, the same partition.
    const partition = typeof key === 'string' ? [...key].reduce((sum, c) => sum + c.charCodeAt(0), 0) % length : turn++ % length;
    const enqueued = new Date();
    if (file !== undefined) journal.add({ hub, partition, message: Buffer.from(rhea.message.encode(message) as unknown as Uint8Array).toString('base64'), enqueued: enqueued.getTime() });
    append(hub, partition, message, enqueued);
    give(hub, partition);
  };

  const server = await startAzureAmqp(({ connection, receiver, message, delivery }) => {
    const entity = receiver?.target.address as string;
    if (entity.endsWith('$management')) {
      delivery?.accept();
      const { operation, name, type, partition } = message.application_properties as { operation: string; name: string; type: string; partition: string };
      if (operation !== 'READ' || name === 'missing') return server.reply(connection, message.reply_to as string, message, name === 'missing' ? 404 : 400);
      const lists = hubOf(name);
      if (type === 'com.microsoft:eventhub') return server.reply(connection, message.reply_to as string, message, 200, { name, type, created_at: new Date(0), partition_count: lists.length, partition_ids: rhea.types.wrap_array(lists.map((_, i) => String(i)), 0xb1, undefined) });
      const events = lists[Number(partition)] as Event[];
      const last = events.at(-1);
      return server.reply(connection, message.reply_to as string, message, 200, {
        name, type, partition, begin_sequence_number: rhea.types.wrap_long(0), last_enqueued_sequence_number: rhea.types.wrap_long(last?.sequence ?? -1), last_enqueued_offset: last?.offset ?? '-1', last_enqueued_time_utc: last?.enqueued ?? new Date(0), is_partition_empty: last === undefined,
      });
    }
    const refusal = refusals.shift();
    if (refusal !== undefined) return delivery?.reject({ condition: refusal, description: 'asked for by the test' });
    delivery?.accept();
    if ((delivery as unknown as { format: number }).format !== batchFormat) return store(entity, message, message.message_annotations?.[partitionKeyName]);
    // The library hands over a format it does not know as bytes.
    const batch = rhea.message.decode(message as unknown as Buffer) as unknown as Message & { body: { content: Buffer | Buffer[] } };
    for (const part of [batch.body.content].flat()) store(entity, rhea.message.decode(part) as unknown as Message, batch.message_annotations?.[partitionKeyName]);
  }, options);
  const { container } = server;
  container.on('sender_open', ({ sender }) => {
    if (sender === undefined) return;
    const { address, filter } = sender.source as { address: string; filter?: Record<string, { value: string } | string> };
    sender.set_source({ address, ...(filter === undefined ? {} : { filter }) } as never);
    sender.set_target({ address: sender.target?.address as string });
    const [, hub, at] = /^(.+)\/ConsumerGroups\/[^/]+\/Partitions\/(\d+)$/.exec(address) ?? [];
    if (hub === undefined) return;
    const wanted = filter?.['apache.org:selector-filter:string'];
    const text = String(typeof wanted === 'object' ? wanted.value : (wanted ?? ''));
    filters.push(text);
    const [, what, op, value] = /^amqp\.annotation\.x-opt-(offset|sequence-number) (>=?) '([^']*)'$/.exec(text) ?? [];
    const events = hubOf(hub)[Number(at)] as Event[];
    const from = value === '@latest' ? events.length : events.findIndex((event) => {
      const place = what === 'offset' ? Number(event.offset) : event.sequence;
      return op === '>' ? place > Number(value) : place >= Number(value);
    });
    const epoch = Number((sender as unknown as { properties?: Record<string, unknown> }).properties?.['com.microsoft:epoch'] ?? -1);
    // Of readers with an epoch there is one at a time: the newest, unless it is of a lower one.
    const list = readers.get(address) ?? [];
    for (const other of list.filter((reader) => epoch >= 0 && reader.epoch <= epoch)) other.sender.close({ condition: 'amqp:link:stolen', description: `New receiver with epoch of '${epoch}' is created hence current receiver is getting disconnected.` });
    readers.set(address, [...list.filter(({ sender: other }) => other.is_open()), { sender, next: from < 0 ? events.length : from, epoch }]);
    give(hub, Number(at));
  });
  container.on('sendable', ({ sender }) => {
    const [, hub, at] = /^(.+)\/ConsumerGroups\/[^/]+\/Partitions\/(\d+)$/.exec(sender?.source?.address ?? '') ?? [];
    if (hub !== undefined) give(hub, Number(at));
  });
  const gone = (left: (sender: Sender) => boolean) => {
    for (const [address, list] of readers) readers.set(address, list.filter(({ sender }) => !left(sender)));
  };
  container.on('sender_close', ({ sender }) => gone((one) => one === sender));
  container.on('disconnected', ({ connection }) => gone((one) => one.connection === connection));
  return {
    ...server, filters, refusals,
    /** Of each partition. */
    events: (hub: string): readonly (readonly Event[])[] => hubOf(hub),
    /** Puts a message there as another client would. */
    put: store,
    /** Links that read, by partition. */
    reading: (hub: string) => [...readers].filter(([address]) => address.startsWith(`${hub}/`)).flatMap(([address, list]) => list.map(() => Number(address.split('/').at(-1)))).sort(),
  };
}
