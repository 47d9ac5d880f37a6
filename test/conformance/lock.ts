// What every lock store must do, on whatever it keeps its locks.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LockStore } from '../../src/blocks/lock/port.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import type { ServerName } from '../harness/servers.ts';
import { openComponent } from './open.ts';

export interface LockRow {
  type: string;
  servers?: ServerName[];
  /** Starts what the store needs; `metadata` opens the store on it, as often as one likes. */
  start(): Promise<{ metadata: Record<string, string>; stop(): Promise<unknown> }>;
  /** Two instances with the same metadata exclude each other. */
  shared: boolean;
}

let counter = 0;
const fresh = (what = 'r') => `lock||app||${what}-${++counter}`;

export function describeLockStore(row: LockRow): void {
  const suite = () => {
    let started: Awaited<ReturnType<LockRow['start']>>;
    let store: LockStore;
    const others: LockStore[] = [];
    const open = async () => (await openComponent<LockStore>(row.type, started.metadata)).port;
    beforeAll(async () => {
      started = await row.start();
      store = await open();
    });
    afterEach(async () => {
      for (const other of others.splice(0)) await other.close();
    });
    afterAll(async () => {
      await store?.close();
      await started?.stop();
    });
    const take = (key: string, owner: string, seconds = 60, from = store) => from.tryLock({ key, owner, seconds }, background);
    const release = (key: string, owner: string, from = store) => from.unlock({ key, owner }, background);

    test('a free lock is taken, and refused to everybody until it is released', async () => {
      const key = fresh();
      expect(await take(key, 'me')).toBe(true);
      expect(await take(key, 'you')).toBe(false);
      expect(await take(key, 'me')).toBe(false);
      expect(await release(key, 'me')).toBe('success');
      expect(await take(key, 'you')).toBe(true);
    });
    test('locks do not know each other', async () => {
      const [a, b] = [fresh(), fresh()];
      expect(await take(a, 'me')).toBe(true);
      expect(await take(b, 'you')).toBe(true);
      expect(await release(a, 'you')).toBe('others');
      expect(await release(b, 'you')).toBe('success');
    });
    test('only the owner releases, once', async () => {
      const key = fresh();
      expect(await release(key, 'me')).toBe('missing');
      await take(key, 'me');
      expect(await release(key, 'you')).toBe('others');
      expect(await release(key, 'Me')).toBe('others');
      expect(await release(key, 'me')).toBe('success');
      expect(await release(key, 'me')).toBe('missing');
    });
    test('a refused try changes neither owner nor lifetime', async () => {
      const key = fresh();
      await take(key, 'me', 1);
      expect(await take(key, 'you', 60)).toBe(false);
      await sleep(1100);
      expect(await take(key, 'third')).toBe(true);
    });
    test('a lock ends after its time, and its first owner has lost it', async () => {
      const key = fresh();
      expect(await take(key, 'me', 1)).toBe(true);
      await sleep(500);
      expect(await take(key, 'you', 1)).toBe(false);
      await sleep(600);
      expect(await release(key, 'me')).toBe('missing');
      expect(await take(key, 'you')).toBe(true);
      expect(await release(key, 'me')).toBe('others');
    });
    test('any text is a key and an owner', async () => {
      for (const odd of ['a b/c?ü', '\u{1f600}', "it's \"quoted\" \\ $1 %", 'x'.repeat(1000)]) {
        const key = fresh(odd);
        expect(await take(key, odd)).toBe(true);
        expect(await release(key, `${odd} `)).toBe('others');
        expect(await release(key, odd)).toBe('success');
      }
    });
    test('the longest time', async () => {
      const key = fresh();
      expect(await take(key, 'me', 2 ** 31 - 1)).toBe(true);
      expect(await take(key, 'you')).toBe(false);
    });
    test('of many who try at once exactly one gets it', async () => {
      for (let round = 0; round < 20; round++) {
        const key = fresh();
        const got = await Promise.all(Array.from({ length: 20 }, (_, i) => take(key, `owner${i}`)));
        expect(got.filter(Boolean)).toHaveLength(1);
        expect(await release(key, `owner${got.indexOf(true)}`)).toBe('success');
      }
    });
    test('an expired lock goes to exactly one as well', async () => {
      const key = fresh();
      await take(key, 'old', 1);
      await sleep(1100);
      const got = await Promise.all(Array.from({ length: 20 }, (_, i) => take(key, `owner${i}`)));
      expect(got.filter(Boolean)).toHaveLength(1);
    });
    test(row.shared ? 'instances exclude each other' : 'instances are on their own', async () => {
      const other = await open();
      others.push(other);
      const key = fresh();
      expect(await take(key, 'me')).toBe(true);
      expect(await take(key, 'you', 60, other)).toBe(!row.shared);
      if (!row.shared) return;
      expect(await release(key, 'me', other)).toBe('success');
      for (let round = 0; round < 20; round++) {
        const contested = fresh();
        const got = await Promise.all([...Array(10).keys()].map((i) => take(contested, `o${i}`, 60, i % 2 ? other : store)));
        expect(got.filter(Boolean)).toHaveLength(1);
      }
    });
    test('it says that it is there', async () => void (await store.ping?.(background)));
  };
  if (row.servers) describeWithServer(row.servers, row.type, suite);
  else describe(row.type, suite);
}
