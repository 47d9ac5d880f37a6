// Upstash's REST protocol in front of a real Redis: what state.upstash.redis speaks, for tests without the cloud.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { redisClient } from './resp.ts';
import { startRedis } from './servers.ts';

type Reply = Buffer | number | null | Error | Reply[];

/** POST `/` takes one command, `/pipeline` several, `/multi-exec` several in a transaction; JSON arrays of texts and numbers. */
export async function startUpstashProxy(options: { redisPort: number; token: string }) {
  const redis = redisClient(options.redisPort);
  const requests: { path: string; commands: number }[] = [];
  const run = (command: unknown) => redis.command((command as (string | number)[]).map(String)) as Promise<Reply>;
  const answered = (command: unknown, encode: boolean) =>
    run(command).then(
      (reply) => ({ result: told(reply, encode) }),
      (error: Error) => ({ error: error.message }),
    );

  const server = createServer(async (incoming, outgoing) => {
    const answer = (status: number, body: unknown) => {
      outgoing.writeHead(status, { 'content-type': 'application/json', 'upstash-sync-token': `s${requests.length}` });
      outgoing.end(JSON.stringify(body));
    };
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    if (incoming.headers.authorization !== `Bearer ${options.token}`) return answer(401, { error: 'Unauthorized' });
    const encode = incoming.headers['upstash-encoding'] === 'base64';
    let body: unknown;
    try {
      body = JSON.parse(Buffer.concat(parts).toString());
    } catch {
      body = undefined;
    }
    if (!Array.isArray(body) || body.length === 0) return answer(400, { error: 'ERR failed to parse command' });
    const path = incoming.url ?? '';
    requests.push({ path, commands: path === '/' ? 1 : body.length });
    if (path === '/') {
      const result = await answered(body, encode);
      return answer('error' in result ? 400 : 200, result);
    }
    if (path === '/pipeline') return answer(200, await Promise.all(body.map((command) => answered(command, encode))));
    if (path === '/multi-exec') {
      // One connection, written at once: nobody comes between MULTI and EXEC.
      const [, ...rest] = await Promise.allSettled([redis.command(['MULTI']), ...body.map(run), redis.command(['EXEC'])]);
      const exec = rest.at(-1) as PromiseSettledResult<Reply>;
      if (exec.status === 'rejected') return answer(400, { error: (exec.reason as Error).message });
      return answer(200, (exec.value as Reply[]).map((reply) => (reply instanceof Error ? { error: reply.message } : { result: told(reply, encode) })));
    }
    return answer(404, { error: 'Not Found' });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Every request that carried a valid token, with how many commands it had. */
    requests,
    stop: async () => {
      redis.close();
      await new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };
}

/** With a Redis of its own behind it. */
export async function startUpstash(token: string) {
  const redis = await startRedis();
  const proxy = await startUpstashProxy({ redisPort: redis.port, token });
  return {
    ...proxy, redis,
    stop: async () => {
      await proxy.stop();
      await redis.stop();
    },
  };
}

/** Texts are base64 where the client asked for it, all but the status OK. */
function told(reply: Reply, encode: boolean, inList = false): unknown {
  if (Buffer.isBuffer(reply)) return encode && (inList || reply.toString() !== 'OK') ? reply.toString('base64') : reply.toString();
  if (reply instanceof Error) return reply.message;
  return Array.isArray(reply) ? reply.map((item) => told(item, encode, true)) : reply;
}
