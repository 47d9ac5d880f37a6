// The app of `outrigger run`: started in a process group of its own, its lines marked as the app's, ended with everything it started.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { stderr, stdout } from './output.ts';

/** Stands before every line of the app. */
export const appMark = '== APP == ';

export interface RunningApp {
  readonly pid: number | undefined;
  /** Its exit code, 128 + the signal's number where a signal ended it, 127 where it could not be started. */
  readonly ended: Promise<number>;
  /** SIGTERM to its group, SIGKILL after the time given. Resolves when it is gone. */
  stop(patienceMs: number): Promise<void>;
  kill(): void;
}

export function startApp(command: readonly string[], env: Record<string, string | undefined>): RunningApp {
  const [file = '', ...args] = command;
  // a terminal stays with the sidecar: a process in the background that reads from it would be stopped
  const child = spawn(file, args, { env: env as NodeJS.ProcessEnv, stdio: [process.stdin.isTTY ? 'ignore' : 'inherit', 'pipe', 'pipe'], detached: true });
  mark(child.stdout, stdout);
  mark(child.stderr, stderr);
  let over = false;
  const ended = new Promise<number>((done) => {
    child.once('error', (error) => {
      if (child.pid !== undefined) return;
      over = true;
      stderr(`could not start ${file}: ${error.message}\n`);
      done(127);
    });
    // close, not exit: the last lines come first
    child.once('close', (code, signal) => {
      over = true;
      done(code ?? 128 + (signalNumbers[signal ?? ''] ?? 0));
    });
    child.once('exit', () => {
      over = true;
      // what it left behind may keep its pipes open
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, 500).unref();
    });
  });
  const kill = () => signalGroup(child, 'SIGKILL');
  return {
    pid: child.pid,
    ended,
    kill,
    stop: async (patienceMs) => {
      if (!over) {
        signalGroup(child, 'SIGTERM');
        const timer = setTimeout(kill, patienceMs);
        await ended;
        clearTimeout(timer);
      }
      kill(); // children of the app that outlived it
    },
  };
}

const signalNumbers: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };
/** Exit code of an app that a plain SIGTERM ended. */
export const endedBySigterm = 128 + 15;

/** To the process and all it started; nothing where it is gone. */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // gone already
  }
}

const mark = (stream: Readable, write: (text: string) => void): void => eachLine(stream, (line) => write(`${appMark}${line}\n`));

/** Whole lines of a stream; a rest without line break is told at the end. */
export function eachLine(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  });
  stream.on('close', () => {
    if (rest !== '') take(rest);
    rest = '';
  });
}
