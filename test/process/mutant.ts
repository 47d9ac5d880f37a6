// Requests that were good once: paths, headers, JSON, framing and single bytes changed at random, the same for the same seed.
import { bytes, chunkedRequest, request } from '../harness/raw-http.ts';

export type Random = { /** A whole number from 0 to below `n`. */ below(n: number): number; one<T>(of: readonly T[]): T; chance(share: number): boolean };
export type Mutant = {
  raw: Buffer;
  /** The message ends where a server thinks it ends: an answer is due on a connection that stays good. */
  framed: boolean;
};

/** Mulberry32: small, and good enough to wander about. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (n: number) => Math.floor(next() * n);
  return { below, one: (of) => of[below(of.length)] as never, chance: (share) => next() < share };
}

type Plain = { verb: string; target: string; headers: string[]; body: string | undefined };
const item = { key: 'a', value: { n: [1, 2.5, null, 'x'] }, etag: '1', metadata: { ttlInSeconds: '60' }, options: { concurrency: 'first-write', consistency: 'strong' } };
const entry = { entryId: '1', event: { a: 1 }, contentType: 'application/json', metadata: { ttlInSeconds: '9' } };
const plain = (verb: string, target: string, body?: unknown, ...headers: string[]): Plain => ({ verb, target, headers, body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
const good: readonly Plain[] = [
  plain('GET', '/v1.0/state/mem/a?consistency=strong&metadata.partitionKey=x'),
  plain('POST', '/v1.0/state/mem', [item, { key: 'b', value: 'text' }], 'Content-Type: application/json'),
  plain('PUT', '/v1.0/state/mem?metadata.ttlInSeconds=10', [item]),
  plain('DELETE', '/v1.0/state/mem/a?concurrency=first-write', undefined, 'If-Match: 1'),
  plain('POST', '/v1.0/state/mem/bulk', { keys: ['a', 'b'], parallelism: 4, metadata: { a: 'b' } }),
  plain('POST', '/v1.0/state/mem/transaction', { operations: [{ operation: 'upsert', request: item }, { operation: 'delete', request: { key: 'b' } }], metadata: { a: 'b' } }),
  plain('GET', '/v1.0/secrets/vault/SECRET_WORD?metadata.version_id=1'),
  plain('GET', '/v1.0/secrets/vault/bulk'),
  plain('POST', '/v1.0/publish/bus/topic?metadata.rawPayload=false', { a: 1 }, 'Content-Type: application/json'),
  plain('POST', '/v1.0/publish/bus/topic', { specversion: '1.0', type: 't', source: 's', id: '1', data: 'x' }, 'Content-Type: application/cloudevents+json'),
  plain('POST', '/v1.0/publish/bulk/bus/topic', [entry, { ...entry, entryId: '2', event: 'AAECAw==', contentType: 'application/octet-stream' }]),
  plain('POST', '/v1.0/bindings/out', { operation: 'post', data: { a: 1 }, metadata: { path: '/x' } }),
  plain('GET', '/v1.0/invoke/test/method/a/b?c=d', undefined, 'Accept: text/event-stream'),
  plain('POST', '/v1.0/invoke/test/method/a', 'hello', 'Content-Type: text/plain'),
  plain('GET', '/anything', undefined, 'dapr-app-id: test'),
  plain('GET', '/v1.0/metadata'),
  plain('PUT', '/v1.0/metadata/label', 'text'),
  plain('GET', '/v1.0/healthz'),
];

const specials = ['', '%', '%00', '%2f', '%2e%2e', '%ff', '%zz', '..', '//', '||', '?', '#', ';', '&', '+', '\u00e9', '\t', '__proto__', 'constructor', 'bulk', 'transaction', 'a'.repeat(300), '{}', '\\', '"', "'", '*', ':', '@'];
const headerLines = [
  'Content-Length: 5', 'Content-Length: -1', 'Transfer-Encoding: chunked', 'Expect: 100-continue', 'Connection: close', 'Connection: upgrade', 'Upgrade: h2c', 'Host: other', 'X-Long: '.padEnd(6000, 'x'),
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'traceparent: zz', 'tracestate: a=b,,=', 'baggage: a=1,b=%zz', 'baggage: =', 'dapr-app-id: nope', 'dapr-api-token: x', 'Content-Type: application/cloudevents+json', 'Content-Type: ;;;',
  'Content-Type: application/octet-stream', 'If-Match: "', 'Origin: null', 'Authorization: Basic ZGFwci1hcHAtaWQ6dGVzdA==', 'Accept: text/event-stream', 'X-Bytes: \xff\x80', 'Cookie: a; b', 'TE: trailers', 'Trailer: X', 'grpc-trace-bin: AAA',
];
const values: readonly unknown[] = [null, true, false, 0, -1, 1.5, 1e21, 9_007_199_254_740_991, '', 'x', '||', '\u0000', '\ud800', '\u2028', '__proto__', [], {}, [[]], [null], { '': '' }, { constructor: { prototype: 1 } }, 'y'.repeat(500), '-1', '1e9'];

export function mutant(random: Random): Mutant {
  const { verb, target, headers, body } = random.one(good);
  const from = { verb, target, headers: [...headers], body };
  let framing = '';
  for (let left = 1 + random.below(3); left > 0; left--) {
    switch (random.below(7)) {
      case 0: case 1: from.target = changedText(random, from.target); break;
      case 2: random.chance(0.2) ? from.headers.splice(0, 1) : from.headers.splice(random.below(from.headers.length + 1), 0, random.one(headerLines)); break;
      case 3: case 4: if (from.body !== undefined) from.body = changedJson(random, from.body); break;
      case 5: if (from.body !== undefined) from.body = changedText(random, from.body); break;
      default: if (random.chance(0.3)) framing = random.one(['chunked', 'short', 'bytes', 'cut']);
    }
  }
  if (random.chance(0.05)) from.verb = random.one(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'TRACE', 'OPTIONS', 'get', 'BREW']);
  if (!/^[\x21-\x7e]+$/.test(from.target) || /[^A-Z]/.test(from.verb)) framing ||= 'raw';
  const framed = framing === '' && !from.headers.some((line) => /^(content-length|transfer-encoding|connection|upgrade|expect|host|x-long)/i.test(line));
  const line = `${from.verb} ${from.target}`;
  const whole = framing === 'chunked' ? chunkedRequest(line, from.body ?? '', 1 + random.below(40), from.headers) : request(line, from.body, from.headers);
  if (framing === 'cut') return { raw: whole.subarray(0, random.below(whole.length)), framed };
  if (framing === 'short') return { raw: Buffer.concat([whole, bytes(random.one(['\0', 'GET', '\r\n\r\n', '0\r\n', '\x16\x03\x01']))]), framed };
  if (framing === 'bytes') for (let left = 1 + random.below(4); left > 0; left--) whole[random.below(whole.length)] = random.below(256);
  return { raw: whole, framed };
}

function changedText(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  switch (random.below(5)) {
    case 0: return text.slice(0, at);
    case 1: return text.slice(0, at) + random.one(specials) + text.slice(at);
    case 2: return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 3: return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    default: return text.slice(0, at) + text.slice(random.below(text.length + 1));
  }
}

/** One place of the document gets another value, another name, or goes. */
function changedJson(random: Random, text: string): string {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return changedText(random, text);
  }
  const places: [holder: Record<string, unknown>, name: string][] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const name of Object.keys(value)) {
      places.push([value as Record<string, unknown>, name]);
      collect((value as Record<string, unknown>)[name]);
    }
  };
  collect(root);
  if (places.length === 0 || random.chance(0.1)) return JSON.stringify(random.one(values)) ?? '';
  const [holder, name] = random.one(places);
  switch (random.below(4)) {
    case 0: delete holder[name]; break;
    case 1: holder[random.one(['KEY', 'Value', 'extra', 'constructor', 'metadata'])] = holder[name]; break;
    default: holder[name] = random.one(values);
  }
  return JSON.stringify(root);
}
