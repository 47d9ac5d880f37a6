// Bare Hono on Node: @hono/node-server.
import { serve } from '@hono/node-server';
import { bareHono } from './hono.ts';

serve({ fetch: bareHono().fetch, port: Number(process.argv[2]), hostname: '127.0.0.1' });
