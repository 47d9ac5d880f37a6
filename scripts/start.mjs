#!/usr/bin/env node
// `npm start`: installs and builds what is missing, then runs the sidecar and shows three calls to try.
//
//   npm start                                   app id `outrigger`, HTTP API on port 3500, embedded components
//   npm start -- --app-id shop --dapr-http-port 3501
//
// Written for whatever Node is on the machine; the sidecar runs on the Node this project pins.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installed } from './installed.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pinned = join(root, 'node_modules/node/bin/node');
const built = join(root, 'dist/node.js');

const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
// `npm ci` wants the packages of foreign platforms in the lock file; a registry that has not all of them leaves such out
const installing = ['npm', 'install', '--no-save', ...quiet];
if (!existsSync(join(root, 'node_modules/.package-lock.json')) || !existsSync(pinned)) perform('installing', ['npm', 'ci', ...quiet], installing);
else if (!installed(root)) perform('installing what is new', installing);
if (!existsSync(built) || newest(join(root, 'src')) > statSync(built).mtimeMs) perform('building', [existsSync(pinned) ? pinned : process.execPath, join(root, 'scripts/build.mjs')]);

const given = process.argv.slice(2);
const named = given.some((word) => /^--?app-id(=|$)/.test(word));
const endsAtOnce = given.some((word) => /^(-h|--?(help|version|build-info|wait))$/.test(word));
// several sidecars may be started like this: the metrics of the second go to another port
const metrics = endsAtOnce || given.some((word) => /^--?(metrics-port|enable-metrics)(=|$)/.test(word)) ? [] : [`--metrics-port=${await freePort(9090)}`];
const env = { ...process.env, ...(endsAtOnce ? {} : { OUTRIGGER_BANNER: '1' }) };
// in a process group of its own: a Ctrl-C reaches this script, npm and the shell, but the sidecar must hear of it once
const sidecar = spawn(join(root, 'bin/daprd'), [...(named ? [] : ['--app-id=outrigger']), ...metrics, ...given], { stdio: 'inherit', env, detached: true });

const lastSent = new Map();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    // npm passes on what the terminal has sent already
    if (Date.now() - (lastSent.get(signal) ?? 0) < 300) return;
    lastSent.set(signal, Date.now());
    sidecar.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
  });
}
sidecar.on('error', (error) => {
  console.error(`could not start the sidecar: ${error.message}`);
  process.exit(1);
});
sidecar.on('exit', (code) => process.exit(code ?? 1));

/** `wanted` where nobody listens on it, else a port the system gives. */
function freePort(wanted) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(freePort(0)));
    server.listen(wanted, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Runs a command quietly, the next one where it fails. The last one's output is shown where that fails too, which ends the script. */
function perform(what, ...commands) {
  process.stdout.write(`${what} … `);
  const started = Date.now();
  let last;
  for (const [command, ...args] of commands) {
    last = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
    if (last.status === 0) {
      console.log(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
      return;
    }
  }
  console.error(`failed\n${last.error?.message ?? ''}${last.stdout ?? ''}${last.stderr ?? ''}`);
  process.exit(1);
}

/** When the newest file of a folder was changed, in ms. */
function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}
