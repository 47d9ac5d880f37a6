// Replays the recorded conversations with a real daprd against a sidecar and reports every difference.
//
//   node test/wire/run.ts [options]
//     --only PATTERN    only scenarios whose name (core/state-etag-sqlite) contains it; * stands for anything; repeatable
//     --jobs N          scenarios at once (default 3)
//     --sidecar 'CMD'   the command to test, daprd's flags are appended (default: the built sidecar, or OUTRIGGER_COMMAND)
//     --minutes N       what has not been played by then fails (default 15)
//     --again           play scenarios that differ once more, alone; only what differs both times fails
//     --verbose         one line per scenario, the differences that fail nothing too, and the sidecar's log where it fails
//     --report FILE     write the counts and every difference as JSON
//     --bare            ignore docs/deviations.md
//
// Ends with "N passed, N failed, N skipped" (steps); exit code 1 when something failed.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { sidecarCommand } from '../harness/sidecar.ts';
import { compareStep } from './compare.ts';
import { concerns, readDeviations } from './deviations.ts';
import { play } from './play.ts';
import { judge, type Outcome, summary, tell } from './report.ts';
import type { Scenario } from './scenario.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [''] },
    jobs: { type: 'string', default: '3' },
    sidecar: { type: 'string' },
    minutes: { type: 'string', default: '15' },
    again: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    report: { type: 'string' },
    bare: { type: 'boolean', default: false },
  },
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130)); // exit ends all children

const recordings = join(import.meta.dirname, 'recordings');
const table = readDeviations(options.bare ? '' : readFileSync(resolve(import.meta.dirname, '../../docs/deviations.md'), 'utf8'));
const command = options.sidecar?.split(' ') ?? sidecarCommand();

const wanted = options.only.map((pattern) => new RegExp(pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')));
const scenarios = readdirSync(recordings, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .filter((name) => wanted.some((pattern) => pattern.test(name)))
  .map((name) => ({ name, scenario: JSON.parse(readFileSync(join(recordings, `${name}.json`), 'utf8')) as Scenario }))
  // the long ones first, so that none runs alone at the end
  .sort((a, b) => weight(b.scenario) - weight(a.scenario) || a.name.localeCompare(b.name));

const deadline = Date.now() + Number(options.minutes) * 60_000;
const outcomes: Outcome[] = [];
const queue = [...scenarios];
await Promise.all(Array.from({ length: Number(options.jobs) }, worker));
if (options.again) await playAgain();
process.exitCode = finish();

async function worker(): Promise<void> {
  for (let next = queue.shift(); next; next = queue.shift()) {
    const outcome = await outcomeOf(next.name, next.scenario);
    outcomes.push(outcome);
    tell(outcome, options.verbose);
  }
}

async function outcomeOf(name: string, scenario: Scenario): Promise<Outcome> {
  const notBuilt = table.notBuilt.filter((row) => concerns(row, name));
  const judged = scenario.steps.flatMap((step, i) => (step.expect === undefined ? [] : [{ step, i }]));
  const skipped = judged.filter(({ i }) => notBuilt.some((row) => concerns(row, name, i)));
  const started = Date.now();
  if (skipped.length === judged.length) return judge(name, table, judged.map(({ step, i }) => ({ step, i, differences: [] })), { seen: [], logs: {} }, 0);
  const left = Math.min(90_000, deadline - Date.now());
  const played = left > 0 ? await play(scenario, command, left) : { seen: [], logs: {}, failure: 'out of time' };
  const steps = judged.map(({ step, i }) => ({ step, i, differences: compareStep(step, played.seen[i]) }));
  return judge(name, table, steps, played, Date.now() - started);
}

async function playAgain(): Promise<void> {
  for (const [i, first] of outcomes.entries()) {
    const again = scenarios.find(({ name }) => name === first.name);
    if (!again || Date.now() > deadline || !first.steps.some(({ verdict }) => verdict === 'failed')) continue;
    const second = await outcomeOf(again.name, again.scenario);
    outcomes[i] = second;
    console.log(`again   ${first.name}: ${second.steps.some(({ verdict }) => verdict === 'failed') ? 'differs again' : 'the same now'}`);
  }
}

function finish(): number {
  const result = summary(outcomes, table);
  console.log(result.text);
  if (options.report) writeFileSync(options.report, JSON.stringify({ ...result.counts, stale: result.stale, scenarios: outcomes.map(({ logs: _, ...rest }) => rest) }, null, 1));
  return result.counts.failed ? 1 : 0;
}

// a guess at the time a scenario takes: what it sleeps, and half a second for each process
function weight({ sidecars, settleMs = 0, steps }: Scenario): number {
  return sidecars.length * 500 + settleMs + steps.reduce((sum, step) => sum + (step.sleepMs ?? 0) + (step.app ? (step.graceMs ?? 150) : 0), 0);
}
