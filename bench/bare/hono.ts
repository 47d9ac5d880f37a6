// Bare Hono with two routes shaped like the state API over a Map: what a sidecar on this host could reach at best.
import { Hono } from 'hono';

export function bareHono(): Hono {
  const values = new Map<string, string>();
  const app = new Hono();
  app.get('/v1.0/healthz/outbound', (c) => c.body(null, 204));
  app.get('/v1.0/state/:store/:key', (c) => {
    const value = values.get(c.req.param('key'));
    return value === undefined ? c.body(null, 204) : c.body(value, 200, { 'content-type': 'application/json' });
  });
  app.post('/v1.0/state/:store', async (c) => {
    for (const { key, value } of await c.req.json<{ key: string; value: unknown }[]>()) values.set(key, JSON.stringify(value));
    return c.body(null, 204);
  });
  return app;
}
