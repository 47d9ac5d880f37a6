// Lines for stdout, stderr and log files: written at once, so that none is lost when the process ends.
import { openSync, writeSync } from 'node:fs';

/** Writes text to a file descriptor; a reader that has gone away is ignored. */
export function writeTo(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0, tries = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
      tries = 0;
    } catch (error) {
      // a full pipe that somebody made non-blocking: give its reader up to a second
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || ++tries > 1000) return;
      Atomics.wait(clock, 0, 0, 1);
    }
  }
}
const clock = new Int32Array(new SharedArrayBuffer(4));

export const stdout = (text: string) => writeTo(1, text);
export const stderr = (text: string) => writeTo(2, text);

/** Appends lines to a file, created with mode 0644. Throws the system's error where it cannot be opened. */
export function lineWriter(file: string): (line: string) => void {
  const fd = file === '' ? 1 : openSync(file, 'a', 0o644);
  return (line) => writeTo(fd, `${line}\n`);
}
