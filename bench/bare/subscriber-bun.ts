// An app that takes messages and does nothing with them, on Bun.serve: what a delivery's receiver can take at best.
import { bun } from './bun.ts';

bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: async (request) => { await request.arrayBuffer(); return new Response(null); } });
