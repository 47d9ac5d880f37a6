// What the operating system and the runtime know of this process; most of it only where there is /proc.
import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessPort } from '../../core/host.ts';

const pageBytes = 4096;

export function createProcessPort(runtime: string): ProcessPort {
  return {
    version: `${runtime} ${versionOf(runtime)}`,
    startTimeSeconds: Math.round(Date.now() - process.uptime() * 1000) / 1000,
    facts: () => {
      const memory = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      // behind the name, which may have blanks and brackets in it
      const stat = (read('/proc/self/stat') ?? '').split(') ').pop()?.split(' ') ?? [];
      const limits = read('/proc/self/limits') ?? '';
      return {
        heapUsedBytes: memory.heapUsed,
        heapTotalBytes: memory.heapTotal,
        residentBytes: stat.length > 21 ? Number(stat[21]) * pageBytes : memory.rss,
        virtualBytes: stat.length > 20 ? Number(stat[20]) : undefined,
        virtualMaxBytes: limitOf(limits, 'Max address space'),
        cpuSeconds: (user + system) / 1e6,
        threads: stat.length > 17 ? Number(stat[17]) : undefined,
        openFds: openFds(),
        maxFds: limitOf(limits, 'Max open files'),
        activities: process.getActiveResourcesInfo?.().length,
      };
    },
  };
}

const versionOf = (runtime: string): string => (process.versions as Record<string, string | undefined>)[runtime] ?? process.version;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function openFds(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length - 1; // one of them is the listing itself
  } catch {
    return undefined;
  }
}

/** The soft limit; unlimited is the greatest number there is in Go's collectors. */
function limitOf(limits: string, name: string): number | undefined {
  const value = new RegExp(`^${name}\\s+(\\w+)`, 'm').exec(limits)?.[1];
  return value === undefined ? undefined : value === 'unlimited' ? 2 ** 64 : Number(value);
}
