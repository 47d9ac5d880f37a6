// Bare Hono on Bun: Bun.serve.
import { bun } from './bun.ts';
import { bareHono } from './hono.ts';

bun.serve({ fetch: bareHono().fetch, port: Number(process.argv[2]), hostname: '127.0.0.1' });
