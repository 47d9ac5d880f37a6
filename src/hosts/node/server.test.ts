// The Node listener on real sockets: Go's manners, limits, bodies, streams, callers that leave, floods.
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import { BodyBroken, BodyTooLarge, type Incoming } from '../../core/host.ts';
import { createListener } from './server.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});
type Handle = (incoming: Incoming) => Response | Promise<Response>;

async function listening(handle: Handle, maxHeaderBytes = 8192): Promise<number> {
  const { server } = createListener(handle, { maxHeaderBytes });
  open.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return (server.address() as AddressInfo).port;
}
/** Sends the pieces one after the other; resolves with everything that came back when the connection closed, or after `ms`. */
function raw(port: number, pieces: string | string[], { ms = 700, end = false } = {}): Promise<string> {
  return new Promise((done) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', async () => {
      for (const piece of [pieces].flat()) {
        socket.write(piece, 'latin1');
        await sleep(20);
      }
      if (end) socket.end();
    });
    const timer = setTimeout(() => { answer += '<open>'; socket.destroy(); }, ms);
    socket.on('data', (data) => { answer += data.toString('latin1'); });
    socket.on('error', () => {});
    socket.on('close', () => { clearTimeout(timer); done(answer.replace(/Date: [^\r]+\r\n/g, '')); });
  });
}
const hello: Handle = (incoming) => incoming.respond(200, ['X-Target', incoming.target], 'hello');
const close = 'Connection: close\r\n';
const refused = (status: string, text = status) => `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${text}`;

describe('heads', () => {
  test.each([
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', refused('400 Bad Request: missing required Host header')],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', refused('400 Bad Request')],
    ['a Host with a blank', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', refused('400 Bad Request: malformed Host header')],
    ['no version', 'GET /\r\n\r\n', refused('400 Bad Request')],
    ['another version', 'GET / HTTP/3.7\r\nHost: a\r\n\r\n', refused('505 HTTP Version Not Supported: unsupported protocol version')],
    ['no method', ' / HTTP/1.1\r\nHost: a\r\n\r\n', refused('400 Bad Request')],
    ['a header without a colon', 'GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n', refused('400 Bad Request')],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n', refused('400 Bad Request: invalid header name')],
    ['a bad length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n', refused('400 Bad Request')],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]', refused('400 Bad Request')],
    ['a length beside chunks (smuggling)', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n', refused('400 Bad Request')],
    ['an unknown encoding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n', refused('501 Not Implemented', 'Unsupported transfer encoding')],
    ['a bad escape', 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n', refused('400 Bad Request')],
    ['another expectation', 'POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 2\r\n\r\n', 'HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'],
    ['half a head', 'GET / HT', refused('400 Bad Request')],
  ])('%s', async (_, request, answer) => {
    const port = await listening(hello);
    expect(await raw(port, request, { end: request === 'GET / HT' })).toBe(answer);
  });

  test('are counted to the byte', async () => {
    const port = await listening(hello, 1000);
    const request = (size: number) => {
      const rest = `GET / HTTP/1.1\r\nHost: a\r\n${close}X: \r\n\r\n`;
      return `${rest.slice(0, -4)}${'x'.repeat(size - rest.length)}\r\n\r\n`;
    };
    expect(await raw(port, request(1000))).toContain('HTTP/1.1 200 OK');
    expect(await raw(port, request(1001))).toBe(refused('431 Request Header Fields Too Large'));
    expect(await raw(port, request(9000))).toBe(refused('431 Request Header Fields Too Large'));
  });

  test('reach the core as they were sent', async () => {
    const port = await listening((incoming) => incoming.respond(200, [], JSON.stringify([incoming.method, incoming.target, incoming.headers])));
    const answer = await raw(port, `PROPFIND /a/../%2e%2e//b%2Fc?x=%zz HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\n${close}\r\n`);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toEqual(['PROPFIND', '/a/../%2e%2e//b%2Fc?x=%zz', ['Host', 'a', 'X-B', '1', 'x-a', '2', 'X-B', '3', 'Connection', 'close']]);
  });
});

describe('connections', () => {
  test('say nothing while they stay open, and close when asked', async () => {
    const port = await listening(hello);
    expect(await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('HTTP/1.1 200 OK\r\nX-Target: /\r\nContent-Length: 5\r\n\r\nhello<open>');
    expect(await raw(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`)).toBe('HTTP/1.1 200 OK\r\nX-Target: /\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello');
    expect(await raw(port, 'GET / HTTP/1.0\r\n\r\n')).not.toMatch(/Connection|<open>/);
    expect(await raw(port, 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')).toMatch(/Connection: keep-alive\r\n[\s\S]*<open>$/);
  });

  test('answer OPTIONS * themselves', async () => {
    const port = await listening(() => { throw new Error('not for the core'); });
    expect(await raw(port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n<open>');
  });

  test('answer requests in a row in their order, then the rubbish behind them', async () => {
    const port = await listening(async (incoming) => {
      if (incoming.target === '/slow') await sleep(50);
      return incoming.respond(200, [], incoming.target);
    });
    const answer = await raw(port, 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\nrubbish\r\n\r\n');
    expect(answer.replace(/HTTP\/1\.1 200 OK\r\nContent-Length: 5\r\n\r\n/g, '|')).toBe(`|/slow|/fast${refused('400 Bad Request')}`);
  });

  test('are cut where the core fails, and only they', async () => {
    const port = await listening((incoming) => {
      if (incoming.target === '/throw') throw new Error('x');
      if (incoming.target === '/reject') return Promise.reject(new Error('x'));
      return hello(incoming);
    });
    expect(await raw(port, 'GET /throw HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('');
    expect(await raw(port, 'GET /reject HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('');
    expect(await raw(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`)).toContain('hello');
  });

  test('end with their answer once the listener closes', async () => {
    let go = () => {};
    const port = await listening(async (incoming) => {
      await new Promise<void>((done) => { go = done; });
      return hello(incoming);
    });
    const answer = raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', { ms: 2000 });
    await sleep(50);
    open[0]?.close();
    go();
    expect(await answer).toMatch(/Connection: close\r\n[\s\S]*hello$/);
  });
});

describe('bodies', () => {
  const limit = 10;
  const read: Handle = async (incoming) => {
    try {
      return incoming.respond(200, [], `${(await incoming.bytes(limit)).length}`);
    } catch (error) {
      if (error instanceof BodyTooLarge) return incoming.respond(400, [], `too large, had ${error.received?.length}`);
      if (error instanceof BodyBroken) return incoming.respond(400, [], error.message);
      throw error;
    }
  };
  const post = (head: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${body}`;
  test.each([
    ['none', post('X: y'), /200 OK[\s\S]*0<open>$/],
    ['exactly the limit', post('Content-Length: 10', '0123456789'), /200 OK[\s\S]*10<open>$/],
    ['one byte more', post('Content-Length: 11', '0123456789a'), /400 Bad[\s\S]*too large, had 10<open>$/],
    ['chunks', post('Transfer-Encoding: chunked', '5;x=y\r\n01234\r\n5\r\n56789\r\n0\r\nT: 1\r\n\r\n'), /200 OK[\s\S]*10<open>$/],
    ['too many chunks', post('Transfer-Encoding: chunked', '6\r\n012345\r\n6\r\n678901\r\n0\r\n\r\n'), /400 Bad[\s\S]*too large, had 10<open>$/],
    ['a bad chunk', post('Transfer-Encoding: chunked', 'zz\r\n'), /400 Bad[\s\S]*Connection: close[\s\S]*invalid byte in chunk length$/],
  ])('%s', async (_, request, answer) => {
    expect(await raw(await listening(read), request)).toMatch(answer);
  });
  test('one that ends early', async () => {
    expect(await raw(await listening(read), post('Content-Length: 10', '01234'), { end: true })).toMatch(/400 Bad[\s\S]*unexpected EOF$/);
  });
  test('one that comes slowly', async () => {
    expect(await raw(await listening(read), [post('Content-Length: 4'), 'a', 'b', 'c', 'd'])).toMatch(/200 OK[\s\S]*4<open>$/);
  });
  test('100 Continue comes when the core reads, not before', async () => {
    const port = await listening((incoming) => (incoming.target === '/read' ? read(incoming) : hello(incoming)));
    const expecting = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`;
    expect(await raw(port, [expecting('/read'), 'ab'])).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*2<open>$/);
    expect(await raw(port, expecting('/unread'))).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*Connection: close\r\n[\s\S]*hello$/);
  });
  test('what nobody reads is read away when it is little, and ends the connection when it is much', async () => {
    const port = await listening(hello);
    expect(await raw(port, `${post('Content-Length: 1000', 'x'.repeat(1000))}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(/hello[\s\S]*X-Target: \/next[\s\S]*hello<open>$/);
    expect(await raw(port, post('Content-Length: 1000000', 'x'.repeat(1_000_000)), { ms: 3000 })).toMatch(/Connection: close[\s\S]*hello$/);
  });
  test('a stream has the same limit, and waits for its reader', async () => {
    const port = await listening(async (incoming) => {
      let total = 0;
      try {
        for await (const part of incoming.stream(1_000_000) as unknown as AsyncIterable<Uint8Array>) { total += part.length; await sleep(1); }
      } catch (error) {
        return incoming.respond(400, [], `${(error as Error).name} after ${total <= 1_000_000}`);
      }
      return incoming.respond(200, [], String(total));
    });
    const send = async (size: number) => (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x'.repeat(size) })).text();
    expect(await send(1_000_000)).toBe('1000000');
    expect(await send(1_000_001)).toBe('BodyTooLarge after true');
  });
});

describe('streams', () => {
  test('go out as they come, in chunks', async () => {
    const port = await listening((incoming) => incoming.respond(200, [], new ReadableStream({
      start: async (controller) => {
        for (const part of ['one', 'two']) { controller.enqueue(new TextEncoder().encode(part)); await sleep(30); }
        controller.close();
      },
    })));
    expect(await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n<open>$/);
  });
  test.each([['fails', (c: ReadableStreamDefaultController) => c.error(new Error('x')), []], ['ends before its length', (c: ReadableStreamDefaultController) => c.close(), ['Content-Length', '10']], ['exceeds its length', (c: ReadableStreamDefaultController) => { c.enqueue(new Uint8Array(20)); c.close(); }, ['Content-Length', '10']]])('one that %s is cut, not completed', async (_, finish, headers) => {
    const port = await listening((incoming) => incoming.respond(200, [...headers], new ReadableStream({
      start: async (controller) => { controller.enqueue(new TextEncoder().encode('start')); await sleep(30); finish(controller); },
    })));
    const answer = await raw(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(answer).toContain('start');
    expect(answer).not.toMatch(/0\r\n\r\n$|<open>/);
  });
  test('stop their source when the caller leaves, and wait while it does not read', async () => {
    let pulled = 0;
    let cancelled = false;
    const port = await listening((incoming) => incoming.respond(200, [], new ReadableStream({
      pull: (controller) => { pulled++; controller.enqueue(new Uint8Array(64 * 1024)); },
      cancel: () => { cancelled = true; },
    })));
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    socket.on('error', () => {});
    socket.pause();
    await sleep(300);
    const after = pulled;
    await sleep(200);
    expect(pulled).toBe(after);
    expect(pulled).toBeLessThan(500); // what sockets buffer, far from endless
    socket.destroy();
    await expect.poll(() => cancelled).toBe(true);
  });
});

test('a caller that leaves aborts its call', async () => {
  let aborted = 0;
  const port = await listening(async (incoming) => {
    incoming.signal.addEventListener('abort', () => { aborted++; });
    await sleep(300);
    return hello(incoming);
  });
  const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
  await sleep(50);
  socket.destroy();
  await expect.poll(() => aborted).toBe(1);
  // one that waits is not aborted, not even when it has closed its half after the answer
  expect(await raw(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`)).toContain('hello');
  expect(aborted).toBe(1);
});

test('ten thousand bad requests leave nothing behind', async () => {
  const port = await listening(hello);
  const bad = ['GET / HTTP/1.1\r\n\r\n', '\0\x01\x02\r\n\r\n', 'GET / HTTP/9.9\r\nHost: a\r\n\r\n', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(9000)}\r\n\r\n`];
  const flood = async (count: number) => {
    for (let sent = 0; sent < count; sent += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => new Promise<void>((done) => {
        const socket = connect(port, '127.0.0.1', () => socket.write(bad[i % bad.length] as string, 'latin1'));
        if (i % 7 === 0) setTimeout(() => socket.resetAndDestroy(), 1);
        socket.on('data', () => {});
        socket.on('error', () => {});
        socket.on('close', () => done());
        socket.setTimeout(2000, () => socket.destroy());
      })));
    }
  };
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = async () => {
    await sleep(600); // lingering connections
    collect();
    return process.memoryUsage().heapUsed;
  };
  await flood(2000);
  const before = await used();
  await flood(8000);
  expect((await used()) - before).toBeLessThan(4 * 1024 * 1024);
  await expect.poll(() => new Promise((done) => open[0]?.getConnections((_, count) => done(count)))).toBe(0);
  expect(await raw(port, `GET / HTTP/1.1\r\nHost: a\r\n${close}\r\n`)).toContain('hello');
}, 60_000);
