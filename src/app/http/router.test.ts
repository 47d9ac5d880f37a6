import { expect, it } from 'vitest';
import { createRouter } from './router.ts';

const router = createRouter<string>();
for (const [method, path] of [
  ['GET', '/v1.0/secrets/:store/bulk'], ['GET', '/v1.0/secrets/:store/:key'], ['POST', '/v1.0/state/:store/bulk'], ['GET', '/v1.0/state/:store/:key'],
  ['POST', '/v1.0/publish/bulk/:pubsub/:topic{.+}'], ['POST', '/v1.0/publish/:pubsub/:topic{.+}'], ['ALL', '/v1.0/invoke/*'], ['GET', '/v1.0/healthz'], ['GET', '/v1.0/healthz/outbound'],
] as const) router.add(method, path, path);
const found = (method: string, path: string) => router.match(method, path)[0].map(([handler]) => handler)[0];

it.each([
  ['GET', '/v1.0/secrets/s/bulk', '/v1.0/secrets/:store/bulk'],
  ['GET', '/v1.0/secrets/s/k', '/v1.0/secrets/:store/:key'],
  ['GET', '/v1.0/state/s/bulk', '/v1.0/state/:store/:key'],
  ['POST', '/v1.0/state/s/bulk', '/v1.0/state/:store/bulk'],
  ['POST', '/v1.0/publish/bulk/t', '/v1.0/publish/:pubsub/:topic{.+}'],
  ['POST', '/v1.0/publish/bulk/p/a/b', '/v1.0/publish/bulk/:pubsub/:topic{.+}'],
  ['PROPFIND', '/v1.0/invoke/app/method/x', '/v1.0/invoke/*'],
  ['GET', '/v1.0/healthz', '/v1.0/healthz'],
  ['GET', '/v1.0/healthz/outbound', '/v1.0/healthz/outbound'],
  ['PUT', '/v1.0/state/s/k', undefined],
  ['head', '/v1.0/state/s/k', undefined],
  ['GET', '/nowhere', undefined],
  ['GET', '/', undefined],
])('%s %s', (method, path, route) => expect(found(method, path)).toBe(route));
