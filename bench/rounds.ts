// Runs a scenario: every contender in turn, round after round, first saturating, then all at one fixed rate; medians count.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from './load/generator.ts';
import type { Generator } from './load/remote.ts';
import { median } from './load/samples.ts';
import type { Contender, ScenarioPlan } from './scenarios.ts';
import { usage } from './usage.ts';

export type Settings = { rounds: number; seconds: number; connections: number; rate?: number };
export type Row = {
  name: string;
  role: Contender['role'];
  /** Saturating: completed per second, each round's figure, CPU cores in use. */
  perSecond: number;
  rounds: number[];
  cores: number;
  saturatedP99: number;
  /** At the fixed rate: milliseconds; CPU microseconds per request; share of requests kept up with. */
  p50: number;
  p90: number;
  p99: number;
  curve: number[];
  cpuMicros: number;
  kept: number;
  errors: number;
  lost: number;
};
export type Measured = { name: string; title: string; rate: number; rows: Row[] };

type Sample = Result & { cpuMs: number; wallMs: number };

export async function measure({ name, title, contenders }: ScenarioPlan, generator: Generator, { rounds, seconds, connections, rate: wantedRate }: Settings): Promise<Measured> {
  const once = async ({ process, load }: Contender, rate?: number): Promise<Sample> => {
    const before = usage(process.groups).cpuMs;
    const begin = performance.now();
    const result = await generator.run({ port: process.port, connections: rate ? connections * 4 : connections, ms: seconds * 1000, warmMs: 300, ...load, ...(rate ? { rate } : {}) });
    const sample = { ...result, cpuMs: usage(process.groups).cpuMs - before, wallMs: performance.now() - begin };
    await sleep(50); // whatever still runs on behalf of this one shall not be counted on the next
    return sample;
  };
  const all = async (rate?: number): Promise<Sample[][]> => {
    const samples: Sample[][] = contenders.map(() => []);
    for (let round = 0; round < rounds; round++) {
      // another first one each round: being first or last must not matter
      for (let i = 0; i < contenders.length; i++) {
        const at = (i + round) % contenders.length;
        samples[at]?.push(await once(contenders[at] as Contender, rate));
      }
    }
    return samples;
  };
  const saturated = await all();
  const slowest = Math.min(...saturated.map((samples) => median(samples.map(({ perSecond }) => perSecond))));
  const rate = wantedRate ?? roundRate(slowest / 2);
  const paced = await all(rate);
  const rows = contenders.map((contender, i): Row => {
    const [fast = [], even = []] = [saturated[i], paced[i]];
    const mid = (samples: Sample[], of: (sample: Sample) => number) => median(samples.map(of));
    return {
      name: contender.name,
      role: contender.role,
      perSecond: mid(fast, (s) => s.perSecond),
      rounds: fast.map((s) => s.perSecond),
      cores: mid(fast, (s) => s.cpuMs / s.wallMs),
      saturatedP99: mid(fast, (s) => s.latency.p99),
      p50: mid(even, (s) => s.latency.p50),
      p90: mid(even, (s) => s.latency.p90),
      p99: mid(even, (s) => s.latency.p99),
      curve: even[0]?.latency.curve.map((_, at) => mid(even, (s) => s.latency.curve[at] ?? Number.NaN)) ?? [],
      cpuMicros: mid(even, (s) => (s.cpuMs * 1e6) / (rate * (seconds * 1000 + 300))),
      kept: mid(even, (s) => s.kept),
      errors: [...fast, ...even].reduce((sum, s) => sum + s.errors, 0),
      lost: [...fast, ...even].reduce((sum, s) => sum + s.lost, 0),
    };
  });
  return { name, title, rate, rows };
}

/** Two leading digits, so that it reads well. */
const roundRate = (rate: number) => {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(rate)) - 1);
  return Math.max(10, Math.floor(rate / unit) * unit);
};
