// The app behind the sidecars: a bare HTTP server that answers one kilobyte, fast enough not to be what is measured.
import { bun } from './bun.ts';

const body = 'x'.repeat(1024);
bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: () => new Response(body, { headers: { 'content-type': 'text/plain' } }) });
