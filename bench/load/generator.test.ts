// The load generator must count right and must not hide waiting time: checked against small servers with known behaviour.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { frameReader, statusOf } from './frames.ts';
import { run } from './generator.ts';
import { median, quantiles } from './samples.ts';

describe('frameReader', () => {
  const cut = (text: string, size: number) => {
    const seen: string[] = [];
    const read = frameReader((bytes, bodyAt) => seen.push(`${statusOf(bytes)} ${bytes.toString('latin1', bodyAt)}`));
    for (let at = 0; at < text.length; at += size) read(Buffer.from(text.slice(at, at + size)));
    return seen;
  };
  test('finds whole messages however the stream is cut', () => {
    const text = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 204 No\r\nx: y\r\n\r\nHTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n';
    for (const size of [1, 7, 50, 1000]) expect(cut(text, size)).toEqual(['200 abc', '204 ', '500 1\r\na\r\n0\r\n\r\n']);
  });
});

test('quantiles and median', () => {
  const { p50, p99, max } = quantiles(Array.from({ length: 100 }, (_, i) => 100 - i));
  expect([p50, p99, max]).toEqual([51, 100, 100]);
  expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
});

describe('run', () => {
  const requests = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'];
  const serving = async (listener: RequestListener, job: { rate?: number }) => {
    const server = createServer(listener);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const result = await run({ port: (server.address() as AddressInfo).port, connections: 4, ms: 600, warmMs: 50, requests, ...job });
    server.closeAllConnections();
    server.close();
    return result;
  };

  test('saturating: as many as answers come', async () => {
    const { perSecond, errors } = await serving((_, response) => void setTimeout(() => response.end('x'), 20), {});
    expect(perSecond).toBeGreaterThan(100); // 4 connections, 20 ms each: 200 at most
    expect(perSecond).toBeLessThan(205);
    expect(errors).toBe(0);
  });
  test('counts answers that are no 2xx', async () => {
    const { errors } = await serving((_, response) => void response.writeHead(500).end(), { rate: 100 });
    expect(errors).toBeGreaterThan(50);
  });
  test('fixed rate: a stall counts for every request that was due in it', async () => {
    const begin = Date.now();
    const stalled = () => Date.now() - begin > 200 && Date.now() - begin < 500;
    const { latency, kept } = await serving((_, response) => void setTimeout(() => response.end('x'), stalled() ? 510 - (Date.now() - begin) : 0), { rate: 500 });
    expect(kept).toBe(1);
    // closed-loop measuring would see four slow requests in three hundred
    expect(latency.p50).toBeGreaterThan(10);
    expect(latency.max).toBeGreaterThan(250);
  });
});
