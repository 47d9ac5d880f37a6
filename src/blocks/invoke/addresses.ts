// Addresses of other apps' sidecars: asked of the name resolver, kept as long as it allows, dropped when one does not answer.
import type { NameResolver } from './port.ts';

/** The resolver as the sidecar has it: missing, unable to start (it then knows nobody), or working. */
export type Resolution = { state: 'absent' } | { state: 'failed' } | { state: 'ready'; resolver: NameResolver };

export interface Addresses {
  /** One address of the app. Rejects with Dapr's text when there is none. */
  find(appId: string, namespace: string): Promise<string>;
  /** The same without asking anybody: undefined where the answer is not at hand. */
  known(appId: string, namespace: string): string | undefined;
  /** This address did not answer: the next `find` asks again. */
  drop(appId: string, namespace: string, address: string): void;
  /** Calls to oneself use no address, but without a working resolver Dapr refuses even them. */
  check(appId: string, namespace: string): void;
  /** The same for URLs and HTTPEndpoints, which only want a resolver to exist. */
  checkPresent(): void;
  close(): Promise<void>;
}

/** Source: dapr/pkg/messaging/direct_messaging.go getRemoteApp. */
const emptyAnswers = { tries: 6, waitMs: 100 };
/** Some resolvers have an address for every name, and callers may think of any number of names. */
const mostCached = 4096;

export function createAddresses(resolution: () => Resolution, now: () => number = () => performance.now()): Addresses {
  interface Entry { list: string[]; next: number; until: number }
  const cache = new Map<string, Entry>();
  const asking = new Map<string, Promise<string>>();

  let closed: NameResolver | undefined;
  /** For lists that the resolver keeps: whose turn it is. */
  let turn = Math.floor(Math.random() * 1000);
  const pick = (entry: Entry): string => entry.list[entry.next++ % entry.list.length] as string;
  const keyOf = (appId: string, namespace: string) => `${namespace}/${appId}`;

  const cached = (key: string): string | undefined => {
    const entry = cache.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > now()) return pick(entry);
    cache.delete(key);
    return undefined;
  };

  const resolver = (): NameResolver | undefined => {
    const current = resolution();
    if (current.state === 'absent') throw new Error('name resolver not initialized');
    return current.state === 'ready' ? current.resolver : undefined;
  };

  const ask = async (appId: string, namespace: string, key: string): Promise<string> => {
    const source = resolver();
    for (let tries = 1; source !== undefined; tries++) {
      const list = await source.resolve(appId, namespace);
      if (list.length > 0) {
        // Starting anywhere spreads the callers over the instances.
        const entry = { list, next: Math.floor(Math.random() * list.length), until: now() + source.cacheMs };
        if (cache.size >= mostCached) cache.clear();
        if (source.cacheMs > 0) cache.set(key, entry);
        return pick(entry);
      }
      if (tries >= emptyAnswers.tries) break;
      await new Promise((done) => setTimeout(done, emptyAnswers.waitMs));
    }
    throw new Error(`resolver returned empty address for app id ${key}`);
  };

  return {
    known: (appId, namespace) => {
      const current = resolution();
      if (current.state === 'ready' && current.resolver.peek) {
        const list = current.resolver.peek(appId, namespace);
        return list === undefined ? undefined : list[turn++ % list.length];
      }
      return cached(keyOf(appId, namespace));
    },
    find: async (appId, namespace) => {
      const key = keyOf(appId, namespace);
      const hit = cached(key);
      if (hit !== undefined) return hit;
      // Callers that come together share one question.
      let pending = asking.get(key);
      if (pending === undefined) {
        pending = ask(appId, namespace, key).finally(() => asking.delete(key));
        asking.set(key, pending);
      }
      return pending;
    },
    drop: (appId, namespace, address) => {
      cache.delete(keyOf(appId, namespace));
      const current = resolution();
      if (current.state === 'ready') current.resolver.failed?.(appId, namespace, address);
    },
    check: (appId, namespace) => {
      if (resolver() === undefined) throw new Error(`resolver returned empty address for app id ${keyOf(appId, namespace)}`);
    },
    checkPresent: () => { resolver(); },
    close: async () => {
      const current = resolution();
      if (current.state !== 'ready' || current.resolver === closed) return;
      closed = current.resolver;
      await current.resolver.close();
    },
  };
}
