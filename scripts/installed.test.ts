import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const { installed } = (await import('./installed.mjs' as string)) as { installed(root: string): boolean };

test('what a pull brought is missing, what is optional is not', () => {
  const root = mkdtempSync(join(tmpdir(), 'outrigger-installed-'));
  const write = (path: string, packages: Record<string, unknown>) => writeFileSync(join(root, path), JSON.stringify({ packages }));
  const a = { version: '1.0.0' };
  mkdirSync(join(root, 'node_modules'));
  write('package-lock.json', { '': { version: '0.1.0' }, 'node_modules/a': a, 'node_modules/other-platform': { version: '1.0.0', optional: true } });
  expect(installed(root)).toBe(false);
  write('node_modules/.package-lock.json', { 'node_modules/a': a });
  expect(installed(root)).toBe(true);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '0.9.0' } });
  expect(installed(root)).toBe(false);
  rmSync(root, { recursive: true });
});
