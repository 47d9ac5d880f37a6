// Child processes of the tests: their output is kept, they are ended by id, and none outlives the process that started it.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type Exit = { code: number | null; signal: NodeJS.Signals | null };
export type Started = {
  child: ChildProcess;
  exited: Promise<Exit>;
  /** How it ended, or undefined while it runs. */
  over(): Exit | undefined;
  /** Everything written to stdout and stderr so far, in order of arrival. */
  log(): string;
  /** stdout alone. */
  out(): string;
  /** Sends the signal and waits; after eight seconds it and whatever it started are killed. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
};

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) killGroup(child);
});

// When the parent is killed outright the kernel ends the child too (Linux).
const guard = which('setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : [];

/** Starts a program in its own process group; `as` runs it as that system user (needs root). */
export function start(command: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string; as?: string } = {}): Started {
  const user = options.as ? [`--reuid=${options.as}`, `--regid=${options.as}`, '--clear-groups'] : [];
  const [file = '', ...args] = [...guard, ...user, ...command];
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(child);
  const log: Buffer[] = [];
  const out: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => log.push(data) && out.push(data));
  child.stderr.on('data', (data: Buffer) => log.push(data));
  let over: Exit | undefined;
  const exited = new Promise<Exit>((done) => {
    const end = (exit: Exit) => {
      running.delete(child);
      over = exit;
      done(exit);
    };
    child.once('exit', (code, signal) => end({ code, signal }));
    child.once('error', (error) => {
      log.push(Buffer.from(String(error)));
      if (child.pid === undefined) end({ code: null, signal: null });
    });
  });
  return {
    child,
    exited,
    over: () => over,
    log: () => Buffer.concat(log).toString(),
    out: () => Buffer.concat(out).toString(),
    async stop(signal = 'SIGTERM') {
      if (over) return over;
      child.kill(signal);
      const late = new AbortController();
      await Promise.race([exited, sleep(8000, undefined, { signal: late.signal }).catch(() => {})]);
      late.abort();
      if (!over) killGroup(child);
      return exited;
    },
  };
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // already gone
  }
}

/** The full path of a program, looked up in PATH and the extra folders; undefined when it is not there. */
export function which(name: string, folders: string[] = []): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', ...folders]
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
