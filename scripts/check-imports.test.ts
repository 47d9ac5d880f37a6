// The import check finds what breaks the floors, and nothing else.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { problemsIn } from './check-imports.mjs';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
function problems(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'outrigger-imports-'));
  folders.push(root);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return problemsIn(root);
}
const word = { 'src/core/word.ts': 'export const word = 1;\n' };

test('this project keeps its floors', () => {
  expect(problemsIn(resolve(import.meta.dirname, '..'))).toEqual([]);
});

test.each([
  ['a block imports the app', 'src/blocks/state/a.ts', "import { b } from '../../app/b.ts';", /blocks import blocks and core, not src\/app\/b\.ts/],
  ['a block re-exports an adapter', 'src/blocks/state/a.ts', "export { b } from '../../adapters/state/b.ts';", /not src\/adapters\/state\/b\.ts/],
  ['the core imports a block', 'src/core/a.ts', "import { b } from '../blocks/state/b.ts';", /core imports only core/],
  ['even a type', 'src/core/a.ts', "import type { B } from '../blocks/state/b.ts';", /core imports only core/],
  ['the core imports YAML', 'src/core/a.ts', "import { parse } from 'yaml';", /core may not use yaml/],
  ['HTTP imports gRPC', 'src/app/http/a.ts', "import { b } from '../grpc/b.ts';", /never each other/],
  ['an adapter imports the app', 'src/adapters/state/a.ts', "import { b } from '../../app/b.ts';", /adapters import blocks and core/],
  ['a host imports an adapter', 'src/hosts/node/a.ts', "import b from '../../adapters/state/b.ts';", /only the manifest/],
  ['the manifest imports an adapter at once', 'src/adapters/manifest.ts', "import b from './state/b.ts';", /only with import\(\)/],
  ['a vendor library at the top of an adapter', 'src/adapters/state/a.ts', "import Redis from 'ioredis';", /not at the top: ioredis/],
  ['a vendor library in a block', 'src/blocks/state/a.ts', "const r = await import('ioredis');", /blocks may not use ioredis/],
  ['Hono in a block', 'src/blocks/state/a.ts', "import { Hono } from 'hono';", /blocks may not use hono/],
  ['a Node module outside the hosts', 'src/adapters/state/a.ts', "const { readFile } = await import('node:fs');", /only src\/hosts may import node:fs/],
  ['a Node module without node:', 'src/adapters/state/a.ts', "import { readFile } from 'fs/promises';", /write node:fs\/promises/],
  ['process outside the hosts', 'src/blocks/state/a.ts', 'export const home = () => process.env.HOME;', /only src\/hosts may say process/],
  ['Deno outside the hosts', 'src/app/a.ts', 'export const home = () => Deno.cwd();', /only src\/hosts may say Deno/],
  ['a barrel', 'src/blocks/state/index.ts', '', /no barrels/],
  ['a wildcard export', 'src/blocks/state/a.ts', "export * from './b.ts';", /no `export \* from`/],
  ['utils', 'src/core/utils.ts', '', /no utils\.ts/],
  ['a file that is not there', 'src/core/a.ts', "import { b } from './gone.ts';", /src\/core\/gone\.ts does not exist/],
  ['no extension', 'src/core/a.ts', "import { b } from './word';", /write the extension/],
  ['out of src', 'src/core/a.ts', "import { b } from '../../test/b.ts';", /outside src/],
])('refuses: %s', (_, file, text, message) => {
  const found = problems({ ...word, 'src/app/b.ts': '', 'src/app/grpc/b.ts': '', 'src/blocks/state/b.ts': '', 'src/adapters/state/b.ts': '', [file]: `${text}\n` });
  expect(found.join('\n')).toMatch(message);
  expect(found[0]).toMatch(new RegExp(`^${file.replaceAll('.', '\\.')}`));
});

test('finds a circle, and names the way round', () => {
  const found = problems({ 'src/core/a.ts': "import { b } from './b.ts';\n", 'src/core/b.ts': "import { c } from './c.ts';\n", 'src/core/c.ts': "import { a } from './a.ts';\n" });
  expect(found).toEqual(['src/core/a.ts: imports itself in a circle: src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts']);
});

test('types make no circle', () => {
  expect(problems({ 'src/core/a.ts': "import type { B } from './b.ts';\n", 'src/core/b.ts': "import { a } from './a.ts';\n" })).toEqual([]);
});

test('lets the right things through', () => {
  expect(
    problems({
      ...word,
      'src/blocks/state/port.ts': "import { word } from '../../core/word.ts';\n// process.env is not for us\n/* node:fs, Deno.cwd() */\nexport const text = 'process.env and Deno.cwd()';\nexport const run = (process: { pid: number }) => process.pid;\n",
      'src/app/http/state.ts': "import { Hono } from 'hono';\nimport { text } from '../../blocks/state/port.ts';\n",
      'src/adapters/state/redis.ts': "import type { Redis } from 'ioredis';\nimport { word } from '../../core/word.ts';\nexport default { open: async () => import('ioredis') };\n",
      'src/adapters/manifest.ts': "export const manifest = [() => import('./state/redis.ts')];\n",
      'src/hosts/node/main.ts': "import { readFile } from 'node:fs/promises';\nimport { manifest } from '../../adapters/manifest.ts';\nimport { Hono } from '../../app/http/state.ts';\nexport const pid = process.pid;\n",
      'src/blocks/state/port.test.ts': "import { readFileSync } from 'node:fs';\nimport { test } from 'vitest';\nimport { text } from './port.ts';\n",
    }),
  ).toEqual([]);
});
