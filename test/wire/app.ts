// The app beside a recorded sidecar: answers as the scenario says and remembers what it saw.
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../harness/ports.ts';
import { type AppSpec, parseJson, type Reply, type Route } from './scenario.ts';

export type SeenRequest = { method: string; target: string; headers: [name: string, value: string][]; body: Buffer };
export type ScriptedApp = Awaited<ReturnType<typeof startScriptedApp>>;

// The sidecar asks these on its own account; they are of interest only where a scenario says so.
const quietPaths = ['/dapr/config', '/dapr/subscribe', '/healthz'];

export async function startScriptedApp(spec: AppSpec = {}) {
  const saw: SeenRequest[] = [];
  const used = new Map<Route | undefined, number>();
  const inHand = { now: 0, most: 0 };
  const create = (spec.h2c ? createHttp2Server : spec.tls ? createTlsServer : createServer) as typeof createServer;
  const server = create({ keepAliveTimeout: 60_000, ...spec.tls }, async (incoming, outgoing) => {
    inHand.most = Math.max(inHand.most, ++inHand.now);
    outgoing.on('close', () => inHand.now--);
    const parts: Buffer[] = [];
    try {
      for await (const part of incoming) parts.push(part as Buffer);
    } catch {
      return; // the sidecar went away in the middle of its request
    }
    const request = { method: incoming.method ?? '', target: incoming.url ?? '', headers: headerPairs(incoming.rawHeaders), body: Buffer.concat(parts) };
    const path = request.target.split('?')[0] ?? '';
    const route = spec.routes?.find(({ match }) => fits(match, request.method, path));
    if (!(route?.quiet ?? quietPaths.includes(path))) saw.push(request);
    const turn = used.get(route) ?? 0;
    used.set(route, turn + 1);
    const reply: Reply = route?.replies ? (route.replies[Math.min(turn, route.replies.length - 1)] ?? {}) : (route ?? spec.otherwise ?? { status: 404 });
    if (reply.delayMs) await sleep(reply.delayMs);
    if (reply.drop) return incoming.socket.destroy();
    if (reply.raw !== undefined) return incoming.socket.end(Buffer.from(reply.raw, 'latin1'));
    const body = replyBody(reply, request);
    outgoing.sendDate = false;
    outgoing.writeHead(reply.status ?? 200, [...replyHeaders(reply, incoming.headers['content-type']).flat(), 'Content-Length', String(body.length)]);
    outgoing.end(body);
  });
  // HTTP/2 connections are not closed with the server
  const sessions = new Set<ServerHttp2Session>();
  (server as Server).on('session', (session: ServerHttp2Session) => sessions.add(session));
  const open = (port: number) => new Promise<void>((done) => server.listen(port, spec.host ?? '127.0.0.1', done));
  if (!spec.late) await open(0);
  const port = spec.late ? await freePort() : (server.address() as AddressInfo).port;
  return {
    port,
    /** Listens again after stop(), or for the first time where the scenario opens the app late. */
    open: () => open(port),
    count: () => saw.length,
    take: () => saw.splice(0),
    /** The largest number of requests in hand at once since the last look. */
    peak() {
      const { most } = inHand;
      inHand.most = inHand.now;
      return most;
    },
    stop: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        for (const session of sessions) session.destroy();
        (server as { closeAllConnections?(): void }).closeAllConnections?.();
      }),
  };
}

const headerPairs = (raw: string[]): [string, string][] =>
  raw.flatMap((name, i): [string, string][] => (i % 2 ? [] : [[name.toLowerCase(), raw[i + 1] ?? '']]));

function fits(match: string, method: string, path: string): boolean {
  const [wantedMethod, wantedPath] = match.split(' ');
  return (wantedMethod === '*' || wantedMethod === method) && (wantedPath === '*' || wantedPath === path);
}

function replyBody(reply: Reply, request: SeenRequest): Buffer {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  if (reply.echo) return json({ method: request.method, target: request.target, body: request.body.toString('latin1') });
  if (reply.mirror) return request.body;
  if (reply.statuses) {
    const { statuses } = reply;
    const { entries = [] } = (parseJson(request.body.toString()) ?? {}) as { entries?: { entryId: string }[] };
    return json({ statuses: entries.map(({ entryId }, i) => ({ entryId, status: statuses[Math.min(i, statuses.length - 1)] })) });
  }
  if (reply.json !== undefined) return json(reply.json);
  return reply.base64 === undefined ? Buffer.from(reply.text ?? '') : Buffer.from(reply.base64, 'base64');
}

function replyHeaders(reply: Reply, contentType: string | undefined): [string, string][] {
  const headers = [...(reply.headers ?? [])];
  const typed = headers.some(([name]) => name.toLowerCase() === 'content-type');
  if ((reply.json !== undefined || reply.echo) && !typed) headers.push(['Content-Type', 'application/json']);
  if (reply.mirror && contentType) headers.push(['Content-Type', contentType]);
  return headers;
}
