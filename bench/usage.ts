// CPU time and memory of a process and all it started (its process group), read from /proc; NaN where there is none.
import { readdirSync, readFileSync } from 'node:fs';

/** `cpuMs` since its start; resident memory in MB, and how much of it is not backed by files. */
export type Usage = { cpuMs: number; rssMb: number; anonMb: number };

// USER_HZ: what /proc counts CPU time in, on every Linux this runs on
const msPerTick = 10;

export function usage(groups: number[]): Usage {
  const total: Usage = { cpuMs: 0, rssMb: 0, anonMb: 0 };
  try {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const fields = read(`/proc/${pid}/stat`).split(') ').pop()?.split(' ') ?? [];
      if (!groups.includes(Number(fields[2]))) continue;
      total.cpuMs += (Number(fields[11]) + Number(fields[12])) * msPerTick;
      const status = read(`/proc/${pid}/status`);
      total.rssMb += kilobytes(status, 'VmRSS') / 1024;
      total.anonMb += kilobytes(status, 'RssAnon') / 1024;
    }
    return total;
  } catch {
    return { cpuMs: Number.NaN, rssMb: Number.NaN, anonMb: Number.NaN };
  }
}

// a process that has just ended reads as empty
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const kilobytes = (status: string, name: string) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))?.[1] ?? 0);
