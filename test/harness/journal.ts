// What a contract server has done, line by line in a file, so that it comes back from a kill with its messages.
import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';

export interface Journal<Entry> {
  /** What was written before this process. */
  past: Entry[];
  /** In the file when it returns: not even a kill takes it back. */
  add(entry: Entry): void;
}

/** Without a file nothing is kept. */
export function openJournal<Entry>(file: string | undefined): Journal<Entry> {
  if (file === undefined) return { past: [], add: () => undefined };
  const text = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  // A kill may have cut the last line: nobody was told of it.
  const whole = text.lastIndexOf('\n') + 1;
  if (whole < text.length) truncateSync(file, whole);
  const lines = text.subarray(0, whole).toString().split('\n').slice(0, -1);
  return { past: lines.map((line) => JSON.parse(line) as Entry), add: (entry) => appendFileSync(file, `${JSON.stringify(entry)}\n`) };
}
