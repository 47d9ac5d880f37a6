#!/usr/bin/env node
// `npm test`: installs what is missing, runs every check and suite, and ends with one line of counts.
//
//   node scripts/test.mjs [stage…]     stages: lint types imports build suites wire (default: all, in this order)
//
// Written for whatever Node is on the machine; everything it starts runs on the Node this project pins.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative, resolve } from 'node:path';
import { installed } from './installed.mjs';

const root = resolve(import.meta.dirname, '..');
const bin = (name) => join(root, 'node_modules/.bin', name);
const node = bin('node');
const reports = mkdtempSync(join(tmpdir(), 'outrigger-reports-'));
const children = new Set();
process.on('exit', () => {
  for (const child of children) killGroup(child);
  rmSync(reports, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));

const importCheck = join(root, 'scripts/check-imports.mjs');
/** Name → what it runs, for how many minutes at most, and how its tests are counted (default: the whole stage is one). */
const stages = {
  lint: { command: [node, bin('biome'), 'lint', '--diagnostic-level=warn'], minutes: 2 },
  types: { command: [node, bin('tsc'), '--noEmit'], minutes: 4 },
  imports: { command: existsSync(importCheck) ? [node, importCheck] : undefined, minutes: 1 },
  build: { command: ['npm', 'run', '--silent', 'build'], minutes: 4 },
  suites: { command: vitest('suites'), minutes: 9, live: true, count: countSuites, again: suitesAgain },
  wire: { command: [node, join(root, 'test/wire/run.ts'), '--jobs', '4', '--minutes', '5', '--again', '--report', join(reports, 'wire')], minutes: 6, live: true, count: countWire },
};
const quick = ['lint', 'types', 'imports', 'build'];

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in stages));
if (unknown.length) {
  console.error(`no such stage: ${unknown.join(', ')}; there are ${Object.keys(stages).join(', ')}`);
  process.exit(2);
}
const wanted = (name) => chosen.length === 0 || chosen.includes(name);

const results = [];
/** What failed, for the last lines: nobody wants to look for it among thousands. */
const failures = [];
if (await install()) {
  await Promise.all(quick.filter(wanted).map(perform));
  const built = !results.some(({ name, failed }) => name === 'build' && failed);
  for (const name of ['suites', 'wire'].filter(wanted)) {
    // without a build every replayed step would fail, slowly
    if (built || name !== 'wire') await perform(name);
    else results.push({ name, seconds: 0, passed: 0, failed: 1, skipped: 0, note: 'not run, there is no build' });
  }
}
report();

async function install() {
  const arrived = () => existsSync(join(root, 'node_modules/.package-lock.json')) && existsSync(node);
  const started = Date.now();
  if (arrived() && installed(root)) return true;
  // `npm ci` wants the packages of foreign platforms in the lock file; a registry that has not all of them leaves such out
  const flags = ['--no-audit', '--no-fund', '--loglevel=error'];
  const ok = !arrived() && (await run({ command: ['npm', 'ci', ...flags], minutes: 5 })).ok;
  const second = ok ? undefined : await run({ command: ['npm', 'install', '--no-save', ...flags], minutes: 5 });
  if (arrived()) return true;
  if (second) console.log(second.output);
  results.push({ name: 'install', seconds: (Date.now() - started) / 1000, passed: 0, failed: 1, skipped: 0, note: second?.note ?? 'the pinned node did not arrive' });
  return false;
}

async function perform(name) {
  const stage = stages[name];
  if (!stage.command) return;
  console.log(`> ${name}`);
  const started = Date.now();
  let { ok, note, output } = await run(stage);
  const second = !ok && note === undefined ? stage.again?.() : undefined;
  if (second) {
    console.log(`> ${name}: what failed runs once more, alone`);
    ({ ok, note } = await run(second));
  }
  if (!ok && !stage.live) console.log(`--- ${name} failed ---\n${output}`);
  const counts = stage.count?.(ok) ?? { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
  results.push({ name, seconds: (Date.now() - started) / 1000, note, ...counts });
}

/** `live` stages print as they go, the others only when they fail. */
function run({ command: [file, ...args], minutes, live }) {
  return new Promise((done) => {
    const env = { ...process.env, PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}` };
    const child = spawn(file, args, { cwd: root, env, detached: true, stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'] });
    children.add(child);
    const output = [];
    let note;
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => output.push(data));
    const timer = setTimeout(() => {
      note = `ended after ${minutes} minutes`;
      killGroup(child);
    }, minutes * 60_000);
    const end = (ok) => {
      clearTimeout(timer);
      children.delete(child);
      done({ ok, note, output: Buffer.concat(output).toString() });
    };
    child.once('error', (error) => {
      note = error.message;
      end(false);
    });
    child.once('exit', (code) => end(code === 0));
  });
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // already gone
  }
}

function vitest(report, ...more) {
  return [node, bin('vitest'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${join(reports, report)}`, ...more];
}

/** `file > test` of each that failed; a file that cannot even be loaded has no tests, but it failed. */
function failedTests({ testResults }) {
  return testResults.flatMap(({ name, status, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => `${file} > ${fullName}`);
    return status === 'failed' && failed.length === 0 ? [file] : failed;
  });
}

/**
 * The files of a few failed tests, one after the other on a machine with nothing else to do: many start servers and look at the clock.
 * What passes there counts as passed and is named; what fails twice has failed.
 */
function suitesAgain() {
  const first = readReport('suites');
  const files = first && [...new Set(failedTests(first).map((test) => test.split(' > ')[0]))];
  if (!files || files.length === 0 || files.length > 3) return undefined;
  return { command: vitest('suites-again', '--maxWorkers=1', ...files), minutes: 3, live: true };
}

function countSuites(ok) {
  const report = readReport('suites');
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const first = failedTests(report);
  const again = readReport('suites-again');
  const failed = again ? failedTests(again) : first;
  failures.push(...failed.map((test) => `FAILED ${test}`), ...first.filter((test) => !failed.includes(test)).map((test) => `passed only when run again: ${test}`));
  const mended = again ? Math.max(0, first.length - failed.length) : 0;
  return { passed: report.numPassedTests + mended, failed: failed.length || (ok ? 0 : 1), skipped: report.numPendingTests + report.numTodoTests };
}

function countWire(ok) {
  const report = readReport('wire');
  return report ? { passed: report.passed, failed: report.failed || (ok ? 0 : 1), skipped: report.skipped } : { passed: 0, failed: 1, skipped: 0 };
}

function readReport(name) {
  try {
    return JSON.parse(readFileSync(join(reports, name), 'utf8'));
  } catch {
    return undefined;
  }
}

function report() {
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  console.log('');
  for (const { name, seconds, passed, failed, skipped, note } of results) {
    console.log(`${failed ? 'FAILED' : 'ok    '} ${name.padEnd(8)} ${`${seconds.toFixed(1)} s`.padStart(8)}   ${line(passed, failed, skipped)}${note ? `   (${note})` : ''}`);
  }
  process.exitCode = sum('failed') ? 1 : 0;
  if (failures.length > 0) console.log(`\n${failures.join('\n')}`);
  console.log(`\n${line(sum('passed'), sum('failed'), sum('skipped'))}`);
}

function line(passed, failed, skipped) {
  return `${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`;
}
