// `outrigger run -f FILE`: every app of a run file with a sidecar of its own, each as one `outrigger run`, until a signal ends them all.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stderr, stdout, writeTo } from './output.ts';
import type { Platform } from './platform.ts';
import { appMark, eachLine, endedBySigterm, signalGroup } from './run-app.ts';
import { type LogDestination, type PlannedApp, readRunFile, RunFileError } from './run-file.ts';

/** Longer than one `outrigger run` takes to end its app and itself. */
const patienceMs = 15_000;

/** Resolves with 0, or 1 where the file is wrong, an app could not be started, or one of them ended with an error. */
export async function runApps(file: string, platform: Platform): Promise<number> {
  let apps: PlannedApp[];
  try {
    const path = file !== '-' && existsSync(file) && statSync(file).isDirectory() ? join(file, 'dapr.yaml') : file;
    if (path !== '-' && !/\.ya?ml$/.test(path)) throw new RunFileError(`${path}: a run file ends in .yaml or .yml`);
    if (path !== '-' && !existsSync(path)) throw new RunFileError(`there is no run file ${path}`);
    const { parse } = await import('yaml');
    ({ apps } = readRunFile(parse(readFileSync(path === '-' ? 0 : path, 'utf8')), path === '-' ? 'stdin' : path, existsSync));
  } catch (error) {
    stderr(`${(error as Error).message}\n`);
    return 1;
  }
  const running = new Set<ReturnType<typeof startOne>>();
  let stopping = false;
  const stopAll = () => {
    stopping = true;
    for (const one of running) one.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stopAll);
  process.on('exit', () => { for (const one of running) one.kill(); });

  let failed = false;
  await Promise.all(apps.map(async (app) => {
    const one = startOne(app, platform);
    running.add(one);
    const code = await one.ended;
    running.delete(one);
    if (code === 0 || (stopping && code === endedBySigterm)) return;
    failed = true;
    stderr(`${app.appId} ended with ${code}\n`);
    // one that never came up takes the others with it; one that ends later does not
    if (!one.wasUp()) stopAll();
  }));
  return failed ? 1 : 0;
}

function startOne(app: PlannedApp, { runtime }: Platform) {
  const logs = join(app.directory, '.dapr/logs');
  if (app.appLog.file || app.daprdLog.file) mkdirSync(logs, { recursive: true });
  const stamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const target = (which: 'app' | 'daprd', to: LogDestination) => {
    const fd = to.file ? openSync(join(logs, `${app.appId}_${which}_${stamp}.log`), 'a') : undefined;
    return (line: string, shown: string) => {
      if (fd !== undefined) writeTo(fd, `${line}\n`);
      if (to.console) stdout(`${shown}\n`);
    };
  };
  const appLine = target('app', app.appLog);
  const daprdLine = target('daprd', app.daprdLog);
  let up = false;
  const take = (line: string) => {
    if (line.startsWith(appMark)) {
      const text = line.slice(appMark.length);
      return appLine(text, `== APP - ${app.appId} == ${text}`);
    }
    if (line.includes('HTTP server is running on port')) up = true;
    daprdLine(line, line);
    if (!app.daprdLog.console && /level"?[=:]"?(error|fatal)/.test(line)) stderr(`${line}\n`); // nobody should have to look for why nothing works
  };

  stdout(`Starting ${app.appId}\n`);
  const child = spawn(process.execPath, [...(runtime === 'deno' ? ['run', '-A'] : process.execArgv), process.argv[1] as string, 'run', ...app.flags, '--', ...app.command], {
    cwd: app.directory,
    // sidecars of one file are on one machine: that is where they look for each other
    env: { DAPR_HOST_IP: '127.0.0.1', ...process.env, ...app.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  eachLine(child.stdout, take);
  eachLine(child.stderr, take);
  const kill = () => { if (child.exitCode === null) signalGroup(child, 'SIGKILL'); };
  return {
    wasUp: () => up,
    kill,
    stop: () => {
      child.kill('SIGTERM');
      setTimeout(kill, patienceMs).unref();
    },
    ended: new Promise<number>((done) => {
      child.once('error', (error) => { stderr(`${error.message}\n`); done(127); });
      child.once('close', (code) => done(code ?? endedBySigterm));
    }),
  };
}
