import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { headerOf, HttpFailure, type HttpRequest } from '../../core/host.ts';
import { createBunHttpClient } from '../bun/http-client.ts';
import { createNodeHttpClient } from '../node/http-client.ts';

/** test/runtimes runs this file on Bun, too. */
const createClient = 'bun' in process.versions ? createBunHttpClient : createNodeHttpClient;

const ends: (() => void)[] = [];
afterEach(() => { for (const end of ends.splice(0)) end(); });

/** A server that answers with these bytes, whatever is asked; `requests` is what came, connection by connection. */
async function answering(answer: (socket: Socket, text: string, count: number) => void) {
  const requests: string[] = [];
  const server: Server = createServer((socket) => {
    const index = requests.push('') - 1;
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      requests[index] += data.toString('latin1');
      answer(socket, requests[index] as string, ++count);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const client = createClient({ maxHeaderBytes: 1000 });
  ends.push(() => { void client.close(); server.close(); });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const send = (more: Partial<HttpRequest> = {}) => client.send({ method: 'GET', origin, path: '/', headers: [], ...more });
  return { send, requests };
}
const always = (bytes: string) => answering((socket) => socket.write(bytes, 'latin1'));
const textOf = (body: Uint8Array | ReadableStream<Uint8Array> | null) => new Response(body as BodyInit | null).text();
const failure = (promise: Promise<unknown>) => promise.then(() => 'none', (error: HttpFailure) => `${error.kind}: ${error.message}`);

describe('what an answer may look like', () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A:1\r\nx-a:  2 \t\r\n\r\n3;ext="x"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
  it('chunks, with extensions and trailers, however they are cut', async () => {
    for (const size of [1, 2, 3, 7, 1000]) {
      const { send } = await answering((socket) => {
        void (async () => {
          for (let at = 0; at < chunked.length; at += size) {
            socket.write(chunked.slice(at, at + size));
            if (size < 1000) await sleep(0);
          }
        })();
      });
      const { status, headers, body } = await send();
      expect([status, headers]).toEqual([200, ['Transfer-Encoding', 'chunked', 'X-A', '1', 'x-a', '2']]);
      expect(await textOf(body)).toBe('abc0123456789');
    }
  });
  it.each([
    ['until the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nall of it', 'all of it'],
    ['in HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['after others that only announce it', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['without a reason, in a made-up status', 'HTTP/1.1 799\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['without a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', ''],
    ['with a length said twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi', 'hi'],
    ['with a header on two lines', 'HTTP/1.1 200 OK\r\nX-Long: a\r\n  b\r\nContent-Length: 2\r\n\r\nhi', 'hi'],
    ['with bytes beyond ASCII', 'HTTP/1.1 200 OK\r\nX: \xe9\r\nContent-Length: 1\r\n\r\n\xe9', '\ufffd'],
  ])('%s', async (_, bytes, text) => {
    const { send } = await answering((socket) => socket.end(bytes, 'latin1'));
    expect(await textOf((await send()).body)).toBe(text);
  });
  it('to HEAD has a length but no body, and the connection goes on', async () => {
    const { send, requests } = await always('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    for (let i = 0; i < 2; i++) {
      const { headers, body } = await send({ method: 'HEAD' });
      expect([headerOf(headers, 'content-length'), body]).toEqual(['5', null]);
    }
    expect(requests.length).toBe(1);
  });
  it.each([
    ['no HTTP', 'SSH-2.0-x\r\n\r\n', 'malformed HTTP response "SSH-2.0-x"'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'malformed HTTP response'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', 'malformed MIME header line'],
    ['a blank in a name', 'HTTP/1.1 200 OK\r\nA b: c\r\n\r\n', 'malformed MIME header line'],
    ['a line end of one character', 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n', 'malformed MIME header line'],
    ['a control character in a value', 'HTTP/1.1 200 OK\r\nA: b\x02\r\n\r\n', 'malformed MIME header line: A: b'],
    ['one on a second line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\x7f\r\n\r\n', 'malformed MIME header line'],
    ['a number that is no status', 'HTTP/1.1 2e2 OK\r\n\r\n', 'malformed HTTP response'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi', 'bad Content-Length "3"'],
    ['a length that is none', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi', 'bad Content-Length "-2"'],
    ['an encoding nobody knows', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi', 'unsupported transfer encoding'],
    ['a switch nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'unexpected 101'],
    ['too many headers', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1000)}`, 'server response headers exceeded 1000 bytes; aborted'],
  ])('is refused where it is %s', async (_, bytes, words) => {
    expect(await failure((await always(bytes)).send())).toContain(words);
  });
  it.each(['z\r\n', '-1\r\n', '1\r\nab\r\n', '1\n'])('fails in the middle of chunks that make no sense: %j', async (chunk) => {
    const { send } = await always(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n${chunk}`);
    await expect(send().then(({ body }) => textOf(body))).rejects.toBeInstanceOf(HttpFailure);
  });
});

describe('connections', () => {
  const small = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
  it('are used again, but not where the server closes them, says so, or says more than it was asked', async () => {
    const many = async (bytes: string) => {
      const { send, requests } = await always(bytes);
      for (let i = 0; i < 3; i++) {
        expect(await textOf((await send()).body)).toBe('hi');
        await sleep(5);
      }
      return requests.length;
    };
    expect(await many(small)).toBe(1);
    expect(await many('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nhi')).toBe(1);
    expect(await many('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi')).toBe(3);
    expect(await many('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi')).toBe(3);
    expect(await many('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi')).toBe(1);
    expect(await many('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi')).toBe(3);
    expect(await many(`${small}${small}`)).toBe(3);
  });
  it('that were closed while nobody used them are opened again', async () => {
    const { send, requests } = await answering((socket) => { socket.end(small); });
    expect(await textOf((await send()).body)).toBe('hi');
    await sleep(30);
    expect(await textOf((await send()).body)).toBe('hi');
    expect(requests.length).toBe(2);
  });
  it('go on after an answer that was held back and then read', async () => {
    const big = 'x'.repeat(1 << 20);
    const { send, requests } = await always(`HTTP/1.1 200 OK\r\nContent-Length: ${big.length}\r\n\r\n${big}`);
    for (let i = 0; i < 2; i++) {
      const { body } = await send();
      await sleep(20);
      expect((await textOf(body)).length).toBe(big.length);
    }
    expect(requests.length).toBe(1);
  });
  it.each(['Content-Length: 8000000\r\n', ''])('end with all of an answer that is read slowly, long after the server has closed (%j)', async (length) => {
    const { send } = await answering((socket) => socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n${length}\r\n${'x'.repeat(8_000_000)}`));
    const { body } = await send();
    let size = 0;
    for await (const part of body as ReadableStream<Uint8Array>) {
      size += part.length;
      await sleep(1);
    }
    expect(size).toBe(8_000_000);
  });
});

it('a client that is closed leaves nobody waiting', async () => {
  const server = createServer(() => {});
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  ends.push(() => server.close());
  const client = createClient();
  const waiting = failure(client.send({ method: 'GET', origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, path: '/', headers: [] }));
  await sleep(20);
  await client.close();
  expect(await waiting).toBe('aborted: context canceled');
});

describe('requests', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const sent = async (more: Partial<HttpRequest>) => {
    const { send, requests } = await answering((socket, text) => { if (text.endsWith('\r\n\r\n') || text.endsWith('|')) socket.write(ok); });
    await send(more);
    return (requests[0] as string).replace(/Host: [^\r]*/, 'Host: x').split('\r\n').join('\n');
  };
  it('say what is theirs to say and leave to the connection what is its own', async () => {
    expect(await sent({ headers: ['X-A', '1', 'Connection', 'close', 'Transfer-Encoding', 'chunked', 'x-a', '\xe9', 'Expect', '100-continue'] })).toBe('GET / HTTP/1.1\nHost: x\nX-A: 1\nx-a: \xe9\n\n');
    expect(await sent({ headers: ['host', 'other'] })).toBe('GET / HTTP/1.1\nhost: other\n\n');
    expect(await sent({ method: 'POST' })).toBe('POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n');
    expect(await sent({ method: 'POST', headers: ['Content-Length', '99'], body: Buffer.from('ab|') })).toBe('POST / HTTP/1.1\nHost: x\nContent-Length: 3\n\nab|');
    expect(await sent({ method: 'POST', body: 'ab|' })).toBe('POST / HTTP/1.1\nHost: x\nContent-Length: 3\n\nab|');
    expect(await sent({ method: 'POST', body: 'é|' })).toBe('POST / HTTP/1.1\nHost: x\nContent-Length: 3\n\n\xc3\xa9|');
  });
  it('cannot carry a second one', async () => {
    const { send, requests } = await always(ok);
    expect(await failure(send({ headers: ['X', 'a\r\nB: c'] }))).toBe('other: net/http: invalid header field value for "X"');
    expect(await failure(send({ headers: ['X\r\nB', 'c'] }))).toBe('other: net/http: invalid header field name "X\\r\\nB"');
    expect(await failure(send({ path: '/ HTTP/1.1\r\nB: c' }))).toContain('invalid request target');
    expect(await failure(send({ method: 'GET / HTTP/1.1\r\n' }))).toContain('invalid method');
    expect((await send()).status).toBe(200);
    expect(requests.length).toBe(1);
  });
  const parts = (...texts: string[]) => new ReadableStream<Uint8Array>({ start: (controller) => { for (const text of texts) controller.enqueue(Buffer.from(text)); controller.close(); } });
  it('stream: chunks without the empty ones, or exactly the length that was said', async () => {
    const { send, requests } = await answering((socket, text) => { if (text.endsWith('0\r\n\r\n')) socket.write(ok); });
    await send({ method: 'POST', body: parts('ab', '', 'c') });
    expect(requests[0]?.split('\r\n\r\n')[1]).toBe('2\r\nab\r\n1\r\nc\r\n0');
    for (const [length, text] of [['2', 'abc'], ['4', 'abc']] as const) expect(await failure(send({ method: 'POST', headers: ['Content-Length', length], body: parts(text) }))).toBe(`other: net/http: HTTP/1.x transport connection broken: http: ContentLength=${length} with Body length 3`);
  });
  it('answered before all of it was sent: the answer counts, the rest is not asked for', async () => {
    let cancelled = false;
    const { send, requests } = await answering((socket, _, count) => { if (count === 1) socket.write(ok); });
    const endless = new ReadableStream<Uint8Array>({ pull: async (controller) => { await sleep(1); controller.enqueue(Buffer.alloc(1000)); }, cancel: () => { cancelled = true; } });
    expect((await send({ method: 'POST', body: endless })).status).toBe(200);
    await sleep(30);
    expect(cancelled).toBe(true);
    expect((await send()).status).toBe(200);
    expect(requests.length).toBe(2);
  });
  it('answered before all of it has left: the next one does not wait behind what nobody reads', async () => {
    const { send, requests } = await answering((socket) => { socket.pause(); socket.write(ok); });
    expect((await send({ method: 'POST', body: Buffer.alloc(16 << 20) })).status).toBe(200);
    expect((await send()).status).toBe(200);
    expect(requests.length).toBe(2);
  });
  it('whose body somebody else reads fail alone', async () => {
    const { send } = await always(ok);
    const taken = parts('a');
    taken.getReader();
    expect(await failure(send({ method: 'POST', body: taken }))).toContain('locked');
    expect((await send()).status).toBe(200);
  });
  it('end where their body fails', async () => {
    const { send } = await answering(() => {});
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => { controller.error(new Error('the source is gone')); } });
    expect(await failure(send({ method: 'POST', body: broken }))).toBe('other: the source is gone');
  });
});
