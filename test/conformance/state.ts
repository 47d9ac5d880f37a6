// What every state store must do, as facts: one suite for all of them (after the conformance suite of components-contrib).
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createComponentStore, type Loaded } from '../../src/blocks/components/store.ts';
import { createStateBlock, type DeleteOptions, type NamedStateStore, type SaveItem } from '../../src/blocks/state/state.ts';
import type { StateStore, StateValue } from '../../src/blocks/state/port.ts';
import { type AdapterError, DaprError } from '../../src/core/errors.ts';
import { background } from '../../src/core/context.ts';
import { describeWithServer } from '../harness/describe.ts';
import type { ServerName } from '../harness/servers.ts';
import { openComponent } from './open.ts';

/** What a store declares; what it does not is asserted absent. */
export type StateOperation = 'etag' | 'firstWrite' | 'transaction' | 'ttl' | 'keysLike' | 'deleteWithPrefix' | 'query';

export interface StateRow {
  type: string;
  version?: string;
  /** Installed programs the row starts. */
  servers?: ServerName[];
  /** Starts what the store needs: component metadata, and what ends it again. */
  start(): Promise<{ metadata: Record<string, string>; stop(): Promise<void> }>;
  operations: readonly StateOperation[];
  quirks: {
    /** A well-formed etag that no value has. */
    badEtag: string;
    /** An etag that cannot be one: such a write is refused as invalid; undefined where any text may be an etag. */
    malformedEtag?: string;
    /** Reads tell `ttlExpireTime`. */
    tellsExpiry: boolean;
    /** A write without ttlInSeconds leaves the lifetime of the value before. */
    keepsTtl: boolean;
    /** A delete with an etag of a key that is not there succeeds. */
    deletesMissing?: boolean;
    /** A refused operation leaves the others of its transaction applied. */
    noRollback?: boolean;
    /** A deadline in whole seconds: how long after its lifetime a value may still be read. */
    ttlSlackMs?: number;
    /** Texts with a NUL are refused (PostgreSQL's jsonb has none). */
    refusesNul?: boolean;
    /** Words for concurrency and consistency that do not exist are no errors. */
    takesAnyOptions?: boolean;
    /** The emulator looks at a condition and writes in two steps, so that races cannot be tested on it. */
    racy?: boolean;
    /** How many keys are read at once, default 500: an emulator may need its time. */
    many?: number;
  };
}

const seconds = 1000;
const text = (data: Uint8Array | null | undefined) => (data === null || data === undefined ? data : new TextDecoder().decode(data));
/** A store may respell JSON (jsonb puts blanks in). */
const compact = (data: string | null | undefined) => (data ? JSON.stringify(JSON.parse(data)) : data);
const json = (value: unknown): StateValue => ({ json: JSON.stringify(value) });

export function describeStateStore(row: StateRow): void {
  const title = `${row.type}${row.version ? ` ${row.version}` : ''}`;
  const has = (operation: StateOperation) => row.operations.includes(operation);
  const when = (operation: StateOperation) => (has(operation) ? describe : describe.skip);

  const body = () => {
    let server: Awaited<ReturnType<StateRow['start']>>;
    let loaded: Loaded<StateStore>;
    let store: NamedStateStore;
    let port: StateStore;
    let run = 0;
    /** A key no other test uses. */
    const key = (name: string) => `${name}-${run++}`;

    beforeAll(async () => {
      server = await row.start();
      loaded = await openComponent<StateStore>(row.type, server.metadata, row.version === undefined ? {} : { version: row.version });
      port = loaded.port;
      const components = createComponentStore();
      components.add(loaded);
      store = createStateBlock({ components, appId: 'conformance', namespace: '', maxParallel: 64 }).store('store');
    });
    afterAll(async () => {
      await port?.close();
      await server?.stop();
    });

    const item = (name: string, value: StateValue, more: Partial<SaveItem> = {}): SaveItem => ({ key: name, value, metadata: {}, concurrency: '', consistency: '', ...more });
    const save = (name: string, value: StateValue, more: Partial<SaveItem> = {}) => store.save([item(name, value, more)], background);
    const get = (name: string, metadata: Record<string, string> = {}) => store.get(name, { consistency: '', metadata }, background);
    const read = async (name: string) => text((await get(name)).data);
    const etag = async (name: string) => (await get(name)).etag;
    const remove = (name: string, more: Partial<DeleteOptions> = {}) => store.delete(name, { metadata: {}, concurrency: '', consistency: '', ...more }, background);
    const bulk = (keys: string[]) => store.bulkGet(keys, { parallelism: 0, metadata: {} }, background);
    const transact = (operations: (SaveItem & { operation: string })[]) => store.transact(operations, { partitionKey: 'myPartition' }, background);
    const upsert = (name: string, value: StateValue, more: Partial<SaveItem> = {}) => ({ operation: 'upsert', ...item(name, value, more) });
    const drop = (name: string, more: Partial<SaveItem> = {}) => ({ operation: 'delete', ...item(name, json(null), more) });
    /** The status daprd answers with when a write is refused. */
    const refusal = async (work: Promise<unknown>): Promise<number> => {
      const error = await work.then(
        () => undefined,
        (e: unknown) => e,
      );
      if (error === undefined) return 204;
      expect(error).toBeInstanceOf(DaprError);
      return (error as DaprError).http;
    };

    describe('features', () => {
      test('are those it declares', () => {
        const declared = { ETAG: has('etag'), TRANSACTIONAL: has('transaction'), TTL: has('ttl'), KEYS_LIKE: has('keysLike'), DELETE_WITH_PREFIX: has('deleteWithPrefix'), QUERY_API: has('query') };
        expect(Object.fromEntries(Object.keys(declared).map((feature) => [feature, loaded.features.includes(feature)]))).toEqual(declared);
      });
      test('what is not declared is not there', () => {
        expect(port.transact !== undefined).toBe(has('transaction'));
        expect(port.keysLike !== undefined).toBe(has('keysLike'));
        expect(port.deleteWithPrefix !== undefined).toBe(has('deleteWithPrefix'));
      });
      test('answers ping where it knows it', async () => {
        await port.ping?.(background);
      });
    });

    describe('single values', () => {
      const objects = { contentType: 'application/json' };
      test.each<[string, unknown, Record<string, string>?]>([
        ['a number', 123],
        ['a boolean', true],
        ['null', null],
        ['a text that looks like JSON', '{"a":"b"}'],
        ['a text', 'hello world'],
        ['an empty text', ''],
        ['a text with everything', `<&> "quoted" ü 💡 \u2028 \\ ${row.quirks.refusesNul ? '' : '\0'}`],
        ['a float with many digits', 0.1234567890123],
        ['an object', { message: 'hello', n: 1 }, objects],
        ['a nested object', { product: { value: 12.5, list: [1, [2]] } }, objects],
      ])('%s comes back as it was', async (_, value, metadata = {}) => {
        const k = key('value');
        await save(k, json(value), { metadata });
        const { data } = await get(k, metadata);
        expect(JSON.parse(text(data) as string)).toEqual(value);
      });
      test.each<[string, Uint8Array]>([
        ['one byte', new Uint8Array([1])],
        ['none', new Uint8Array(0)],
        ['all bytes', Uint8Array.from({ length: 256 }, (_, i) => i)],
        ['bytes that are no UTF-8', new Uint8Array([0, 255, 0xc3, 0x28, 0xed, 0xa0, 0x80])],
        ['a protobuf message', new Uint8Array([8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 18, 3, 97, 98, 99])],
        ['a quarter of a megabyte', crypto.getRandomValues(new Uint8Array(65_536))],
      ])('bytes: %s', async (_, bytes) => {
        const k = key('bytes');
        await save(k, { bytes });
        const { data } = await get(k);
        expect(data).not.toBeNull();
        expect(Buffer.from(data as Uint8Array).equals(Buffer.from(bytes))).toBe(true);
      });
      test('a key that is not there has no data, no etag and no error', async () => {
        expect(await get(key('missing'))).toMatchObject({ data: null });
        expect(await etag(key('missing'))).toBeFalsy();
      });
      test('delete removes, and deleting what is not there is no error', async () => {
        const k = key('delete');
        await save(k, json(1));
        await remove(k);
        expect(await read(k)).toBeNull();
        await remove(k);
      });
      test('keys are told apart by case and by blanks, and may be long or foreign', async () => {
        const keys = ['K', 'k', 'k ', ' k', 'ключ', 'k/1', "k'1", 'k"1', 'k%1', 'k_1', `long${'x'.repeat(200)}`].map((k) => `${k}~${run}`);
        await store.save(keys.map((k, i) => item(k, json(i))), background);
        for (const [i, k] of keys.entries()) expect([k, await read(k)]).toEqual([k, String(i)]);
      });
      test(`unknown concurrency and consistency are ${row.quirks.takesAnyOptions ? 'not looked at' : 'errors'}`, async () => {
        const k = key('options');
        expect(await refusal(save(k, json(1), { concurrency: 'bogus' }))).toBe(row.quirks.takesAnyOptions ? 204 : 500);
        expect(await refusal(save(k, json(1), { consistency: 'bogus' }))).toBe(row.quirks.takesAnyOptions ? 204 : 500);
        expect(await read(k)).toBe(row.quirks.takesAnyOptions ? '1' : null);
      });
      test('strong and eventual consistency are accepted', async () => {
        const k = key('consistency');
        await save(k, json(1), { consistency: 'strong' });
        await save(k, json(2), { consistency: 'eventual' });
        expect(await read(k)).toBe('2');
      });
    });

    describe('bulk', () => {
      test('every value of a bulk save can be read, one by one and at once, with an entry for each key asked', async () => {
        const keys = [key('bulk'), key('bulk'), key('bulk')];
        await store.save(keys.map((k, i) => item(k, json({ i }))), background);
        for (const [i, k] of keys.entries()) expect(JSON.parse((await read(k)) as string)).toEqual({ i });
        const missing = key('missing');
        const items = await bulk([keys[2] as string, missing, ...keys.slice(0, 2)]);
        expect(items.map(({ key, data }) => [key, compact(text(data))])).toEqual([[keys[2], '{"i":2}'], [missing, null], [keys[0], '{"i":0}'], [keys[1], '{"i":1}']]);
        expect((await bulk([keys[1] as string])).map(({ data, error }) => [compact(text(data)), error])).toEqual([['{"i":1}', undefined]]);
      });
      test('many at once', async () => {
        const keys = Array.from({ length: row.quirks.many ?? 500 }, () => key('many'));
        await store.save(keys.map((k) => item(k, json(k))), background);
        const items = await bulk(keys);
        expect(items.map(({ data }) => text(data))).toEqual(keys.map((k) => JSON.stringify(k)));
      });
    });

    when('etag')('etags', () => {
      test('every value has one, in single and bulk reads, and it changes with each write', async () => {
        const k = key('etag');
        await save(k, json(1));
        const first = await etag(k);
        expect(first).toBeTruthy();
        expect((await bulk([k]))[0]?.etag).toBe(first);
        await save(k, json(2));
        expect(await etag(k)).not.toBe(first);
      });
      test('the right one writes and deletes', async () => {
        const k = key('etag');
        await save(k, json(1));
        const first = await etag(k);
        await save(k, json(2), { etag: first });
        expect(await etag(k)).not.toBe(first);
        await remove(k, { etag: await etag(k) });
        expect(await get(k)).toMatchObject({ data: null });
        expect(await etag(k)).toBeFalsy();
      });
      test('a wrong one is a mismatch and changes nothing', async () => {
        const k = key('etag');
        await save(k, json(1));
        const first = await etag(k);
        expect(await refusal(save(k, json(2), { etag: row.quirks.badEtag }))).toBe(409);
        expect(await refusal(remove(k, { etag: row.quirks.badEtag }))).toBe(409);
        expect([await read(k), await etag(k)]).toEqual(['1', first]);
      });
      test.runIf(row.quirks.malformedEtag)('one that cannot be an etag is refused as invalid', async () => {
        const k = key('etag');
        await save(k, json(1));
        expect(await refusal(save(k, json(2), { etag: row.quirks.malformedEtag }))).toBe(400);
        expect(await read(k)).toBe('1');
      });
      test('an empty one counts as none', async () => {
        const k = key('etag');
        await save(k, json(1));
        await save(k, json(2), { etag: '' });
        expect(await read(k)).toBe('2');
        await remove(k, { etag: '' });
        expect(await read(k)).toBeNull();
      });
      test('a used one is refused the second time', async () => {
        const k = key('etag');
        await save(k, json(1));
        const first = await etag(k);
        await save(k, json(2), { etag: first, consistency: 'strong' });
        expect(await refusal(save(k, json(3), { etag: first, consistency: 'strong' }))).toBe(409);
        expect(await read(k)).toBe('2');
      });
      test.skipIf(row.quirks.racy)('of many writers with one etag one wins', async () => {
        const k = key('race');
        await save(k, json('start'));
        const first = await etag(k);
        const statuses = await Promise.all(Array.from({ length: 20 }, (_, i) => refusal(save(k, json(i), { etag: first }))));
        expect(statuses.filter((status) => status === 204)).toHaveLength(1);
        expect(statuses.filter((status) => status === 409)).toHaveLength(19);
        expect(await read(k)).toBe(String(statuses.indexOf(204)));
      });
      test('a bulk save with one bad etag writes the others and fails as a mismatch', async () => {
        const [a, b, c] = [key('bulk'), key('bulk'), key('bulk')];
        await store.save([a, b, c].map((k) => item(k, json('old'))), background);
        const work = store.save([item(a, json('new'), { etag: await etag(a) }), item(b, json('new'), { etag: row.quirks.badEtag }), item(c, json('new'), { etag: await etag(c) })], background);
        const error = await work.then(
          () => undefined,
          (e: unknown) => e as DaprError,
        );
        expect(error?.http).toBe(409);
        expect((error?.cause as AdapterError | undefined)?.kind).toBe('etagMismatch');
        expect([await read(a), await read(b), await read(c)]).toEqual(['"new"', '"old"', '"new"']);
      });
      test('deleting a missing key with an etag', async () => {
        expect(await refusal(remove(key('gone'), { etag: row.quirks.badEtag }))).toBe(row.quirks.deletesMissing ? 204 : 409);
      });
    });

    when('firstWrite')('first-write', () => {
      test.each([[undefined], ['']])('without an etag (%j) the first save wins, the second is refused', async (none) => {
        const k = key('first');
        await save(k, json(1), { concurrency: 'first-write', etag: none });
        expect(await refusal(save(k, json(2), { concurrency: 'first-write', etag: none }))).toBeGreaterThanOrEqual(400);
        expect(await read(k)).toBe('1');
      });
      test('with its etag a value is written once', async () => {
        const k = key('first');
        await save(k, json(1), { concurrency: 'first-write' });
        const first = await etag(k);
        await save(k, json(2), { concurrency: 'first-write', etag: first });
        const second = await etag(k);
        expect(second).not.toBe(first);
        expect(await refusal(save(k, json(3), { concurrency: 'first-write', etag: first, consistency: 'strong' }))).toBe(409);
        expect([await read(k), await etag(k)]).toEqual(['2', second]);
      });
      test.skipIf(row.quirks.racy)('of many first writers one wins', async () => {
        const k = key('first');
        const statuses = await Promise.all(Array.from({ length: 20 }, (_, i) => refusal(save(k, json(i), { concurrency: 'first-write' }))));
        expect(statuses.filter((status) => status === 204)).toHaveLength(1);
      });
    });

    when('transaction')('transactions', () => {
      test('upserts of every kind, then deletes among upserts', async () => {
        const [a, b, c, d, e] = [key('tx'), key('tx'), key('tx'), key('tx'), key('tx')];
        await transact([upsert(a, json(1)), upsert(b, json(true)), upsert(c, { bytes: new Uint8Array([1, 255]) }), upsert(d, json('text'))]);
        expect([await read(a), await read(b), await read(d)]).toEqual(['1', 'true', '"text"']);
        expect([...((await get(c)).data as Uint8Array)]).toEqual([1, 255]);
        await transact([drop(a), upsert(b, json(false)), drop(c), upsert(e, json({ new: 1 }))]);
        expect([await read(a), await read(b), await read(c), await read(d), compact(await read(e))]).toEqual([null, 'false', null, '"text"', '{"new":1}']);
      });
      test('deleting what is not there is no error', async () => {
        await transact([drop(key('gone'))]);
      });
      test('the order counts', async () => {
        const [a, b, c] = [key('order'), key('order'), key('order')];
        await save(a, json(1));
        await transact([drop(a), upsert(b, json(2)), drop(b), upsert(c, json(3))]);
        expect([await read(a), await read(b), await read(c)]).toEqual([null, null, '3']);
        await transact([upsert(c, json(4)), upsert(c, json(5))]);
        expect(await read(c)).toBe('5');
      });
      test.runIf(has('etag'))('a wrong etag fails it, and what it leaves behind is known', async () => {
        const [a, b, c] = [key('tx'), key('tx'), key('tx')];
        await save(b, json('old'));
        expect(await refusal(transact([upsert(a, json('new')), upsert(b, json('new'), { etag: row.quirks.badEtag }), upsert(c, json('new'))]))).toBe(500);
        expect([await read(a), await read(b), await read(c)]).toEqual(row.quirks.noRollback ? ['"new"', '"old"', '"new"'] : [null, '"old"', null]);
      });
      test.runIf(has('etag'))('the right etag passes', async () => {
        const [a, b] = [key('tx'), key('tx')];
        await store.save([item(a, json(1)), item(b, json(1))], background);
        await transact([upsert(a, json(2), { etag: await etag(a) }), drop(b, { etag: await etag(b) })]);
        expect([await read(a), await read(b)]).toEqual(['2', null]);
      });
      test('a hundred operations', async () => {
        const keys = Array.from({ length: 100 }, () => key('tx'));
        await transact(keys.map((k, i) => upsert(k, json(i))));
        expect((await bulk(keys)).map(({ data }) => text(data))).toEqual(keys.map((_, i) => String(i)));
      });
      test.runIf(has('ttl'))('lifetimes are kept', async () => {
        const k = key('tx');
        await transact([upsert(k, json(1), { metadata: { ttlInSeconds: '1' } })]);
        expect(await read(k)).toBe('1');
        await gone(k, 1 * seconds);
      });
    });
    test.skipIf(has('transaction'))('transactions are refused', () => {
      expect(() => store.requireTransactions()).toThrow(/doesn't support transactions/);
    });

    const gone = async (k: string, ttlMs: number) => {
      await expect.poll(() => read(k), { timeout: ttlMs + 3 * seconds + (row.quirks.ttlSlackMs ?? 0), interval: 50 }).toBeNull();
    };
    when('ttl')('lifetimes', () => {
      test('one that is no number is an error', async () => {
        const k = key('ttl');
        expect(await refusal(save(k, json(1), { metadata: { ttlInSeconds: 'foo' } }))).toBe(500);
        expect(await read(k)).toBeNull();
      });
      test('a value is there until its lifetime is over', async () => {
        const k = key('ttl');
        await save(k, json(1), { metadata: { ttlInSeconds: '2' } });
        expect(await read(k)).toBe('1');
        await gone(k, 2 * seconds);
        expect(await etag(k)).toBeFalsy();
        await save(k, json(2), { concurrency: 'first-write' }); // an expired value stands in nobody's way
        expect(await read(k)).toBe('2');
      });
      test('-1 takes a lifetime away', async () => {
        const k = key('ttl');
        await save(k, json(1), { metadata: { ttlInSeconds: '1' } });
        await save(k, json(2), { metadata: { ttlInSeconds: '-1' } });
        await new Promise((resolve) => setTimeout(resolve, 1500));
        expect(await read(k)).toBe('2');
      });
      test(row.quirks.keepsTtl ? 'a write without one keeps the old lifetime' : 'a write without one takes the lifetime away', async () => {
        const k = key('ttl');
        await save(k, json(1), { metadata: { ttlInSeconds: '1' } });
        await save(k, json(2));
        if (row.quirks.keepsTtl) return gone(k, 1 * seconds);
        await new Promise((resolve) => setTimeout(resolve, 1500));
        expect(await read(k)).toBe('2');
      });
      test(row.quirks.tellsExpiry ? 'reads tell when it ends' : 'reads do not tell when it ends', async () => {
        const [k, forEver] = [key('ttl'), key('ttl')];
        await save(k, json(1), { metadata: { ttlInSeconds: '3600' } });
        await save(forEver, json(1));
        expect((await get(forEver)).metadata?.ttlExpireTime).toBeUndefined();
        for (const { metadata } of [await get(k), ...(await bulk([k]))]) {
          if (!row.quirks.tellsExpiry) expect(metadata?.ttlExpireTime).toBeUndefined();
          else {
            expect(metadata?.ttlExpireTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
            expect(Math.abs(Date.parse(metadata?.ttlExpireTime as string) - Date.now() - 3600 * seconds)).toBeLessThan(10 * seconds);
          }
        }
      });
    });

    // From here on keys are the store's own: no prefix in front.
    const put = (keys: string[], metadata: Record<string, string> = {}) => Promise.all(keys.map((k) => port.set({ key: k, value: json(k), metadata, concurrency: '', consistency: '' }, background)));
    const clear = (keys: string[]) => Promise.all(keys.map((k) => port.delete({ key: k, metadata: {}, concurrency: '', consistency: '' }, background)));

    when('keysLike')('keys by pattern', () => {
      const like = async (pattern: string, more: { pageSize?: number; continuationToken?: string | undefined } = {}) => {
        const { keys, continuationToken } = await (port.keysLike as NonNullable<StateStore['keysLike']>)({ pattern, ...more }, background);
        return { keys, token: continuationToken };
      };
      const found = async (pattern: string) => (await like(pattern)).keys.sort();
      test('an empty pattern is an error', async () => {
        await expect(like('')).rejects.toThrow();
      });
      test('% stands for any run, _ for one character', async () => {
        const names = ['prefix||key1', 'prefix||key2', 'prefix||prefix2||key3', 'other-prefix||key1', 'no-prefix', 'abc1', 'abc2', 'abc3', 'abc33', 'xyz1', 'xyz2', 'xyz3'].map((n) => `kl1-${n}`);
        await put(names);
        expect(await found('kl1-%')).toEqual([...names].sort());
        expect(await found('kl1-prefix||%')).toHaveLength(3);
        expect(await found('kl1-%key1')).toHaveLength(2);
        expect(await found('kl1-%||%')).toHaveLength(4);
        expect(await found('kl1-%||%||%')).toHaveLength(1);
        expect(await found('kl1-abc_')).toEqual(['kl1-abc1', 'kl1-abc2', 'kl1-abc3']);
        const first = await like('kl1-%', { pageSize: 6 });
        expect(first.keys).toHaveLength(6);
        expect(first.token).toBeTruthy();
        const second = await like('kl1-%', { pageSize: 5, continuationToken: first.token });
        expect(second.keys).toHaveLength(5);
        const third = await like('kl1-%', { pageSize: 100, continuationToken: second.token });
        expect(third.token).toBeUndefined();
        expect([...first.keys, ...second.keys, ...third.keys].sort()).toEqual([...names].sort());
        await clear(names);
      });
      test('\\ takes the meaning from % and _', async () => {
        const names = ['%', 'hello%%wor.kflow', '%%wor.kflow', 'hello%%', '_', 'hello_workflow', '_workflow', 'hello_', '%hello_workflow%_yoyo'].map((n) => `kl2-${n}`);
        await put(names);
        expect(await found('kl2-hello%')).toHaveLength(4);
        expect(await found('kl2-hello%%')).toHaveLength(4);
        expect(await found('kl2-hello_')).toEqual(['kl2-hello_']);
        expect(await found('kl2-hello\\_')).toEqual(['kl2-hello_']);
        expect(await found('kl2-hello_workflo_')).toEqual(['kl2-hello_workflow']);
        expect(await found('kl2-hello\\_workflow')).toEqual(['kl2-hello_workflow']);
        expect(await found('kl2-hello\\%\\%')).toEqual(['kl2-hello%%']);
        expect(await found('kl2-hello%\\%')).toEqual(['kl2-hello%%']);
        expect(await found('kl2-hello\\%\\%%wor.kflow')).toEqual(['kl2-hello%%wor.kflow']);
        expect(await found('kl2-\\%hello\\_workflow\\%\\_yoyo')).toEqual(['kl2-%hello_workflow%_yoyo']);
        await clear(names);
      });
      test('what means something to the store alone means nothing here', async () => {
        const names = ['a*b', 'a?b', 'a[x]b', 'axb', 'ax', 'aüb', 'a💡b', "a'b"].map((n) => `kl3-${n}`);
        await put(names);
        expect(await found('kl3-a*%')).toEqual(['kl3-a*b']);
        expect(await found('kl3-a[x]b')).toEqual(['kl3-a[x]b']);
        expect(await found('kl3-a?b')).toEqual(['kl3-a?b']);
        expect(await found("kl3-a'b")).toEqual(["kl3-a'b"]);
        expect(await found('kl3-a_b')).toEqual(['kl3-a*b', 'kl3-a?b', 'kl3-axb', 'kl3-aüb', 'kl3-a💡b', "kl3-a'b"].sort());
        expect(await found('kl3-A%')).toEqual([]);
        await clear(names);
      });
      test('all of many keys, without a page size and with a large one', async () => {
        const names = Array.from({ length: 1025 }, (_, i) => `kl4-${String(i).padStart(5, '0')}`);
        await put(names);
        for (const more of [{}, { pageSize: 100_000 }]) {
          const { keys, token } = await like('kl4-%', more);
          expect(keys.sort()).toEqual(names);
          expect(token).toBeUndefined();
        }
        await clear(names);
      });
      test('a token stays good when keys come and go between two pages', async () => {
        const names = Array.from({ length: 20 }, (_, i) => `kl5-${String(i).padStart(2, '0')}`);
        await put(names);
        const first = await like('kl5-%', { pageSize: 10 });
        await clear(first.keys.slice(0, 5));
        const rest = await like('kl5-%', { pageSize: 100, continuationToken: first.token });
        expect([...first.keys, ...rest.keys].sort()).toEqual(names);
        await clear(names);
      });
      test.runIf(has('ttl'))('expired keys are not told', async () => {
        await put(['kl6-short'], { ttlInSeconds: '1' });
        await put(['kl6-long']);
        await expect.poll(() => found('kl6-%'), { timeout: 5 * seconds }).toEqual(['kl6-long']);
      });
    });

    when('keysLike')('the keys of an app', () => {
      const own = ['a1', 'a2', 'b%1', 'b_1', 'bx1', 'back\\slash', 'ü'];
      const foreign = ['conformance||actor||1||a1', 'other||a1', 'conformanceX||a1', 'a1'];
      beforeAll(async () => {
        const earlier = (await everything()).keys;
        await Promise.all(earlier.map((k) => remove(k)));
        await store.save(own.map((k) => item(k, json(1))), background);
        await put(foreign);
      });
      afterAll(async () => {
        await clear(foreign);
        await Promise.all(own.map((k) => remove(k)));
      });
      const everything = () => store.keys({ pageSize: 10_000 }, background);
      const keys = async (choice: { prefix?: string; pattern?: string }) => (await store.keys({ ...choice, pageSize: 100 }, background)).keys.sort();

      test('are its own alone, as it calls them', async () => expect((await everything()).keys.sort()).toEqual([...own].sort()));
      test('by prefix, in which nothing is a pattern', async () => {
        expect(await keys({ prefix: 'a' })).toEqual(['a1', 'a2']);
        expect(await keys({ prefix: 'b_' })).toEqual(['b_1']);
        expect(await keys({ prefix: 'b%' })).toEqual(['b%1']);
        expect(await keys({ prefix: 'back\\' })).toEqual(['back\\slash']);
        expect(await keys({ prefix: 'actor' })).toEqual([]);
        expect(await keys({ prefix: '' })).toHaveLength(own.length);
      });
      test('by pattern, which cannot leave the app', async () => {
        expect(await keys({ pattern: '%1' })).toEqual(['a1', 'b%1', 'b_1', 'bx1'].sort());
        expect(await keys({ pattern: 'b_1' })).toEqual(['b%1', 'b_1', 'bx1'].sort());
        expect(await keys({ pattern: 'b\\_1' })).toEqual(['b_1']);
        expect(await keys({ pattern: '%\\' })).toEqual([]);
        expect(await keys({ pattern: '%||%' })).toEqual([]);
      });
      test('in pages', async () => {
        const found: string[] = [];
        let continuationToken: string | undefined;
        do {
          const page = await store.keys({ pageSize: 2, continuationToken }, background);
          expect(page.keys.length).toBeLessThanOrEqual(2);
          found.push(...page.keys);
          continuationToken = page.continuationToken;
        } while (continuationToken !== undefined);
        expect(found.sort()).toEqual([...own].sort());
      });
    });
    test.skipIf(has('keysLike'))('listing keys is refused', () => {
      expect(() => store.requireKeys()).toThrow(/does not support listing keys/);
    });

    when('query')('queries', () => {
      const products: Record<string, unknown> = {
        q1: { product: { value: 11.5, name: 'first' }, color: 'red', kept: true },
        q2: { product: { value: 0.25, name: 'second' }, color: 'blue', kept: false },
        q3: { product: { value: 2.5, name: "th'ird" }, color: 'red', kept: true },
        q4: { product: { value: 12.5, name: 'fourth' }, color: 'green', "q'uote": 'x' },
      };
      beforeAll(() => store.save(Object.entries(products).map(([k, value]) => item(k, json(value))), background));
      afterAll(async () => void (await Promise.all(Object.keys(products).map((k) => remove(k)))));
      const query = (filter: unknown, more: Record<string, unknown> = {}, metadata: Record<string, string> = {}) =>
        store.query(JSON.stringify({ filter: { AND: [{ IN: { color: ['red', 'blue', 'green'] } }, filter] }, sort: [{ key: 'product.name', order: 'ASC' }], ...more }), metadata, background);
      const names = async (...args: Parameters<typeof query>) => (await query(...args)).results.map((result) => result.key);
      const red = { EQ: { color: 'red' } };

      test('give keys, values and etags', async () => {
        const { results, token } = await query(red);
        expect(results.map(({ key: k, data }) => [k, JSON.parse(text(data) as string)])).toEqual([['q1', products.q1], ['q3', products.q3]]);
        expect(results.map((result) => result.etag)).toEqual([await etag('q1'), await etag('q3')]);
        expect(token).toBeUndefined();
      });
      test('know every operator', async () => {
        expect(await names({ OR: [{ EQ: { color: 'blue' } }, { IN: { 'product.name': ['first', "th'ird"] } }] })).toEqual(['q1', 'q2', 'q3']);
        expect(await names({ AND: [red, { GTE: { 'product.value': 2.5 } }, { NEQ: { 'product.name': 'first' } }] })).toEqual(['q3']);
        expect(await names({ OR: [{ AND: [{ GT: { 'product.value': 12 } }, { EQ: { color: 'green' } }] }, { LTE: { 'product.value': 0.25 } }] })).toEqual(['q4', 'q2']);
        expect(await names({ LT: { 'product.value': 0.3 } })).toEqual(['q2']);
        expect(await names({ EQ: { kept: true } })).toEqual(['q1', 'q3']);
        expect(await names({ EQ: { nowhere: 1 } })).toEqual([]);
      });
      test('come in pages', async () => {
        const first = await query({ NEQ: { color: 'x' } }, { page: { limit: 3 } });
        expect(first.results.map((result) => result.key)).toEqual(['q1', 'q4', 'q2']);
        const second = await query({ NEQ: { color: 'x' } }, { page: { limit: 3, token: first.token } });
        expect(second.results.map((result) => result.key)).toEqual(['q3']);
        expect((await query({ NEQ: { color: 'x' } }, { page: { limit: 3, token: second.token } })).results).toEqual([]);
      });
      test('are no way into the database', async () => {
        expect(await names({ EQ: { "q'uote": 'x' } })).toEqual(['q4']);
        expect(await names({ EQ: { "color' = '' OR 1=1 --": 'x' } })).toEqual([]);
        expect(await names({ EQ: { '\\': 'x' } })).toEqual([]);
        expect(await names({ EQ: { color: "red' OR '1'='1" } })).toEqual([]);
        expect(await refusal(query(red, { sort: [{ key: 'color', order: 'ASC; DROP TABLE state' }] }))).toBe(500);
        expect(await read('q1')).not.toBeNull();
      });
      test.runIf(has('ttl'))('do not find what has expired', async () => {
        await save('q5', json({ color: 'expired' }), { metadata: { ttlInSeconds: '1' } });
        const expired = async () => (await store.query('{"filter":{"EQ":{"color":"expired"}}}', {}, background)).results.length;
        expect(await expired()).toBe(1);
        await expect.poll(expired, { timeout: 5 * seconds }).toBe(0);
      });
    });
    test.skipIf(has('query'))('queries are refused', async () => {
      await expect(store.query('{}', {}, background)).rejects.toThrow(/does not support querying|redis-json server support is required/);
    });

    when('deleteWithPrefix')('deletes by prefix', () => {
      const removeAll = (prefix: string) => (port.deleteWithPrefix as NonNullable<StateStore['deleteWithPrefix']>)(prefix, background);
      const exists = async (k: string) => (await port.get({ key: k, metadata: {}, consistency: '' }, background)).data !== null;
      test('remove what stands directly below it', async () => {
        await put(['prefix||key1', 'prefix||key2', 'prefix||prefix2||key3', 'other-prefix||key1', 'no-prefix']);
        expect(await removeAll('prefix||')).toBe(2);
        expect(await exists('prefix||prefix2||key3')).toBe(true);
        expect(await exists('no-prefix')).toBe(true);
        expect(await removeAll('other-prefix')).toBe(1);
        expect(await exists('other-prefix||key1')).toBe(false);
      });
      test.each(['', '||'])('need a prefix, %j is none', async (none) => {
        await expect(removeAll(none)).rejects.toThrow('prefix is required');
      });
    });
  };
  if (row.servers) describeWithServer(row.servers, title, body);
  else describe(title, body);
}
