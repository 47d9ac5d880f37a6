// Moto with the one operation of Kinesis that it has not: SubscribeToShard, as Amazon's reference describes it. Everything else goes to Moto as it came.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

export interface KinesisFanOutOptions {
  /** A subscription ends after this time: five minutes at Amazon. */
  sessionMs?: number;
  /** Younger than this a subscription keeps its shard: five seconds at Amazon; an older one loses it to a new one. */
  keepsMs?: number;
  /** Certificate and key as PEM: the server then speaks TLS, HTTP/2 and HTTP/1.1. */
  tls?: { cert: string; key: string };
}
interface Stored {
  Data: string;
  PartitionKey: string;
  SequenceNumber: string;
}
interface Active {
  since: number;
  end: string | undefined;
}
interface Shard {
  ShardId: string;
  ParentShardId?: string;
  AdjacentParentShardId?: string;
  HashKeyRange: object;
}
const prefix = 'Kinesis_20131202.';
const third = 2n ** 128n / 3n;

/** `subscriptions` are the requests that were granted; `refused` says how many were not. */
export async function startKinesisFanOut(moto: string, { sessionMs = 300_000, keepsMs = 5000, tls }: KinesisFanOutOptions = {}) {
  const active = new Map<string, Active>();
  const state = { subscriptions: [] as { shard: string; type: string; after: string | undefined; http: string }[], refused: 0, denied: new Set<string>() };

  // Moto goes on writing to a shard that was split. A stream of three shards plays one that is: the first gets all records until then,
  // the other two, which nobody sees before, those after it.
  const families = new Map<string, { split: boolean; next: number }>();
  const forward = async (headers: Record<string, string>, body: string) => {
    const operation = headers['x-amz-target']?.slice(prefix.length) ?? '';
    const input = body.startsWith('{') ? (JSON.parse(body) as { StreamName?: string }) : {};
    const family = families.get(input.StreamName ?? '');
    if (family === undefined || !['PutRecord', 'ListShards'].includes(operation)) return toMoto(headers, body);
    if (operation === 'PutRecord') return toMoto(headers, JSON.stringify({ ...input, ExplicitHashKey: String((family.split ? BigInt(1 + (family.next++ % 2)) : 0n) * third + 1n) }));
    const answer = await toMoto(headers, body);
    const [parent, ...children] = (JSON.parse(answer.text) as { Shards: Shard[] }).Shards as [Shard, ...Shard[]];
    return { ...answer, text: JSON.stringify({ Shards: [parent, ...(family.split ? children.map((child) => ({ ...child, ParentShardId: parent.ShardId })) : [])] }) };
  };
  const toMoto = async (headers: Record<string, string>, body: string) => {
    const { host: _, connection: __, 'content-length': ___, ...rest } = headers;
    const answer = await fetch(moto, { method: 'POST', headers: Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith(':'))), body });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const subscribe = async (headers: Record<string, string>, body: string, response: ServerResponse, http: string): Promise<void> => {
    const ask = async <T>(operation: string, input: object): Promise<T> => {
      const answer = await forward({ ...headers, 'x-amz-target': prefix + operation, 'content-type': 'application/x-amz-json-1.1' }, JSON.stringify(input));
      if (answer.status !== 200) throw new Error(answer.text);
      return JSON.parse(answer.text) as T;
    };
    const { ConsumerARN, ShardId, StartingPosition } = JSON.parse(body) as { ConsumerARN: string; ShardId: string; StartingPosition: { Type: string; SequenceNumber?: string } };
    const refuse = (type: string, message: string): void => {
      state.refused++;
      response.writeHead(400, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ __type: type, message }));
    };
    const known = await ask('DescribeStreamConsumer', { ConsumerARN }).then(() => true, () => false);
    if (!known) return refuse('ResourceNotFoundException', `Consumer ${ConsumerARN} not found.`);
    const key = `${ConsumerARN} ${ShardId}`;
    const before = active.get(key);
    if (before !== undefined && Date.now() - before.since < keepsMs) return refuse('ResourceInUseException', 'Another active subscription exists for this consumer.');
    if (before !== undefined) before.end = 'ResourceInUseException';
    const mine: Active = { since: Date.now(), end: undefined };
    active.set(key, mine);

    const StreamName = /:stream\/([^/]+)\//.exec(ConsumerARN)?.[1] ?? '';
    const stored = async (): Promise<Stored[]> => {
      let { ShardIterator } = await ask<{ ShardIterator?: string }>('GetShardIterator', { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' });
      const all: Stored[] = [];
      for (let more = true; more && ShardIterator !== undefined; ) {
        const page: { Records: Stored[]; NextShardIterator?: string } = await ask('GetRecords', { ShardIterator });
        all.push(...page.Records);
        ShardIterator = page.NextShardIterator;
        more = page.Records.length > 0;
      }
      return all;
    };
    const children = async () => {
      const { Shards } = await ask<{ Shards: Shard[] }>('ListShards', { StreamName });
      return Shards.filter(({ ParentShardId, AdjacentParentShardId }) => ParentShardId === ShardId || AdjacentParentShardId === ShardId).map((child) => ({ ShardId: child.ShardId, ParentShards: [ShardId], HashKeyRange: child.HashKeyRange }));
    };
    const first = await stored();
    const { Type, SequenceNumber = '0' } = StartingPosition;
    let at = Type === 'TRIM_HORIZON' ? -1n : Type === 'LATEST' ? BigInt(first.at(-1)?.SequenceNumber ?? 0) : BigInt(SequenceNumber) - (Type === 'AT_SEQUENCE_NUMBER' ? 1n : 0n);
    state.subscriptions.push({ shard: ShardId, type: StartingPosition.Type, after: StartingPosition.SequenceNumber, http });
    response.writeHead(200, { 'Content-Type': 'application/vnd.amazon.eventstream' });
    const event = (type: string, payload: object) => response.write(frame({ ':message-type': 'event', ':event-type': type, ':content-type': 'application/json' }, JSON.stringify(payload)));
    event('initial-response', {});
    while (!response.closed && mine.end === undefined && Date.now() - mine.since < sessionMs) {
      // first whether the shard has ended, then what is in it: nothing comes behind that
      const ended = await children();
      const records = (await stored()).filter((record) => BigInt(record.SequenceNumber) > at);
      const last = records.at(-1);
      if (last !== undefined) at = BigInt(last.SequenceNumber);
      // The last event of a shard names those that go on with it, and no place.
      const done = ended.length > 0;
      event('SubscribeToShardEvent', { Records: records, MillisBehindLatest: 0, ContinuationSequenceNumber: done ? null : String(at), ...(done ? { ChildShards: ended } : {}) });
      if (done) break;
      await sleep(100);
    }
    if (mine.end !== undefined) response.write(frame({ ':message-type': 'exception', ':exception-type': mine.end, ':content-type': 'application/json' }, JSON.stringify({ message: 'Another active subscription exists for this consumer.' })));
    if (active.get(key) === mine) active.delete(key);
    response.end();
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const headers = request.headers as Record<string, string>;
    const target = headers['x-amz-target'] ?? '';
    try {
      const body = Buffer.concat(parts).toString();
      if (target === `${prefix}SubscribeToShard`) return await subscribe(headers, body, response, request.httpVersion);
      const denied = [...state.denied].find((name) => target.startsWith(name));
      if (denied !== undefined) return void response.writeHead(400, { 'Content-Type': 'application/x-amz-json-1.0' }).end(JSON.stringify({ __type: 'AccessDeniedException', message: `not authorized to perform ${target}` }));
      const answer = await forward(headers, body);
      response.writeHead(answer.status, { 'Content-Type': answer.headers.get('content-type') ?? 'application/json' }).end(answer.text);
    } catch (error) {
      response.destroy(error as Error);
    }
  };
  // The two kinds of requests have in common what is used here.
  const server = tls === undefined ? createServer(serve) : createSecureServer({ ...tls, allowHTTP1: true }, serve as unknown as Parameters<typeof createSecureServer>[1]);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    /** From now on the stream, of three shards, has one; `split()` makes it two others. */
    splittable: (StreamName: string) => {
      const family = { split: false, next: 0 };
      families.set(StreamName, family);
      return { split: () => { family.split = true; } };
    },
    /** Cuts every connection, as a network does. */
    cut,
    stop: () => new Promise<void>((resolve) => {
      server.close(() => resolve());
      cut();
    }),
  };
}

/** A message of `application/vnd.amazon.eventstream`: two lengths, their checksum, headers, payload, the checksum of all. */
function frame(headers: Record<string, string>, payload: string): Buffer {
  const int = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const string = 7;
  const head = Buffer.concat(Object.entries(headers).flatMap(([name, value]) => [Buffer.from([name.length]), Buffer.from(name), Buffer.from([string, value.length >> 8, value.length & 0xff]), Buffer.from(value)]));
  const body = Buffer.from(payload);
  const prelude = Buffer.concat([int(head.length + body.length + 16), int(head.length)]);
  const message = Buffer.concat([prelude, int(crc32(prelude)), head, body]);
  return Buffer.concat([message, int(crc32(message))]);
}
