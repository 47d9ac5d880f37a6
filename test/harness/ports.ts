// Free loopback ports that no other test process on this machine is about to use.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// A file per port says which process holds it: a port found free is only bound some moments later, by a child.
const folder = join(tmpdir(), 'outrigger-ports');
const held: string[] = [];
process.on('exit', () => {
  for (const file of held) rmSync(file, { force: true });
});

/** A TCP port nobody listens on; below the range the system takes outgoing ports from, so nobody takes it by accident. */
export async function freePort(): Promise<number> {
  mkdirSync(folder, { recursive: true });
  for (;;) {
    const port = 10_100 + Math.floor(Math.random() * 22_000); // fetch refuses 10080
    if (take(join(folder, String(port))) && (await canListen(port))) return port;
  }
}

/** Waits until something accepts connections on the port. */
export async function waitForPort(port: number, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !(await isOpen(port)); await sleep(15)) {
    if (Date.now() > end) throw new Error(`nothing listens on port ${port} after ${ms} ms`);
  }
}

function take(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    held.push(file);
    return true;
  } catch {
    if (!ownerLives(file)) rmSync(file, { force: true });
    return false;
  }
}

function ownerLives(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const canListen = (port: number) =>
  new Promise<boolean>((done) => {
    const server = createServer().once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });

const isOpen = (port: number) =>
  new Promise<boolean>((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
