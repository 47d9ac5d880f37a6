// The manifests and the component reference are what the definitions say: `npm run gen` would change nothing.
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

test('generated files are up to date', () => {
  const root = resolve(import.meta.dirname, '..');
  const { status, stdout, stderr } = spawnSync(resolve(root, 'node_modules/.bin/node'), ['scripts/gen-manifest.ts', '--check'], { cwd: root, encoding: 'utf8' });
  expect(`${stdout}${stderr}`).toMatch(/^\d+ components: all up to date\n$/);
  expect(status).toBe(0);
});
