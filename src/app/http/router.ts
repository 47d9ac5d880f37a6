// The router of the API: one of Hono's for each API (`/v1.0/state`), because all paths together are too alike for its fast one.
import type { Result, Router } from 'hono/router';
import { RegExpRouter } from 'hono/router/reg-exp-router';
import { SmartRouter } from 'hono/router/smart-router';
import { TrieRouter } from 'hono/router/trie-router';

/** Matches what Hono's SmartRouter would, for paths whose first two segments are no parameters. */
export function createRouter<T>(): Router<T> {
  const routers = new Map<string, Router<T>>();
  const nothing: Result<T> = [[]] as unknown as Result<T>;
  return {
    name: 'by API',
    add: (method, path, handler) => {
      const head = headOf(path);
      let router = routers.get(head);
      if (router === undefined) routers.set(head, (router = new SmartRouter<T>({ routers: [new RegExpRouter<T>(), new TrieRouter<T>()] })));
      router.add(method, path, handler);
    },
    match: (method, path) => routers.get(headOf(path))?.match(method, path) ?? nothing,
  };
}

/** `/v1.0/state` of `/v1.0/state/store/key`. */
function headOf(path: string): string {
  const end = path.indexOf('/', path.indexOf('/', 1) + 1);
  return end < 0 ? path : path.slice(0, end);
}
