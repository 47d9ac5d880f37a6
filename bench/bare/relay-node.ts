// A bare relay on Node: node:http in, undici's dispatcher out; what passing a request on costs at the very least.
import { createServer } from 'node:http';
import { Pool } from 'undici';

const [port, target] = process.argv.slice(2);
const pool = new Pool(`http://127.0.0.1:${target}`, { connections: 128, pipelining: 1 });

createServer((incoming, outgoing) => {
  const body = incoming.method === 'GET' ? null : incoming;
  pool.dispatch(
    { path: incoming.url ?? '/', method: incoming.method as 'GET', headers: incoming.headers, body },
    {
      onRequestStart: () => {},
      onResponseStart: (_controller, status, headers) => void outgoing.writeHead(status, headers),
      onResponseData: (_controller, chunk) => void outgoing.write(chunk),
      onResponseEnd: () => void outgoing.end(),
      onResponseError: () => void outgoing.destroy(),
    },
  );
}).listen(Number(port), '127.0.0.1');
