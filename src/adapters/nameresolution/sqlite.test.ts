import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../../core/host.ts';
import type { Instance, NameResolver } from '../../blocks/invoke/port.ts';
import { sqlite } from '../../hosts/node/sqlite.ts';
import definition from './sqlite.ts';

const lines: string[] = [];
const write = (message: string) => void lines.push(message);
const log = { debug: write, info: write, warn: write, error: write, fatal: write, always: write, scope: () => log };
const host = { runtime: 'node', sqlite, background: true } as unknown as Host;
let dir: string;
let file: string;
const opened: NameResolver[] = [];

const open = async (appId: string, internalPort: number, configuration: Record<string, unknown> = {}, more: Partial<Instance> = {}) => {
  const resolver = await definition.open({ connectionString: file, ...configuration }, { host, log, self: { appId, namespace: 'ns', address: '127.0.0.1', internalPort, httpPort: 1, appPort: 2, ...more } });
  opened.push(resolver);
  return resolver;
};
const raw = async (sql: string) => {
  const database = await sqlite.open(file);
  const rows = database.prepare(sql).all().map((row) => ({ ...row }));
  database.close();
  return rows;
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'outrigger-resolver-'));
  file = join(dir, 'names.db');
  lines.length = 0;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((resolver) => resolver.close()));
  rmSync(dir, { recursive: true, force: true });
});

describe('nameresolution.sqlite', () => {
  it('finds all running sidecars of an app, until they close', async () => {
    const one = await open('one', 5001);
    const other = await open('two', 5002);
    await open('two', 5003, {}, { address: '::1' });
    expect((await one.resolve('two', 'any')).sort()).toEqual(['127.0.0.1:5002', '[::1]:5003']);
    expect(await other.resolve('one', '')).toEqual(['127.0.0.1:5001']);
    await other.close();
    opened.splice(opened.indexOf(other), 1);
    expect(await one.resolve('two', '')).toEqual(['[::1]:5003']);
    await expect(one.resolve('three', '')).rejects.toThrow('no host found with the given ID');
  });

  it("keeps daprd's table: one row per address, no namespace", async () => {
    await open('one', 5001);
    expect(await raw('SELECT address, app_id, namespace, length(registration_id) n, abs(unixepoch() - last_update) < 3 fresh FROM hosts')).toEqual([{ address: '127.0.0.1:5001', app_id: 'one', namespace: '', n: 36, fresh: 1 }]);
    expect(await raw('SELECT * FROM metadata')).toEqual([{ key: 'nr-migrations', value: '1' }]);
    expect((await raw("SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'hosts%' ORDER BY 1")).map((r) => r.name)).toEqual(['hosts_address_idx', 'hosts_last_update_idx']);
    await open('two', 5001);
    expect(await raw('SELECT app_id FROM hosts')).toEqual([{ app_id: 'two' }]);
  });

  it('does not give sidecars that stopped saying they run, and keeps saying so itself', async () => {
    const one = await open('one', 5001, { updateInterval: '2s' });
    await raw("INSERT INTO hosts VALUES ('x', '127.0.0.1:9', 'gone', '', unixepoch() - 10)");
    await expect(one.resolve('gone', '')).rejects.toThrow('no host found');
    const before = Number((await raw("SELECT last_update FROM hosts WHERE app_id = 'one'"))[0]?.last_update);
    await expect.poll(async () => Number((await raw("SELECT last_update FROM hosts WHERE app_id = 'one'"))[0]?.last_update) > before, { timeout: 4000 }).toBe(true);
  });

  it('comes back when its row was removed, and leaves an address that is taken', async () => {
    await open('one', 5001, { updateInterval: '2s' });
    await raw('DELETE FROM hosts');
    await expect.poll(() => raw('SELECT app_id FROM hosts'), { timeout: 4000 }).toEqual([{ app_id: 'one' }]);
    await raw("UPDATE hosts SET registration_id = 'somebody', app_id = 'thief'");
    await expect.poll(() => lines.join(), { timeout: 4000 }).toContain('Host registration lost');
    expect(await raw('SELECT app_id FROM hosts')).toEqual([{ app_id: 'thief' }]);
  });

  it('removes old rows and no others', async () => {
    await open('one', 5001, { cleanupInterval: '1s', updateInterval: '2s' });
    await raw("INSERT INTO hosts VALUES ('x', '127.0.0.1:9', 'gone', '', unixepoch() - 100), ('y', '127.0.0.1:10', 'fresh', '', unixepoch() + 100)");
    await expect.poll(() => raw('SELECT app_id FROM hosts ORDER BY app_id'), { timeout: 4000 }).toEqual([{ app_id: 'fresh' }, { app_id: 'one' }]);
    expect(await raw("SELECT key FROM metadata WHERE key = 'nr-last-cleanup'")).toHaveLength(1);
  });

  it.each<[Record<string, unknown>, Partial<Instance>, string]>([
    [{ connectionString: '' }, {}, 'missing connection string'],
    [{ tableName: 'a b' }, {}, 'invalid identifier for table name: a b'],
    [{ updateInterval: '2500ms' }, {}, 'update interval must not contain fractions of seconds'],
    [{ updateInterval: 2, timeout: '1500ms' }, {}, 'update interval must be at least 1s greater than timeout'],
    [{}, { internalPort: 0 }, 'port is missing or invalid'],
    [{}, { address: '' }, 'address is missing'],
  ])('refuses %j %j', async (configuration, self, text) => {
    await expect(open('one', 5001, configuration, self)).rejects.toThrow(text);
  });
});
