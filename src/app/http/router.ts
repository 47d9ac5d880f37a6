// The router of the API, in Hono's place for one: Dapr's patterns are few and simple, and the first that fits wins.
import type { Result, Router } from 'hono/router';

interface Pattern<T> {
  /** Segments behind the head; undefined: a parameter. */
  segments: (string | undefined)[];
  /** The last parameter takes all that follows. */
  open: boolean;
  result: Result<T>;
}
interface Api<T> {
  /** First two segments, `/v1.0/state`. */
  head: string;
  /** Its last character, which few heads share. */
  end: number;
  /** By method; `ALL` for every other. */
  patterns: Map<string, Pattern<T>[]>;
}

/** Patterns are `/a/b/:name/:rest{.+}` and `/a/b/*` with no parameter among the first two segments; paths are cleaned. Hono finds one handler at most. */
export function createRouter<T>(): Router<T> {
  const apis: Api<T>[] = [];
  const nothing: Result<T> = [[]];
  return {
    name: 'by API',
    add: (method, path, handler) => {
      const head = path.slice(0, headLength(path));
      let api = apis.find((known) => known.head === head);
      if (api === undefined) apis.push((api = { head, end: head.charCodeAt(head.length - 1), patterns: new Map() }));
      const segments = path.slice(head.length + 1).split('/').filter((segment) => segment !== '');
      const last = segments.at(-1) ?? '';
      const pattern = { segments: segments.map((segment) => (segment.startsWith(':') || segment === '*' ? undefined : segment)), open: last === '*' || last.endsWith('{.+}'), result: [[[handler, {}]]] as Result<T> };
      const patterns = api.patterns.get(method);
      if (patterns === undefined) api.patterns.set(method, [pattern]);
      else patterns.push(pattern);
    },
    match: (method, path) => {
      for (let i = 0; i < apis.length; i++) {
        const { head, end, patterns } = apis[i] as Api<T>;
        if (path.charCodeAt(head.length - 1) !== end || !path.startsWith(head) || (path.length > head.length && path.charCodeAt(head.length) !== 0x2f)) continue;
        const candidates = patterns.get(method) ?? patterns.get('ALL');
        if (candidates === undefined) return nothing;
        for (let at = 0; at < candidates.length; at++) {
          const pattern = candidates[at] as Pattern<T>;
          if (fits(path, head.length, pattern.segments, pattern.open)) return pattern.result;
        }
        return nothing;
      }
      return nothing;
    },
  };
}

/** Length of `/v1.0/state` in `/v1.0/state/store/key`. */
function headLength(path: string): number {
  const end = path.indexOf('/', path.indexOf('/', 1) + 1);
  return end < 0 ? path.length : end;
}

/** Whether these segments are what follows `start` (a slash, or the end of the path). */
function fits(path: string, start: number, segments: (string | undefined)[], open: boolean): boolean {
  const last = segments.length - 1;
  let at = start;
  for (let i = 0; i <= last; i++) {
    if (at >= path.length - 1) return false; // each has a slash and a character
    if (i === last && open) return true;
    const wanted = segments[i];
    if (wanted !== undefined) {
      if (!path.startsWith(wanted, at + 1)) return false;
      at += 1 + wanted.length;
      if (at < path.length && path.charCodeAt(at) !== 0x2f) return false;
    } else {
      const end = path.indexOf('/', at + 1);
      at = end < 0 ? path.length : end;
    }
  }
  return at === path.length;
}
