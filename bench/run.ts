// `npm run bench`: measures a sidecar beside bare programs of the same host, on this machine, in this run.
//
//   node bench/run.ts [options]
//     --runtime node|bun     the host of the built sidecar and of the bare programs (default node)
//     --command 'CMD'        a Dapr-compatible sidecar, daprd's flags are appended; repeatable; `name=CMD` names its rows;
//                            `built`, `built:node`, `built:bun` stand for this project's own (default: built)
//     --url URL              a sidecar that runs already on this machine: state store `memory`, app id `bench-app`
//     --watched              each command four times: without metrics and spans, with the one, the other, both; without bare programs
//     --only WORDS           scenarios whose name contains one of these words: set, get, deliver, invoke-one, invoke-two
//     --stores LIST          memory,sqlite,redis (default memory)
//     --connections N        saturating: requests in flight (default 16)
//     --rate N               requests per second of the latency part (default: half of what the slowest can do)
//     --rounds N             how often each is measured (default 5); medians are printed
//     --seconds N            length of one measurement (default 1.5)
//     --quick                three rounds of half a second
//     --svg FILE             the plot (default .data/bench.svg)
//     --json FILE            all figures
//
// Everything stays on the loopback address and ends with this process, at the latest after half an hour.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../test/harness/ports.ts';
import { startRedis } from '../test/harness/servers.ts';
import { startGenerator } from './load/remote.ts';
import { median } from './load/samples.ts';
import { plot } from './report/svg.ts';
import { type ProcessRow, processTable, scenarioTable } from './report/text.ts';
import { type Measured, measure, type Settings } from './rounds.ts';
import { plan, type ScenarioPlan } from './scenarios.ts';
import { type Bare, type Command, type Process, readCommand, startAllBare, startHonoOnce, startOnce, startSubject, type Store, type Subject, watchedForms } from './subjects.ts';
import { usage } from './usage.ts';

const { values: options } = parseArgs({
  options: {
    runtime: { type: 'string', default: 'node' },
    command: { type: 'string', multiple: true },
    url: { type: 'string' },
    watched: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    stores: { type: 'string', default: 'memory' },
    connections: { type: 'string', default: '16' },
    rate: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    svg: { type: 'string', default: '.data/bench.svg' },
    json: { type: 'string' },
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130)); // exit ends all children
setTimeout(() => {
  console.error('gave up after half an hour');
  process.exit(1);
}, 30 * 60_000).unref();

const runtime = options.runtime === 'bun' ? 'bun' : 'node';
const settings: Settings = {
  rounds: Number(options.rounds ?? (options.quick ? 3 : 5)),
  seconds: Number(options.seconds ?? (options.quick ? 0.5 : 1.5)),
  connections: Number(options.connections),
  ...(options.rate ? { rate: Number(options.rate) } : {}),
};
const named = (options.command ?? (options.url ? [] : ['built'])).map((text) => readCommand(text, runtime));
const commands = options.watched ? named.flatMap(watchedForms) : named;
const honoName = `bare Hono (${runtime})`;
const stores = options.stores.split(',') as Store[];

const dir = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
const stops: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
try {
  await bench();
} finally {
  for (const stop of stops.reverse()) await stop();
}
process.exit();

async function bench(): Promise<void> {
  const processes = options.watched ? [] : await starts(commands);
  const generator = startGenerator();
  stops.push(generator.stop);
  const deliveries = await freePort();
  await generator.deliveries(deliveries);
  const bare = await startAllBare(runtime, deliveries);
  stops.push(...Object.values(bare).map(({ stop }) => stop));
  const redis = stores.includes('redis') ? await startRedis() : undefined;
  if (redis) stops.push(redis.stop);

  const subjects: Subject[] = [];
  for (const command of commands) {
    const subject = await startSubject(command, { app: bare.app.port, deliveries, dir, stores, ...(redis ? { redis: redis.port } : {}) });
    for (const part of [subject.state, subject.invokeTwo, subject.deliver]) if (part) stops.push(part.stop);
    subjects.push(subject);
  }
  if (options.url) subjects.push(running(options.url));

  const all: Measured[] = [];
  const words = options.only.split(',');
  for (const scenario of plans(bare, subjects).filter(({ name }) => words.some((word) => name.includes(word)))) {
    const measured = await measure(scenario, generator, settings);
    all.push(measured);
    console.log(`${scenarioTable(measured)}\n`);
  }
  for (const row of processes) {
    const groups = row.name === honoName ? bare.hono.groups : subjects.find(({ name }) => name === row.name)?.state?.groups;
    const { rssMb, anonMb } = usage(groups ?? []);
    Object.assign(row, { loadedRssMb: rssMb, loadedAnonMb: anonMb });
  }
  if (processes.length > 0) console.log(processTable(processes));
  write(options.svg, plot(all));
  console.log(`\nplot: ${options.svg}`);
  if (options.json) write(options.json, JSON.stringify({ settings, scenarios: all, processes }, null, 1));
}

// forms of one command are held against each other, not against those of another
function plans(bare: Bare, subjects: Subject[]): ScenarioPlan[] {
  if (!options.watched) return plan(bare, runtime, subjects, stores);
  return named.flatMap(({ name }) => plan(bare, runtime, subjects.filter((subject) => subject.name.startsWith(`${name} `)), stores)
    .map((scenario) => ({ ...scenario, contenders: scenario.contenders.filter(({ role }) => role === 'plain' || role === 'subject') })));
}

// time to ready and idle memory, of each in turn
async function starts(commands: Command[]): Promise<ProcessRow[]> {
  const all = [{ name: honoName, start: () => startHonoOnce(runtime) }, ...commands.map((command) => ({ name: command.name, start: () => startOnce(command) }))];
  const seen = all.map(() => ({ ms: [] as number[], rss: [] as number[], anon: [] as number[] }));
  for (let round = 0; round < settings.rounds; round++) {
    for (const [i, { start }] of all.entries()) {
      const { ms, process } = await start();
      await sleep(1000);
      const { rssMb, anonMb } = usage(process.groups);
      await process.stop();
      seen[i]?.ms.push(ms);
      seen[i]?.rss.push(rssMb);
      seen[i]?.anon.push(anonMb);
    }
  }
  return all.map(({ name }, i) => ({ name, readyMs: median(seen[i]?.ms ?? []), idleRssMb: median(seen[i]?.rss ?? []), idleAnonMb: median(seen[i]?.anon ?? []) }));
}

// a sidecar somebody else started: nothing is known of its processes
function running(url: string): Subject {
  const { hostname, port } = new URL(url);
  if (!['127.0.0.1', 'localhost'].includes(hostname)) throw new Error('--url has to be on this machine');
  const process: Process = { port: Number(port), groups: [], stop: async () => {} };
  return { name: url, state: process, invoke: process };
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
