// Nothing that was acknowledged is lost: ten thousand writes through a sidecar that is killed outright in their midst.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { startPostgres, startRedis, type ServerName } from '../harness/servers.ts';
import { startSidecar } from '../harness/sidecar.ts';

interface Row {
  name: string;
  servers: ServerName[];
  /** Starts what outlives the sidecar: a component named `store` that points at it, and what ends it. */
  start(): Promise<{ component: string; stop(): Promise<void> }>;
}

const component = (type: string, version: string, metadata: Record<string, string>) => `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: store
spec:
  type: ${type}
  version: ${version}
  metadata:
${Object.entries(metadata).map(([name, value]) => `  - name: ${name}\n    value: ${JSON.stringify(value)}\n`).join('')}`;

const postgresql = (version: string): Row => ({
  name: `state.postgresql ${version}`,
  servers: ['postgres'],
  start: async () => {
    const postgres = await startPostgres();
    return { component: component('state.postgresql', version, { connectionString: postgres.url }), stop: () => postgres.stop() };
  },
});

const rows: Row[] = [
  {
    name: 'state.sqlite',
    servers: [],
    start: async () => {
      const dir = mkdtempSync(join(tmpdir(), 'outrigger-durable-'));
      return { component: component('state.sqlite', 'v1', { connectionString: join(dir, 'state.db') }), stop: async () => rmSync(dir, { recursive: true, force: true }) };
    },
  },
  postgresql('v1'),
  postgresql('v2'),
  {
    name: 'state.redis',
    servers: ['redis'],
    start: async () => {
      const redis = await startRedis();
      return { component: component('state.redis', 'v1', { redisHost: `127.0.0.1:${redis.port}` }), stop: () => redis.stop() };
    },
  },
];

const writes = 10_000;
const writers = 32;

for (const row of rows) {
  describeWithServer(row.servers, `kill -9 while writing to ${row.name}`, () => {
    test('no acknowledged write is missing', { timeout: 120_000 }, async () => {
      const backend = await row.start();
      const launch = () => startSidecar({ resources: { 'store.yaml': backend.component } });
      let sidecar = await launch();
      try {
        const acknowledged = new Map<string, number>();
        let next = 0;
        let unanswered = 0;
        /** Until the goal is reached or the sidecar is gone. */
        const writeUpTo = async (goal: number) => {
          const writer = async () => {
            while (acknowledged.size < goal) {
              const value = next++;
              const key = `k${value}`;
              try {
                const response = await fetch(`${sidecar.http}/v1.0/state/store`, { method: 'POST', body: JSON.stringify([{ key, value }]) });
                if (response.status !== 204) throw new Error(`status ${response.status}: ${await response.text()}`);
                acknowledged.set(key, value);
              } catch (error) {
                if (!killed) throw error;
                unanswered++;
                return;
              }
            }
          };
          await Promise.all(Array.from({ length: writers }, writer));
        };

        let killed = false;
        const middle = (async () => {
          while (acknowledged.size < writes / 2) await new Promise((resolve) => setTimeout(resolve, 1));
          killed = true;
          return sidecar.stop('SIGKILL');
        })();
        await writeUpTo(writes);
        expect((await middle).signal).toBe('SIGKILL');
        expect(unanswered).toBeGreaterThan(0); // it was hit while writing

        killed = false;
        sidecar = await launch();
        await writeUpTo(writes);

        const keys = [...acknowledged.keys()];
        const wrong: string[] = [];
        for (let at = 0; at < keys.length; at += 500) {
          const response = await fetch(`${sidecar.http}/v1.0/state/store/bulk`, { method: 'POST', body: JSON.stringify({ keys: keys.slice(at, at + 500) }) });
          const items = (await response.json()) as { key: string; data?: number }[];
          for (const { key, data } of items) if (data !== acknowledged.get(key)) wrong.push(key);
        }
        expect(keys.length).toBeGreaterThanOrEqual(writes);
        expect(wrong).toEqual([]);
      } finally {
        await sidecar.stop('SIGKILL');
        await backend.stop();
      }
    });
  });
}
