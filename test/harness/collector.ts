// A collector of traces: takes spans over OTLP/HTTP, OTLP/gRPC and Zipkin's JSON, and shows them all in one form.
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

export type CollectedSpan = {
  over: 'otlp-http' | 'otlp-grpc' | 'zipkin';
  traceId: string;
  spanId: string;
  /** '' for the first span of a trace. */
  parentId: string;
  name: string;
  kind: string;
  attributes: Record<string, string>;
  /** `error: text` or ''. */
  status: string;
  resource: Record<string, string>;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  /** OTLP only. */
  tracestate?: string;
  flags?: number;
  scope?: string;
  schemaUrl?: string;
};
export type Export = { over: CollectedSpan['over']; path: string; headers: IncomingHttpHeaders; spans: number };

/** Listens on free loopback ports: `http` for OTLP/HTTP (/v1/traces) and Zipkin (/api/v2/spans), `grpc` for OTLP/gRPC without TLS. */
export async function startCollector() {
  const spans: CollectedSpan[] = [];
  const exports: Export[] = [];
  /** Answers that come before the good ones: an HTTP status, or `grpc:` and a gRPC status. */
  const refusals: (number | `grpc:${number}`)[] = [];
  const take = (over: CollectedSpan['over'], path: string, headers: IncomingHttpHeaders, found: CollectedSpan[]) => {
    exports.push({ over, path, headers, spans: found.length });
    spans.push(...found);
  };

  const web = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const refusal = refusals.shift();
    if (typeof refusal === 'number') {
      response.writeHead(refusal, { 'content-type': 'text/plain' }).end('not now');
      return;
    }
    const path = request.url ?? '';
    if (path === '/api/v2/spans') take('zipkin', path, request.headers, fromZipkin(JSON.parse(body.toString()) as ZipkinSpan[]));
    else take('otlp-http', path, request.headers, fromOtlp(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body, 'otlp-http'));
    if (path === '/api/v2/spans') response.writeHead(202).end();
    else response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  const rpc = createHttp2Server();
  rpc.on('stream', async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    const frame = Buffer.concat(parts);
    const refusal = refusals.shift();
    const status = typeof refusal === 'string' ? refusal.slice(5) : '0';
    if (status === '0') take('otlp-grpc', String(headers[':path']), headers, fromOtlp(frame[0] === 1 ? gunzipSync(frame.subarray(5)) : frame.subarray(5), 'otlp-grpc'));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, ...(status === '0' ? {} : { 'grpc-message': 'not%20now' }) }));
    stream.end(status === '0' ? Buffer.alloc(5) : undefined);
  });
  const sessions = new Set<{ destroy(): void }>();
  rpc.on('session', (session) => sessions.add(session));
  await Promise.all([new Promise<void>((done) => web.listen(0, '127.0.0.1', done)), new Promise<void>((done) => rpc.listen(0, '127.0.0.1', done))]);
  return {
    http: (web.address() as AddressInfo).port,
    grpc: (rpc.address() as AddressInfo).port,
    spans,
    exports,
    refusals,
    /** Ends the gRPC connections there are; new ones are taken. */
    cut() {
      for (const session of sessions) session.destroy();
      sessions.clear();
    },
    /** Waits until that many spans that fit have arrived. */
    async saw(fits: (span: CollectedSpan) => boolean, count = 1, ms = 8000): Promise<CollectedSpan[]> {
      for (const end = Date.now() + ms; ; await sleep(10)) {
        const found = spans.filter(fits);
        if (found.length >= count) return found;
        if (Date.now() > end) throw new Error(`${found.length} of ${count} spans came in ${ms} ms; in all:\n${spans.map((span) => `${span.over} ${span.kind} ${span.name}`).join('\n')}`);
      }
    },
    async stop(): Promise<void> {
      for (const session of sessions) session.destroy();
      web.closeAllConnections();
      await Promise.all([new Promise((done) => web.close(done)), new Promise((done) => rpc.close(done))]);
    },
  };
}

type ZipkinSpan = { traceId: string; id: string; parentId?: string; name: string; kind?: string; timestamp: number; duration: number; tags?: Record<string, string>; localEndpoint?: { serviceName?: string }; remoteEndpoint?: { serviceName?: string } };

function fromZipkin(list: ZipkinSpan[]): CollectedSpan[] {
  return list.map(({ traceId, id, parentId = '', name, kind = '', timestamp, duration, tags = {}, localEndpoint, remoteEndpoint }) => ({
    over: 'zipkin', traceId, spanId: id, parentId, name, kind, attributes: { ...tags, ...(remoteEndpoint ? { '(remote)': JSON.stringify(remoteEndpoint) } : {}) },
    status: tags.error === undefined ? '' : `error: ${tags.error}`, resource: { 'service.name': localEndpoint?.serviceName ?? '' }, start: timestamp / 1000, end: (timestamp + duration) / 1000,
  }));
}

// Protobuf without a schema: field numbers and wire types say enough. The numbers are those of opentelemetry-proto's trace/v1.
type Field = { number: number; value: bigint | Buffer };
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('the message ends inside a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const piece = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('the message ends inside a field');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const number = key >> 3;
    switch (key & 7) {
      case 0: yield { number, value: varint() }; break;
      case 1: yield { number, value: piece(8).readBigUInt64LE() }; break;
      case 2: yield { number, value: piece(Number(varint())) }; break;
      case 5: yield { number, value: BigInt(piece(4).readUInt32LE()) }; break;
      default: throw new Error(`wire type ${key & 7}`);
    }
  }
}
const all = (bytes: Buffer, number: number): Buffer[] => [...fieldsOf(bytes)].filter((field) => field.number === number).map((field) => field.value as Buffer);
const text = (bytes: Buffer, number: number): string => all(bytes, number)[0]?.toString() ?? '';
const count = (bytes: Buffer, number: number): bigint => ([...fieldsOf(bytes)].find((field) => field.number === number)?.value as bigint | undefined) ?? 0n;
const keyValues = (bytes: Buffer, number: number): Record<string, string> => Object.fromEntries(all(bytes, number).map((pair) => [text(pair, 1), text(all(pair, 2)[0] ?? Buffer.alloc(0), 1)]));
const kinds = ['', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];

function fromOtlp(message: Buffer, over: CollectedSpan['over']): CollectedSpan[] {
  return all(message, 1).flatMap((ofResource) => {
    const resource = keyValues(all(ofResource, 1)[0] ?? Buffer.alloc(0), 1);
    return all(ofResource, 2).flatMap((ofScope) => all(ofScope, 2).map((span): CollectedSpan => {
      const status = all(span, 15)[0] ?? Buffer.alloc(0);
      return {
        over,
        traceId: all(span, 1)[0]?.toString('hex') ?? '',
        spanId: all(span, 2)[0]?.toString('hex') ?? '',
        parentId: all(span, 4)[0]?.toString('hex') ?? '',
        name: text(span, 5),
        kind: kinds[Number(count(span, 6))] ?? '',
        attributes: keyValues(span, 9),
        status: count(status, 3) === 2n ? `error: ${text(status, 2)}` : '',
        resource,
        start: Number(count(span, 7) / 1000n) / 1000,
        end: Number(count(span, 8) / 1000n) / 1000,
        tracestate: text(span, 3),
        flags: Number(count(span, 16)),
        scope: text(all(ofScope, 1)[0] ?? Buffer.alloc(0), 1),
        schemaUrl: text(ofResource, 3),
      };
    }));
  });
}
