// A small real HTTP app beside a sidecar: it answers what the test says and remembers each request exactly as it came.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A request as it stood on the wire: target and headers in the caller's spelling and order. */
export type AppRequest = {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  body: Buffer;
  /** The values of a header, whatever its spelling, joined by ", ". */
  header(name: string): string | undefined;
  text(): string;
  json(): unknown;
};
/** A Response or undefined for 404; throw to cut the connection. */
export type AppHandler = (request: AppRequest) => Response | undefined | Promise<Response | undefined>;

/** Listens on a free loopback port (or `port`). Without a handler everything is 404. */
export async function startApp(handler: AppHandler = () => undefined, port = 0) {
  const requests: AppRequest[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, async (incoming, outgoing) => {
    try {
      const request = await received(incoming);
      requests.push(request);
      const reply = (await handler(request)) ?? new Response(null, { status: 404 });
      outgoing.writeHead(reply.status, [...reply.headers].flat());
      for await (const chunk of reply.body ?? []) outgoing.write(chunk);
      outgoing.end();
    } catch {
      incoming.socket.destroy();
    }
  });
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  return {
    port: (server.address() as AddressInfo).port,
    /** Everything received so far, first to last. */
    requests,
    /** Waits until that many requests that fit have arrived and returns them. */
    async saw(fits: (request: AppRequest) => boolean, count = 1, ms = 5000): Promise<AppRequest[]> {
      for (const end = Date.now() + ms; ; await sleep(10)) {
        const found = requests.filter(fits);
        if (found.length >= count) return found;
        if (Date.now() > end) {
          const all = requests.map(({ method, target }) => `${method} ${target}`).join('\n');
          throw new Error(`the app saw ${found.length} of ${count} requests in ${ms} ms; in all:\n${all}`);
        }
      }
    },
    async stop(): Promise<void> {
      await new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };
}

async function received(incoming: IncomingMessage): Promise<AppRequest> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  const raw = incoming.rawHeaders;
  const headers = raw.flatMap((name, i): [string, string][] => (i % 2 ? [] : [[name, raw[i + 1] ?? '']]));
  const body = Buffer.concat(parts);
  return {
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    headers,
    body,
    header: (wanted) => {
      const values = headers.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value);
      return values.length ? values.join(', ') : undefined;
    },
    text: () => body.toString(),
    json: () => JSON.parse(body.toString()) as unknown,
  };
}
