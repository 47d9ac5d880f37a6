// The image's pieces, without Docker: its entry point and files in a copied tree, read only, as another user.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSidecar } from '../harness/sidecar.ts';
import { dist } from './hosts.ts';

const root = resolve(import.meta.dirname, '../..');
let home: string;
let daprd: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'outrigger-image-'));
  chmodSync(home, 0o755);
  cpSync(dist, join(home, 'outrigger/dist'), { recursive: true });
  daprd = join(home, 'daprd');
  cpSync(join(root, 'deploy/image/daprd'), daprd);
  // the runtimes of the base images
  mkdirSync(join(home, 'bin'));
  for (const name of ['node', 'bun']) symlinkSync(join(root, 'node_modules/.bin', name), join(home, 'bin', name));
  execFileSync('chmod', ['-R', 'a-w', join(home, 'outrigger')]);
});
afterAll(() => {
  execFileSync('chmod', ['-R', 'u+w', home]);
  rmSync(home, { recursive: true, force: true });
});

const environment = (runtime: string) => ({ PATH: `${join(home, 'bin')}:/usr/bin:/bin`, OUTRIGGER_HOME: join(home, 'outrigger'), OUTRIGGER_RUNTIME: runtime, HOME: '/nonexistent' });

describe.each(['node', 'bun'])('the entry point on %s', (runtime) => {
  const run = (...words: string[]) => execFileSync(daprd, words, { env: environment(runtime), encoding: 'utf8' });

  test.each([[[]], [['/daprd']], [['./daprd']], [['daprd']]])('takes daprd\'s arguments behind %j', (before) => {
    expect(run(...before, '--version')).toBe('1.18.2\n');
  });

  test('runs as the injector starts it, from a read-only tree, until it is told to stop', async () => {
    const sidecar = await startSidecar({ command: [daprd, '/daprd'], env: { ...environment(runtime), NAMESPACE: 'default' }, flags: ['--mode=standalone', '--log-as-json=true'] });
    expect((await fetch(`${sidecar.http}/v1.0/metadata`)).status).toBe(200);
    expect(await sidecar.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

test('the Dockerfile copies what is there, and pins what it builds on', () => {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8');
  for (const [, sources] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) for (const source of (sources as string).split(' ')) expect(existsSync(join(root, source)), source).toBe(true);
  const stages = new Set([...text.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name));
  for (const [, image] of text.matchAll(/^FROM (\S+)/gm)) expect(image).toMatch(/:\d+\.\d+/);
  for (const [, stage] of text.matchAll(/--from=(\S+)/g)) expect(stages).toContain(stage);
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> };
  expect(text).toContain(`FROM node:${devDependencies.node}-`);
  expect(text).toContain(`FROM oven/bun:${devDependencies.bun}-`);
  expect(text.match(/^USER 65532:65532$/gm)).toHaveLength(2);
  expect(statSync(join(root, 'deploy/image/daprd')).mode & 0o111).toBe(0o111);
});
