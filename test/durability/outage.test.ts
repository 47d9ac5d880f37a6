// Transactions and acknowledged writes are whole after the sidecar, or the store's server, was killed in the middle of writing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { type ServerName, startPostgres, startRedis } from '../harness/servers.ts';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';

interface Row {
  title: string;
  servers: ServerName[];
  start(): Promise<{
    /** `type`, `version` and metadata of the component. */
    component: { type: string; version: string; metadata: Record<string, string> };
    /** The server behind the store, where there is one. */
    server?: { kill(): Promise<void>; restart(): Promise<void> };
    stop(): Promise<void>;
  }>;
}

const postgresql = (version: string): Row => ({
  title: `state.postgresql ${version}`,
  servers: ['postgres'],
  start: async () => {
    const server = await startPostgres();
    return { component: { type: 'state.postgresql', version, metadata: { connectionString: server.url } }, server, stop: () => server.stop() };
  },
});

const rows: Row[] = [
  {
    title: 'state.sqlite',
    servers: [],
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-durable-'));
      return { component: { type: 'state.sqlite', version: 'v1', metadata: { connectionString: join(dir, 'state.db') } }, stop: async () => rmSync(dir, { recursive: true, force: true }) };
    },
  },
  postgresql('v1'),
  postgresql('v2'),
  {
    title: 'state.redis',
    servers: ['redis'],
    start: async () => {
      const server = await startRedis({ persist: true });
      return { component: { type: 'state.redis', version: 'v1', metadata: { redisHost: `127.0.0.1:${server.port}` } }, server, stop: () => server.stop() };
    },
  },
];

const sidecarWith = ({ type, version, metadata }: Awaited<ReturnType<Row['start']>>['component']): Promise<Sidecar> =>
  startSidecar({ resources: { 'store.yaml': JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name: 'store' }, spec: { type, version, metadata: Object.entries(metadata).map(([name, value]) => ({ name, value })) } }) } });

const post = (url: string, body: unknown, timeoutMs = 30_000) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(timeoutMs) });

interface Load {
  /** Keys whose write was answered with 204; the value of a key is its own name. */
  acknowledged: Set<string>;
  /** Pairs written by one transaction each, answered or not. */
  pairs: [string, string][];
  /** Answers that were no success: status and errorCode. */
  refusals: { status: number; errorCode: string }[];
  /** Longest wait for any answer, in milliseconds. */
  slowest: number;
  end(): Promise<void>;
}

/** Writers that never stop: single saves, and every so many a transaction of two. */
function load(base: string, run: string, writers: number, every = 10): Load {
  let ended = false;
  const result: Load = { acknowledged: new Set(), pairs: [], refusals: [], slowest: 0, end: async () => {} };
  const write = async (path: string, body: unknown, keys: string[]) => {
    const started = Date.now();
    try {
      const response = await post(`${base}${path}`, body);
      const text = await response.text();
      if (response.status === 204) for (const key of keys) result.acknowledged.add(key);
      else {
        result.refusals.push({ status: response.status, errorCode: (JSON.parse(text) as { errorCode: string }).errorCode });
        await sleep(5);
      }
    } catch {
      await sleep(5); // the sidecar is gone: nothing was acknowledged
    }
    result.slowest = Math.max(result.slowest, Date.now() - started);
  };
  const writer = async (w: number) => {
    for (let i = 0; !ended; i++) {
      const key = `${run}-${w}-${i}`;
      if (i % every === 0) {
        const pair: [string, string] = [`${key}a`, `${key}b`];
        result.pairs.push(pair);
        await write('/transaction', { operations: pair.map((k) => ({ operation: 'upsert', request: { key: k, value: k } })) }, pair);
      } else await write('', [{ key, value: key }], [key]);
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, w) => writer(w)));
  result.end = async () => {
    ended = true;
    await all;
  };
  return result;
}

/** key → value of those that are there. */
async function read(base: string, keys: string[]): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (let i = 0; i < keys.length; i += 500) {
    const response = await post(`${base}/bulk`, { keys: keys.slice(i, i + 500) });
    expect(response.status).toBe(200);
    for (const { key, data } of (await response.json()) as { key: string; data?: unknown }[]) if (data !== undefined) found.set(key, data);
  }
  return found;
}

async function checkAll(base: string, { acknowledged, pairs }: Load): Promise<void> {
  const there = await read(base, [...acknowledged]);
  expect([...acknowledged].filter((key) => there.get(key) !== key)).toEqual([]);
  const halves = await read(base, pairs.flat());
  expect(pairs.filter(([a, b]) => halves.has(a) !== halves.has(b))).toEqual([]);
}

const until = async (condition: () => boolean, what: string, timeoutMs = 60_000) => {
  for (const end = Date.now() + timeoutMs; !condition(); await sleep(5)) if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
};

for (const row of rows) {
  const suite = row.servers.length === 0 ? (body: () => void) => describe(row.title, body) : (body: () => void) => describeWithServer(row.servers, row.title, body);
  suite(() => {
    test('kill -9 of the sidecar leaves no half of a transaction and all that was acknowledged', { timeout: 120_000 }, async () => {
      const store = await row.start();
      let sidecar = await sidecarWith(store.component);
      try {
        const writes = load(`${sidecar.http}/v1.0/state/store`, 'k', 32, 2);
        await until(() => writes.acknowledged.size >= 2000, '2000 acknowledged writes');
        await sidecar.stop('SIGKILL');
        await writes.end();
        expect(writes.refusals).toEqual([]);
        sidecar = await sidecarWith(store.component);
        await checkAll(`${sidecar.http}/v1.0/state/store`, writes);
      } finally {
        await sidecar.stop('SIGKILL');
        await store.stop();
      }
    });

    test.runIf(row.servers.length > 0)('a server that is killed under load: coded errors, none waits long, and it goes on by itself', { timeout: 120_000 }, async () => {
      const store = await row.start();
      const sidecar = await sidecarWith(store.component);
      try {
        const base = `${sidecar.http}/v1.0/state/store`;
        const writes = load(base, 's', 16);
        await until(() => writes.acknowledged.size >= 500, '500 acknowledged writes');
        await store.server?.kill();
        await until(() => writes.refusals.length >= 20, 'refusals');
        expect((await fetch(`${base}/any`, { signal: AbortSignal.timeout(30_000) })).status).toBe(500);
        expect((await fetch(`${sidecar.http}/v1.0/healthz/outbound`)).status).toBe(204);
        await store.server?.restart();
        const before = writes.acknowledged.size;
        await until(() => writes.acknowledged.size >= before + 500, '500 acknowledged writes after the restart', 30_000);
        await writes.end();
        expect(new Set(writes.refusals.map(({ status, errorCode }) => `${status} ${errorCode}`))).toEqual(new Set(['500 ERR_STATE_SAVE', '500 ERR_STATE_TRANSACTION']));
        expect(writes.slowest).toBeLessThan(25_000);
        await checkAll(base, writes);
      } finally {
        await sidecar.stop();
        await store.stop();
      }
    });
  });
}
