// What every configuration store must do, whatever it keeps its items in.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ConfigurationEvent, ConfigurationItem, ConfigurationStore } from '../../src/blocks/configuration/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import type { ServerName } from '../harness/servers.ts';
import { openComponent } from './open.ts';

export interface ConfigurationBackend {
  metadata: Record<string, string>;
  /** Changes an item behind the store's back; undefined deletes it. */
  write(key: string, item: ConfigurationItem | undefined, store: ConfigurationStore): Promise<void>;
  stop(): Promise<unknown>;
}
export interface ConfigurationRow {
  type: string;
  servers?: ServerName[];
  start(): Promise<ConfigurationBackend>;
  /** What unsubscribing the unknown `<id>` says. */
  unknown: string;
  quirks: {
    /** Items carry metadata. */
    metadata: boolean;
    /** A deleted item is told with what it was, not as an empty one. */
    tellsDeleted: boolean;
    /** Keys are letters, digits, dot, slash and underscore. */
    plainKeys: boolean;
  };
}

export const item = (value: string, version = '', metadata: Record<string, string> = {}): ConfigurationItem => ({ value, version, metadata });

/** A handler that remembers, and a way to wait for the next event. */
export function listener(act: (event: ConfigurationEvent) => Promise<void> = async () => undefined) {
  const events: ConfigurationEvent[] = [];
  return {
    events,
    handler: async (event: ConfigurationEvent) => {
      events.push(event);
      await act(event);
    },
    /** Everything that came, when at least `count` events did; then forgets it. */
    take: async (count: number): Promise<[string, ConfigurationItem][]> => {
      for (const end = Date.now() + 5000; events.length < count && Date.now() < end; ) await sleep(10);
      return events.splice(0).flatMap(({ items }) => [...items]);
    },
    /** What comes within a moment. */
    quiet: async () => {
      await sleep(150);
      return events.splice(0);
    },
  };
}

let counter = 0;
const fresh = () => `key.${++counter}`;

export function describeConfigurationStore(row: ConfigurationRow): void {
  const suite = () => {
    let backend: ConfigurationBackend;
    let store: ConfigurationStore;
    const ids: string[] = [];
    beforeAll(async () => {
      backend = await row.start();
      store = (await openComponent<ConfigurationStore>(row.type, backend.metadata)).port;
    });
    afterEach(async () => {
      for (const id of ids.splice(0)) await store.unsubscribe(id).catch(() => undefined);
    });
    afterAll(async () => {
      await store?.close();
      await backend?.stop();
    });
    const write = (key: string, value: ConfigurationItem | undefined) => backend.write(key, value, store);
    const get = async (...keys: string[]) => Object.fromEntries(await store.get({ keys, metadata: {} }, background));
    const subscribe = async (keys: string[], to: ReturnType<typeof listener>) => {
      const id = await store.subscribe({ keys, metadata: {} }, to.handler);
      ids.push(id);
      return id;
    };

    test('items by key, those that are not there left out', async () => {
      const [a, b, missing] = [fresh(), fresh(), fresh()];
      await write(a, item('one'.repeat(100), '1'));
      await write(b, item('<ü\u{1f600}>', '22'));
      expect(await get(a)).toEqual({ [a]: item('one'.repeat(100), '1') });
      expect(await get(a, missing, b, a)).toEqual({ [a]: item('one'.repeat(100), '1'), [b]: item('<ü\u{1f600}>', '22') });
      expect(await get(missing)).toEqual({});
    });
    test('no keys mean all', async () => {
      const key = fresh();
      await write(key, item('x', '1'));
      const all = await get();
      expect(all[key]).toEqual(item('x', '1'));
      expect(Object.keys(all).length).toBeGreaterThan(1);
    });
    test.runIf(row.quirks.metadata)('metadata of an item', async () => {
      const key = fresh();
      await write(key, item('x', '1', { a: 'b' }));
      expect(await get(key)).toEqual({ [key]: item('x', '1', { a: 'b' }) });
    });
    test.runIf(row.quirks.plainKeys)('a key with another character is refused', async () => {
      await expect(get('a', 'b-c')).rejects.toThrow("invalid key : 'b-c'");
    });

    test('a subscription tells changes of its keys, nothing at first', async () => {
      const [a, b, other] = [fresh(), fresh(), fresh()];
      await write(a, item('before', '1'));
      const told = listener();
      const id = await subscribe([a, b], told);
      expect(await told.quiet()).toEqual([]);
      await write(a, item('after', '2'));
      expect(await told.take(1)).toEqual([[a, item('after', '2')]]);
      await write(other, item('x', '1'));
      await write(b, item('new', '1'));
      expect(await told.take(1)).toEqual([[b, item('new', '1')]]);
      await write(a, undefined);
      expect(await told.take(1)).toEqual([[a, row.quirks.tellsDeleted ? item('after', '2') : item('')]]);
      expect(await told.quiet()).toEqual([]);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    });
    test('events carry the id of their subscription; two on one key get one each', async () => {
      const key = fresh();
      const [one, two] = [listener(), listener()];
      const ids = [await subscribe([key], one), await subscribe([key], two)];
      await write(key, item('x', '1'));
      await Promise.all([one, two].map(async (to) => { for (const end = Date.now() + 5000; to.events.length === 0 && Date.now() < end; ) await sleep(10); }));
      expect([one, two].map(({ events }) => events.map(({ id }) => id))).toEqual(ids.map((id) => [id]));
      expect(ids[0]).not.toBe(ids[1]);
    });
    test('a subscription without keys hears of all, beside one for a key', async () => {
      const [a, b] = [fresh(), fresh()];
      const [all, one] = [listener(), listener()];
      await subscribe([], all);
      await subscribe([a], one);
      await write(a, item('1', '1'));
      await write(b, item('2', '1'));
      expect((await all.take(2)).sort()).toEqual([[a, item('1', '1')], [b, item('2', '1')]].sort());
      expect(await one.take(1)).toEqual([[a, item('1', '1')]]);
      expect([await all.quiet(), await one.quiet()]).toEqual([[], []]);
    });
    test('unsubscribing ends one subscription and leaves the others', async () => {
      const key = fresh();
      const [gone, stays, all] = [listener(), listener(), listener()];
      const id = await subscribe([key], gone);
      await subscribe([key], stays);
      const allId = await subscribe([], all);
      await store.unsubscribe(id);
      await store.unsubscribe(allId);
      await write(key, item('x', '1'));
      expect(await stays.take(1)).toEqual([[key, item('x', '1')]]);
      expect([await gone.quiet(), await all.quiet()]).toEqual([[], []]);
      await expect(store.unsubscribe(id)).rejects.toThrow(row.unknown.replace('<id>', id));
      await expect(store.unsubscribe('nosuch')).rejects.toThrow(row.unknown.replace('<id>', 'nosuch'));
      const again = listener();
      await subscribe([key], again);
      await write(key, item('y', '2'));
      expect(await again.take(1)).toEqual([[key, item('y', '2')]]);
    });
    test('a handler that fails hears of the next change', async () => {
      const key = fresh();
      const told = listener(async () => { throw new Error('no'); });
      await subscribe([key], told);
      await write(key, item('1', '1'));
      expect(await told.take(1)).toHaveLength(1);
      await write(key, item('2', '2'));
      expect(await told.take(1)).toEqual([[key, item('2', '2')]]);
    });
    test('a slow handler gets one event of a key after the other, and does not hold up other keys', async () => {
      const [slow, quick] = [fresh(), fresh()];
      let running = 0, most = 0;
      let release = () => {};
      const released = new Promise<void>((resolve) => { release = resolve; });
      const told = listener(async ({ items }) => {
        if (!items.has(slow)) return;
        most = Math.max(most, ++running);
        await released;
        running--;
      });
      await subscribe([slow, quick], told);
      for (let i = 1; i <= 3; i++) await write(slow, item(String(i), String(i)));
      await write(quick, item('q', '1'));
      expect((await told.take(2)).map(([key]) => key)).toEqual([slow, quick]);
      release();
      expect((await told.take(2)).at(-1)).toEqual([slow, item('3', '3')]);
      expect(most).toBe(1);
    });
    test('it says that it is there', async () => void (await store.ping?.(background)));
    test('closing ends the subscriptions', async () => {
      const second = (await openComponent<ConfigurationStore>(row.type, backend.metadata)).port;
      const told = listener();
      const key = fresh();
      await second.subscribe({ keys: [key], metadata: {} }, told.handler);
      await second.close();
      await write(key, item('x', '1'));
      expect(await told.quiet()).toEqual([]);
    });
  };
  if (row.servers) describeWithServer(row.servers, row.type, suite);
  else describe(row.type, suite);
}
