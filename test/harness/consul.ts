// A key/value server with Consul's HTTP API as its reference documents it. Not Consul: no registry has one that installs as a package.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** With a token calls without it are refused. */
export async function startConsul(token = '') {
  const values = new Map<string, { value: Buffer; index: number }>();
  const targets: string[] = [];
  let index = 1;
  const server = createServer(async (incoming, outgoing) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const { method = '', url: target = '', headers } = incoming;
    targets.push(`${method} ${target}`);
    const answer = (status: number, body: string) => void outgoing.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'text/plain', 'x-consul-index': String(index) }).end(body);
    const [path = ''] = target.split('?');
    if (!path.startsWith('/v1/kv/')) return answer(404, '');
    if (token !== '' && headers['x-consul-token'] !== token) return answer(403, 'Permission denied');
    const key = decodeURIComponent(path.slice('/v1/kv/'.length));
    if (method === 'PUT') values.set(key, { value: Buffer.concat(parts), index: ++index });
    if (method === 'DELETE') values.delete(key);
    if (method !== 'GET') return answer(200, 'true');
    const found = values.get(key);
    if (found === undefined) return answer(404, '');
    answer(200, JSON.stringify([{ LockIndex: 0, Key: key, Flags: 0, Value: found.value.length === 0 ? null : found.value.toString('base64'), CreateIndex: found.index, ModifyIndex: found.index }]));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Key → value, as text. */
    stored: () => Object.fromEntries([...values].map(([key, { value }]) => [key, value.toString()])),
    targets,
    stop: async () => {
      await new Promise((done) => {
        server.close(done);
        server.closeAllConnections();
      });
    },
  };
}
