// The loss test: messages from sidecar to broker to sidecar to app while each of them is killed outright, again and again.
//
//   node test/durability/loss.ts [broker…] [--messages 20000] [--kills 40] [--seed 1]      default: every broker whose server is installed
//
// Exit code 1 where a message that was acknowledged to the producer never reached the app, or where an order that is promised was broken.
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort, waitForPort } from '../harness/ports.ts';
import { type Started, start } from '../harness/process.ts';
import { missing } from '../harness/servers.ts';
import { type Sidecar, startSidecar } from '../harness/sidecar.ts';
import { type BrokerRow, brokers, type RunningBroker } from './brokers.ts';

export interface LossOptions {
  messages: number;
  /** How many kills in all, spread over the run; every victim gets its turn. */
  kills: number;
  /** Which random run it is. */
  seed: number;
  progress?: (line: string) => void;
}
export interface LossReport {
  broker: string;
  acknowledged: number;
  lost: string[];
  /** Deliveries beyond the first of each message. */
  duplicates: number;
  /** Messages that came before one its producer had sent earlier; judged where the broker promises order. */
  overtaken: number;
  kills: Record<string, number>;
  /** Publishes that were refused or cut off and sent again. */
  repeated: number;
  seconds: number;
}

const producers = 8;
/** So many acknowledged messages may be on their way: publishing waits for delivery, so that every kill meets both. */
const window = 400;
const drainMs = 90_000;

/** Share of the messages after which no kill begins; the rest waits for the last one, however fast the machine is. */
const lastKill = 0.95;

export async function measureLoss(row: BrokerRow, { messages, kills, seed, progress = () => {} }: LossOptions): Promise<LossReport> {
  const random = generator(seed);
  const started = Date.now();
  const broker = await row.start();
  const stops: (() => Promise<unknown>)[] = [() => broker.stop()];
  try {
    const received = collector();
    const app = await killable(() => startLossApp(broker, received.take), stops);
    const appPort = app.current().port;
    const receiver = await killable(() => sidecar(broker, 'receiver', [`--app-port=${appPort}`]), stops);
    const sender = await killable(() => sidecar(broker, 'sender', []), stops);

    // Groups and queues are there once a first message has come through.
    for (let i = 0; received.count('warm') === 0; i++) {
      if (i > 200) throw new Error(`nothing arrives:\n${receiver.current().log()}`);
      await publish(sender.current(), 'warm', 0);
      await sleep(100);
    }

    const acknowledged = new Set<string>();
    let repeated = 0;
    const produce = async (producer: string, share: number) => {
      for (let number = 0; number < share; number++) {
        while (acknowledged.size - received.distinct() > window || (begun < plan.length && acknowledged.size >= messages * lastKill)) await sleep(5);
        while (!(await publish(sender.current(), producer, number))) {
          repeated++;
          await sleep(20);
        }
        acknowledged.add(`${producer} ${number}`);
      }
    };
    const victims: Record<string, () => Promise<void>> = {
      sender: sender.killAndRestart, receiver: receiver.killAndRestart, app: app.killAndRestart,
      ...(broker.server === undefined ? {} : { broker: () => restartOf(broker.server as NonNullable<RunningBroker['server']>) }),
      // As when their machine goes. Only this loses what a sidecar acknowledges too early: what it had handed over before it died alone, the app still reads.
      both: async () => {
        await app.kill();
        await sleep(random() * 300);
        await receiver.kill();
        await app.restart();
        await receiver.restart();
      },
    };
    const killed: Record<string, number> = Object.fromEntries(Object.keys(victims).map((name) => [name, 0]));
    // Each in turn, at a random moment of its stretch of the run.
    const plan = Array.from({ length: kills }, (_, i) => ({ victim: Object.keys(victims)[i % Object.keys(victims).length] as string, at: ((i + random()) / kills) * messages * lastKill }));
    let begun = 0;
    let over = false;
    const havoc = async () => {
      for (const { victim, at } of plan) {
        while (acknowledged.size < at && !over) await sleep(2);
        if (over) return;
        await sleep(random() * 50);
        progress(`${row.name}: ${acknowledged.size} acknowledged, ${received.distinct()} delivered, ${received.duplicates()} times again: kill -9 ${victim}`);
        begun++;
        killed[victim] = (killed[victim] as number) + 1;
        await (victims[victim] as () => Promise<void>)();
      }
    };
    const share = Math.ceil(messages / producers);
    const destruction = havoc();
    await Promise.race([destruction.then(() => new Promise(() => undefined)), Promise.all(Array.from({ length: producers }, (_, p) => produce(`p${p}`, share)))]);
    over = true;
    await destruction;

    const outstanding = () => [...acknowledged].filter((one) => received.of(one) === 0);
    for (let last = -1, since = Date.now(); outstanding().length > 0 && Date.now() - since < drainMs; await sleep(50)) {
      if (received.distinct() !== last) [last, since] = [received.distinct(), Date.now()];
    }
    return {
      broker: row.name, acknowledged: acknowledged.size, lost: outstanding(), duplicates: received.duplicates(), overtaken: received.overtaken(), kills: killed, repeated,
      seconds: Math.round((Date.now() - started) / 100) / 10,
    };
  } finally {
    for (const stop of stops.reverse()) await stop().catch(() => undefined);
  }
}

async function publish(to: Sidecar, producer: string, number: number): Promise<boolean> {
  try {
    const response = await fetch(`${to.http}/v1.0/publish/bus/loss`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ producer, number }), signal: AbortSignal.timeout(30_000) });
    await response.arrayBuffer();
    return response.status === 204;
  } catch {
    return false; // killed, or on its way up
  }
}

function sidecar({ component, resources = {} }: RunningBroker, appId: string, flags: string[]): Promise<Sidecar> {
  const document = { apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name: 'bus' }, spec: { type: component.type, version: 'v1', metadata: Object.entries(component.metadata).map(([name, value]) => ({ name, value })) } };
  const all = { 'bus.yaml': document, ...resources };
  return startSidecar({ flags: [`--app-id=${appId}`, ...flags], resources: Object.fromEntries(Object.entries(all).map(([file, one]) => [file, JSON.stringify(one)])) });
}

let lossAppPort: Promise<number> | undefined;
async function startLossApp({ subscription = {} }: RunningBroker, take: (line: string) => void): Promise<Started & { port: number }> {
  const port = await (lossAppPort ??= freePort());
  const list = JSON.stringify([{ pubsubname: 'bus', topic: 'loss', route: '/events', metadata: subscription }]);
  const app = start([process.execPath, resolve(import.meta.dirname, 'loss-app.mjs'), String(port), list]);
  let rest = '';
  app.child.stdout?.on('data', (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  });
  await waitForPort(port);
  return { ...app, port };
}

/** Something that runs, can be killed and comes back. */
async function killable<T extends { stop(signal?: NodeJS.Signals): Promise<unknown> }>(launch: () => Promise<T>, stops: (() => Promise<unknown>)[]) {
  let current = await launch();
  const kill = () => current.stop('SIGKILL');
  const restart = async () => {
    current = await launch();
  };
  stops.push(kill);
  return {
    current: () => current,
    kill, restart,
    killAndRestart: async () => {
      await kill();
      await restart();
    },
  };
}

async function restartOf(server: NonNullable<RunningBroker['server']>): Promise<void> {
  await server.kill();
  await server.restart();
}

/** What the app has written down. */
function collector() {
  const times = new Map<string, number>();
  const newest = new Map<string, number>();
  let distinct = 0, duplicates = 0, overtaken = 0;
  return {
    take: (line: string) => {
      const before = times.get(line) ?? 0;
      times.set(line, before + 1);
      const [producer = '', text = ''] = line.split(' ');
      if (producer === 'warm') return;
      if (before > 0) {
        duplicates++;
        return;
      }
      distinct++;
      const number = Number(text), last = newest.get(producer) ?? -1;
      if (number < last) overtaken++;
      else newest.set(producer, number);
    },
    count: (producer: string) => times.get(`${producer} 0`) ?? 0,
    of: (message: string) => times.get(message) ?? 0,
    distinct: () => distinct,
    duplicates: () => duplicates,
    overtaken: () => overtaken,
  };
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { messages: { type: 'string', default: '20000' }, kills: { type: 'string', default: '40' }, seed: { type: 'string', default: '1' } } });
  const wanted = brokers.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  let failed = wanted.length === 0;
  for (const row of wanted) {
    const absent = row.servers.flatMap((name) => missing(name) ?? []).join('; ');
    if (absent !== '') {
      console.log(`${row.name}: not run: ${absent}`);
      continue;
    }
    const report = await measureLoss(row, { messages: Number(values.messages), kills: Number(values.kills), seed: Number(values.seed), progress: (line) => console.log(line) });
    const wrong = report.lost.length > 0 || (row.ordered && report.overtaken > 0);
    failed ||= wrong;
    console.log(`${row.name}: ${report.acknowledged} acknowledged, ${report.lost.length} lost, ${report.duplicates} duplicates, ${report.overtaken} overtaken${row.ordered ? '' : ' (no order promised)'}, ${report.repeated} publishes repeated, kills ${JSON.stringify(report.kills)}, ${report.seconds} s${wrong ? ' FAILED' : ''}`);
    if (report.lost.length > 0) console.log(`lost: ${report.lost.slice(0, 20).join(', ')}`);
  }
  process.exit(failed ? 1 : 0);
}
