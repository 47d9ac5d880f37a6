// Performs one step of a scenario and gives back what was seen, in the form of a recording's `expect`.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { redisClient } from '../harness/resp.ts';
import { type Answer, exchange } from './exchange.ts';
import { at, byJson, logMessage, makeTidy, seenAnswer, seenReply, seenRequest, sortKeys, type Tidy } from './observe.ts';
import { doorOf, putFile, type Stage } from './play.ts';
import { fill, fillDeep, mapTexts, parseJson, type Step, type Vars } from './scenario.ts';

type Seen = Record<string, unknown>;

/** The parts of a step are done in this order, whatever their order in the file. */
export async function perform(step: Step, stage: Stage): Promise<Seen> {
  const { scenario, vars, apps } = stage;
  const tidy = makeTidy(vars, scenario);
  const sidecar = () => named(stage.sidecars, step.to ?? scenario.sidecars[0]?.id ?? '');
  const seen: Seen = {};
  if (step.stopApp) await named(apps, step.stopApp).stop();
  if (step.openApp) await named(apps, step.openApp).open();
  for (const [name, content] of Object.entries(step.write ?? {})) putFile(sidecar().home, name, content, vars);
  if (step.signalSidecar) sidecar().child.kill(step.signalSidecar);
  if (step.send) {
    Object.assign(seen, await sendRequest(step, stage, tidy));
    if (step.background) {
      if (step.sleepMs) await sleep(step.sleepMs);
      return seen;
    }
  }
  if (step.join) seen.answer = seenAnswer(await named(stage.waiting, step.join), scenario, tidy, step.sort);
  if (step.stop) seen.exit = await sidecar().stop('SIGINT');
  if (step.exit) {
    const patience = sidecar().spec.ready === 'exit' ? 1000 : 15_000; // the start has waited for that already
    seen.exit = await Promise.race([sidecar().exited, sleep(patience, 'still running', { ref: false })]);
  }
  if (step.redis) seen.redis = seenReply(await redis(vars, fillDeep(step.redis, vars)), tidy);
  if (step.stream) seen.stream = await readStream(step, vars, tidy);
  if (step.sqlite) {
    const text = await run('sqlite3', ['-json', '-cmd', '.timeout 5000', step.file === undefined ? `${vars.dir}/state.db` : fill(step.file, vars), fill(step.sqlite, vars)]);
    seen.sqlite = text ? mapTexts(JSON.parse(text) as unknown, tidy) : [];
  }
  if (step.psql) seen.psql = tidy(await run('psql', ['-h', '127.0.0.1', '-p', String(vars['postgres.port']), '-U', 'postgres', '-AtF', '|', '-c', fill(step.psql, vars)]));
  if (step.app !== undefined) seen.app = await takeRequests(step, stage, tidy);
  if (step.peak) seen.peak = named(apps, step.peak).peak();
  if (step.sleepMs) await sleep(step.sleepMs);
  if (step.log) {
    const wanted = new RegExp(step.log);
    seen.log = await within(5000, 50, () => wanted.test(sidecar().log()));
  }
  if (step.logLines) {
    const wanted = new RegExp(step.logLines);
    const lines = () => sidecar().log().split('\n').filter((line) => wanted.test(line));
    await within(5000, 50, () => lines().length >= (step.count ?? 1));
    const found = lines().map((line) => tidy(step.whole ? line : logMessage(line)));
    seen.logLines = step.unordered ? found.sort() : found;
  }
  if (step.read) seen.read = readText(fill(step.read, vars), step, tidy);
  return seen;
}

async function sendRequest(step: Step, stage: Stage, tidy: Tidy): Promise<Seen> {
  const { scenario, vars } = stage;
  const door = doorOf(step.to ?? scenario.sidecars[0]?.id ?? '', vars, step.at && fill(step.at, vars), step.port);
  const request = fillDeep(step.send as NonNullable<Step['send']>, vars);
  const once = () => exchange(door, request, step.timeoutMs);
  if (step.atOnce) {
    const answers = await Promise.all(Array.from({ length: step.atOnce }, once));
    return { statuses: answers.map(({ status }) => status).sort() };
  }
  if (step.background) {
    stage.waiting.set(step.background, once());
    return {};
  }
  let answer = await once();
  for (let i = 1; i < (step.times ?? 1); i++) answer = await once();
  const wantedText = step.untilText === undefined ? undefined : new RegExp(step.untilText);
  const asWanted = () => (step.until === undefined || answer.status === step.until) && (wantedText?.test(answer.body.toString()) ?? true);
  for (let i = 0; i < 100 && !asWanted(); i++) {
    await sleep(100);
    answer = await once();
  }
  for (const [name, from] of Object.entries(step.save ?? {})) vars[name] = saved(answer, from);
  return { answer: seenPart(answer, step, tidy) ?? seenAnswer(answer, scenario, tidy, step.sort) };
}

// where a step asks for some lines of the answer (metrics) or for a part of its JSON only
function seenPart(answer: Answer, step: Step, tidy: Tidy): object | undefined {
  const text = answer.body.toString();
  if (step.lines) {
    const wanted = new RegExp(step.lines);
    return { status: answer.status, lines: text.split('\n').filter((line) => wanted.test(line)).map(tidy).sort() };
  }
  const whole = step.pick ? parseJson(text) : undefined;
  if (!step.pick || whole === undefined) return undefined;
  const part = at(whole, step.pick) ?? null;
  if (step.sort && Array.isArray(part)) part.sort(byJson);
  return { status: answer.status, [step.pick]: mapTexts(part, tidy) };
}

// `from`: a path into the JSON answer, `header:name` (with ` ~ (expression)`: its first group), or `body:base64`
function saved(answer: Answer, from: string): Vars[string] {
  const [source = '', pattern = '(.*)'] = from.split(' ~ ');
  if (source === 'body:base64') return answer.body.toString('base64');
  if (!source.startsWith('header:')) return at(JSON.parse(answer.body.toString()), source) as Vars[string];
  return answer.headers.find(([name]) => name === source.slice(7))?.[1].match(new RegExp(pattern, 's'))?.[1];
}

async function takeRequests(step: Step, { apps, scenario }: Stage, tidy: Tidy): Promise<object[]> {
  const app = named(apps, step.app ?? '');
  await within(step.waitMs ?? 5000, 20, () => app.count() >= (step.requests ?? 1));
  await sleep(step.graceMs ?? 150); // what comes late shows what came too much
  const list = app.take().map((request) => seenRequest(request, scenario, tidy, step.sortHeaders));
  return step.unordered ? list.sort(byJson) : list;
}

async function redis(vars: Vars, words: string[]): Promise<unknown> {
  const client = redisClient(vars['redis.port'] as number);
  const reply = await client.command(words).catch((error: Error) => error);
  client.close();
  return reply;
}

// the entries of a Redis stream as objects, without their ids
async function readStream(step: Step, vars: Vars, tidy: Tidy): Promise<unknown> {
  const name = fill(step.stream ?? '', vars);
  const entries = await redis(vars, step.tail ? ['XREVRANGE', name, '+', '-', 'COUNT', String(step.tail)] : ['XRANGE', name, '-', '+']);
  if (!Array.isArray(entries)) return seenReply(entries, tidy);
  if (step.tail) entries.reverse();
  const list = (seenReply(entries, (text) => text) as [string, string[]][]).map(([, fields]) => mapTexts(sortKeys(Object.fromEntries(pairs(fields))), tidy));
  return step.unordered ? list.sort(byJson) : list;
}

const pairs = (flat: string[]) => flat.flatMap((name, i): [string, string][] => (i % 2 ? [] : [[name, flat[i + 1] ?? '']]));

function readText(file: string, step: Step, tidy: Tidy): unknown {
  if (!existsSync(file)) return null;
  const text = statSync(file).isFile() ? readFileSync(file, 'utf8') : '(no plain file)';
  if (!text || !step.lines) return tidy(text);
  const wanted = new RegExp(step.lines);
  return text.split('\n').filter((line) => wanted.test(line)).map((line) => tidy(step.whole ? line : logMessage(line)));
}

const run = async (program: string, args: string[]) => (await promisify(execFile)(program, args)).stdout.trim();

/** Looks every so often until it is so; false when it did not come true in time. */
async function within(ms: number, everyMs: number, isSo: () => boolean): Promise<boolean> {
  for (const end = Date.now() + ms; !isSo(); await sleep(everyMs)) if (Date.now() >= end) return false;
  return true;
}

function named<T>(map: Map<string, T>, name: string): T {
  const found = map.get(name);
  if (found === undefined) throw new Error(`the scenario has no ${name}`);
  return found;
}
