// The secret stores that the conformance suite runs against, each with what it declares and where it is peculiar.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { SecretStore } from '../../src/blocks/secrets/port.ts';
import { background } from '../../src/core/context.ts';
import { lines, openComponent } from './open.ts';
import { describeSecretStore, type SecretStoreRow } from './secretstores.ts';

const single = (values: Record<string, string>) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { [name]: value }]));

/** Sets variables of this process, and takes them away again. */
function environment(values: Record<string, string>): () => Promise<void> {
  Object.assign(process.env, values);
  return async () => {
    for (const name of Object.keys(values)) delete process.env[name];
  };
}

function secretsFile(content: string): { path: string; stop(): Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-secrets-'));
  const path = join(folder, 'secrets.json');
  writeFileSync(path, content);
  return { path, stop: async () => rmSync(folder, { recursive: true, force: true }) };
}

const rows: SecretStoreRow[] = [
  {
    type: 'secretstores.local.env',
    title: 'secretstores.local.env with a prefix',
    start: async () => ({
      metadata: { prefix: 'CONFORMANCE_' },
      secrets: single({ One: 'first', two: 'a=b=c', 'with-dash': '<ü😀>', DAPR_X: 'only the whole name is judged' }),
      stop: environment({ CONFORMANCE_One: 'first', CONFORMANCE_two: 'a=b=c', 'CONFORMANCE_with-dash': '<ü😀>', CONFORMANCE_DAPR_X: 'only the whole name is judged', CONFORMANCE_: 'no name' }),
    }),
    operations: ['bulk'],
    quirks: { missing: '' },
  },
  {
    type: 'secretstores.local.env',
    start: async () => ({ metadata: {}, secrets: single({ Conformance_One: 'first' }), stop: environment({ Conformance_One: 'first', DAPR_CONFORMANCE: 'hidden' }) }),
    operations: ['bulk'],
    quirks: { missing: '', showsMore: true },
  },
  {
    type: 'secretstores.local.file',
    start: async () => {
      const { path, stop } = secretsFile(JSON.stringify({ Plain: 'p', empty: '', redis: { password: 'r', list: ['a', { b: 'c' }] }, 'with:colon': 'wc', none: {}, list: [] }));
      return { metadata: { secretsFile: path }, secrets: single({ Plain: 'p', empty: '', 'redis:password': 'r', 'redis:list:0': 'a', 'redis:list:1:b': 'c', 'with:colon': 'wc' }), stop };
    },
    operations: ['bulk'],
    quirks: { missing: /secret not-there not found/ },
  },
  {
    type: 'secretstores.local.file',
    title: 'secretstores.local.file with several values',
    start: async () => {
      const { path, stop } = secretsFile(JSON.stringify({ Database: { user: 'u', deep: { port: 5432 } }, plain: 'p', number: 1, list: ['dropped'], empty: {} }));
      return { metadata: { secretsFile: path, multiValued: 'true', nestedSeparator: '.' }, secrets: { Database: { user: 'u', 'deep.port': '5432' }, plain: { plain: 'p' }, empty: {} }, stop };
    },
    operations: ['bulk', 'multipleValues'],
    quirks: { missing: /secret not-there not found/ },
  },
];
for (const row of rows) describeSecretStore(row);

const fileStore = async (content: string, metadata: Record<string, string> = {}) => {
  const { path, stop } = secretsFile(content);
  try {
    return (await openComponent<SecretStore>('secretstores.local.file', { secretsFile: path, ...metadata })).port;
  } finally {
    await stop();
  }
};

test('local.file prints numbers and booleans as they stand in the file', async () => {
  const store = await fileStore('{"n": 42, "f": 1.50, "big": 12345678901234567890, "b": false, "z": null, "deep": {"n": [7]}}');
  const all = await store.bulkGet({}, background);
  expect(Object.values(all ?? {})).toEqual([{ n: '42' }, { f: '1.50' }, { big: '12345678901234567890' }, { b: 'false' }, { z: '' }, { 'deep:n:0': '7' }]);
});

test('local.file is read once: the file may be gone afterwards', async () => {
  expect(await (await fileStore('{"a": "1"}')).get('a', {}, background)).toEqual({ a: '1' });
});

test('local.file refuses what would lose or hide secrets', async () => {
  await expect(fileStore('{"a": {"b": "1"}, "a:b": "2"}')).rejects.toThrow(/a:b.*nestedSeparator/);
  await expect(fileStore('["a"]')).rejects.toThrow(/JSON object/);
  await expect(fileStore('a: b')).rejects.toThrow(/invalid character 'a'/);
  await expect(fileStore('{"a": "1"} x')).rejects.toThrow(/after top-level value/);
  await expect(openComponent('secretstores.local.file', {})).rejects.toThrow('missing local secrets file in metadata');
  await expect(openComponent('secretstores.local.file', { secretsFile: '/nowhere/s.json' })).rejects.toThrow(/\/nowhere\/s\.json/);
});

test('local.env never gives out what belongs to the sidecar, and says so', async () => {
  const stop = environment({ DAPR_API_TOKEN: 'hidden', APP_API_TOKEN: 'hidden' });
  try {
    const { port } = await openComponent<SecretStore>('secretstores.local.env', {});
    for (const name of ['DAPR_API_TOKEN', 'dapr_api_token', 'APP_API_TOKEN', 'App_Api_Token']) expect(await port.get(name, {}, background)).toEqual({ [name]: '' });
    expect(lines.at(-1)).toContain('Access to env var App_Api_Token is forbidden');
    expect(Object.keys((await port.bulkGet({}, background)) ?? {}).filter((name) => /^dapr_|^app_api_token$/i.test(name))).toEqual([]);
  } finally {
    await stop();
  }
});
