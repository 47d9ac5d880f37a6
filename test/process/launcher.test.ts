// bin/daprd and bin/outrigger: from anywhere, through links, with nothing in the environment, in place of the shell.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startSidecar } from '../harness/sidecar.ts';

const root = resolve(import.meta.dirname, '../..');
const daprd = join(root, 'bin/daprd');
const folder = mkdtempSync(join(tmpdir(), 'outrigger-launcher-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (file: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv; argv0?: string } = {}) => {
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', cwd: folder, timeout: 20_000, ...options });
  return { status, stdout, stderr };
};
const version = { status: 0, stdout: '1.18.2\n', stderr: '' };

describe('the launcher', () => {
  test('starts from any folder, under both names', () => {
    expect(run(daprd, ['--version'])).toEqual(version);
    expect(run(join(root, 'bin/outrigger'), ['--version'])).toEqual(version);
    expect(run('./daprd', ['--version'], { cwd: join(root, 'bin') })).toEqual(version);
  });
  test('starts with an empty environment and without a PATH', () => {
    expect(run(daprd, ['--version'], { env: {} })).toEqual(version);
    expect(run(daprd, ['--version'], { env: { PATH: '', CDPATH: '/tmp', HOME: folder } })).toEqual(version);
  });
  test('starts through links to links, relative ones too, with blanks in their names', () => {
    const there = join(folder, 'a place');
    mkdirSync(there);
    symlinkSync(daprd, join(there, 'first'));
    symlinkSync('a place/first', join(folder, 'second'));
    expect(run(join(folder, 'second'), ['--version'], { env: {} })).toEqual(version);
    expect(run('./second', ['--version'])).toEqual(version);
  });
  test('passes every argument on as it is', () => {
    expect(run(daprd, ['--log-file', join(folder, 'missing/with blank'), '--app-id', "it's $HOME *"]).stdout).toContain(`app_id="it's $HOME *"`);
    expect(run(daprd, ['--app-id', '']).stdout).toContain('parameter app-id cannot be empty');
  });
  test('says what to do where nothing is built', () => {
    const copy = join(folder, 'copy');
    cpSync(join(root, 'bin'), join(copy, 'bin'), { recursive: true, verbatimSymlinks: true });
    const { status, stderr } = run(join(copy, 'bin/daprd'), ['--version']);
    expect(status).toBe(1);
    expect(stderr).toContain(`npm run build' in ${copy}`);
    mkdirSync(join(copy, 'dist'));
    writeFileSync(join(copy, 'dist/node.js'), '');
    expect(run(join(copy, 'bin/daprd'), [], { env: { PATH: '' } })).toMatchObject({ status: 1, stderr: `outrigger found no Node: run 'npm install' in ${copy}\n` });
  });
  test.skipIf(process.platform !== 'linux')('keeps the pid; the process is called daprd and shows its arguments', async () => {
    const sidecar = await startSidecar({ command: [daprd] });
    const pid = process.platform === 'linux' ? sidecar.child.pid : 0;
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('daprd\n');
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')).toContain('--app-id=test');
    expect(await sidecar.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

test('a reader of the log that goes away does not end the sidecar', async () => {
  const child = spawn(daprd, ['--app-id=x', '--app-port=1', '--dapr-http-port=0', '--enable-metrics=false', '--dapr-listen-addresses=127.0.0.1'], { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, OUTRIGGER_DATA: folder } });
  await new Promise((done) => child.stdout.once('data', done));
  child.stdout.destroy();
  await new Promise((done) => setTimeout(done, 700));
  expect(child.exitCode).toBeNull();
  const ended = new Promise((done) => child.once('exit', (code) => done(code)));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
