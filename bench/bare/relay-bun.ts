// A bare relay on Bun: Bun.serve in, fetch out; what passing a request on costs at the very least.
import { bun } from './bun.ts';

const [port, target] = process.argv.slice(2);

bun.serve({
  port: Number(port),
  hostname: '127.0.0.1',
  fetch: (request) => {
    const path = request.url.slice(request.url.indexOf('/', 8));
    return fetch(`http://127.0.0.1:${target}${path}`, { method: request.method, headers: request.headers, body: request.body, decompress: false } as RequestInit);
  },
});
