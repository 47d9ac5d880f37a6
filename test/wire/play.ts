// Plays one scenario: starts its servers, apps and sidecars in a folder of their own, performs the steps, ends everything.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../harness/ports.ts';
import { type Started, start } from '../harness/process.ts';
import { startMosquitto, startPostgres, startRabbitmq, startRedis } from '../harness/servers.ts';
import { type ScriptedApp, startScriptedApp } from './app.ts';
import { type Answer, type Door, exchange } from './exchange.ts';
import { type FileContent, fill, fillDeep, type Scenario, type SidecarSpec, type Vars } from './scenario.ts';
import { perform } from './step.ts';

/** What the steps of a running scenario work on. */
export type Stage = {
  scenario: Scenario;
  vars: Vars;
  apps: Map<string, ScriptedApp>;
  sidecars: Map<string, Started & { home: string; spec: SidecarSpec }>;
  /** Answers to requests that were sent in the background, by name. */
  waiting: Map<string, Promise<Answer>>;
};
/** `seen[i]` belongs to step i; shorter than the steps when `failure` says why it broke off. */
export type Played = { seen: object[]; failure?: string; logs: Record<string, string> };

type Stop = () => Promise<unknown>;

const servers: Record<string, () => Promise<{ port: number; http?: number; stop: Stop }>> = {
  redis: () => startRedis({ flags: ['--notify-keyspace-events', 'KEA'] }),
  // -F: nothing here has to survive a power cut
  postgres: () => startPostgres({ flags: ['-F'] }),
  mosquitto: startMosquitto,
  rabbitmq: () => startRabbitmq({ management: true }),
};
const portNames = ['http', 'grpc', 'internal', 'public', 'metrics', 'profile'];

/** `command` gets daprd's flags appended. Gives up after `limitMs`. */
export async function play(scenario: Scenario, command: string[], limitMs: number): Promise<Played> {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-wire-'));
  const stage: Stage = { scenario, vars: { dir }, apps: new Map(), sidecars: new Map(), waiting: new Map() };
  const stops: Stop[] = [];
  const played: Played = { seen: [], logs: {} };
  const limit = new AbortController();
  try {
    await Promise.race([
      run(stage, dir, command, stops, played.seen, limit.signal),
      sleep(limitMs, undefined, { signal: limit.signal }).then(() => Promise.reject(new Error(`not over after ${limitMs / 1000} s`))),
    ]);
  } catch (error) {
    played.failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    limit.abort();
    for (const stop of stops.reverse()) await stop().catch(() => {});
    rmSync(dir, { recursive: true, force: true });
  }
  for (const [id, sidecar] of stage.sidecars) played.logs[id] = sidecar.log();
  return played;
}

async function run(stage: Stage, dir: string, command: string[], stops: Stop[], seen: object[], over: AbortSignal): Promise<void> {
  const { scenario, vars, apps } = stage;
  for (const name of scenario.services ?? []) {
    const launch = servers[name];
    if (!launch) throw new Error(`no way to start ${name} here`);
    const server = await launch();
    stops.push(server.stop);
    vars[`${name}.port`] = server.port;
    if (server.http !== undefined) vars[`${name}.http`] = server.http;
  }
  for (const step of scenario.prepare ?? []) await perform(step, stage);
  const openApp = async (id: string, spec: Parameters<typeof startScriptedApp>[0]) => {
    const app = await startScriptedApp(spec);
    stops.push(app.stop);
    apps.set(id, app);
    vars[`${id}.app`] = app.port;
  };
  for (const [name, spec] of Object.entries(scenario.servers ?? {})) await openApp(name, spec);
  for (const { id, app } of scenario.sidecars) {
    if (app) await openApp(id, app);
    for (const name of portNames) vars[`${id}.${name}`] = await freePort();
  }
  for (const spec of scenario.sidecars) {
    over.throwIfAborted();
    const home = join(dir, spec.id);
    vars.home = home;
    writeFiles(spec, home, vars);
    const flags = [...(spec.bare ? [] : usualFlags(spec, home, vars)), ...fillDeep(spec.flags ?? [], vars)];
    const sidecar = start([...command, ...flags], { cwd: home, env: { ...foreignEnv(), ...fillDeep(spec.env ?? {}, vars) } });
    stops.push(() => sidecar.stop('SIGINT'));
    stage.sidecars.set(spec.id, { ...sidecar, home, spec });
    await untilReady(spec, sidecar, vars);
  }
  await sleep(scenario.settleMs ?? 100);
  for (const step of scenario.steps) {
    over.throwIfAborted();
    seen.push(await perform(step, stage));
  }
}

function writeFiles(spec: SidecarSpec, home: string, vars: Vars): void {
  mkdirSync(join(home, 'resources'), { recursive: true });
  for (const [i, resource] of (spec.resources ?? []).entries()) {
    const text = typeof resource === 'string' ? resource : JSON.stringify(resource, null, 2);
    writeFileSync(join(home, 'resources', `${String(i).padStart(2, '0')}.yaml`), fill(text, vars));
  }
  for (const [name, content] of Object.entries(spec.files ?? {})) putFile(home, name, content, vars);
  if (spec.config) writeFileSync(join(home, 'config.yaml'), fill(JSON.stringify(spec.config, null, 2), vars));
}

function usualFlags({ id, appId, config }: SidecarSpec, home: string, vars: Vars): string[] {
  return [
    `--app-id=${appId ?? id}`,
    `--dapr-http-port=${vars[`${id}.http`]}`,
    `--dapr-grpc-port=${vars[`${id}.grpc`]}`,
    `--dapr-internal-grpc-port=${vars[`${id}.internal`]}`,
    `--metrics-port=${vars[`${id}.metrics`]}`,
    '--dapr-listen-addresses=127.0.0.1',
    '--dapr-internal-grpc-listen-address=127.0.0.1',
    '--metrics-listen-address=127.0.0.1',
    `--resources-path=${join(home, 'resources')}`,
    '--log-level=info',
    '--dapr-graceful-shutdown-seconds=1',
    ...(vars[`${id}.app`] ? [`--app-port=${vars[`${id}.app`]}`] : []),
    ...(config ? [`--config=${join(home, 'config.yaml')}`] : []),
  ];
}

// Variables of whoever runs this that a sidecar would read.
const foreignEnv = () =>
  Object.fromEntries(Object.keys(process.env).filter((name) => /^(DAPR_|APP_API_TOKEN$|NAMESPACE$|OTEL_)/.test(name)).map((name) => [name, undefined]));

// Longer than any recorded start takes on a busy machine; each one that hangs costs the whole run this much.
const startMs = 10_000;

async function untilReady(spec: SidecarSpec, sidecar: Started, vars: Vars): Promise<void> {
  if (spec.ready === 'exit') return void (await Promise.race([sidecar.exited, sleep(startMs, undefined, { ref: false })]));
  const wanted = spec.ready ?? 204;
  const door = doorOf(spec.id, vars, spec.readyAt && fill(spec.readyAt, vars));
  for (const end = Date.now() + startMs; Date.now() < end && !sidecar.over(); await sleep(20)) {
    const { status } = await exchange(door, { method: 'GET', target: '/v1.0/healthz' }, 2000);
    if (status === wanted || (wanted === 'any' && status > 0)) return;
  }
}

/** One of a sidecar's ports by its name, that port on another address, or a Unix socket by its path. */
export function doorOf(id: string, vars: Vars, at?: string, name = 'http'): Door {
  if (at?.startsWith('/')) return { path: at };
  const port = (which: string) => vars[`${id}.${which}`] as number;
  if (at === undefined) return port(name);
  return port(at) ?? { host: at, port: port(name) };
}

/** null removes the file; a text or an object (as JSON) arrives in one piece, by a rename. */
export function putFile(home: string, name: string, content: FileContent, vars: Vars): void {
  const file = join(home, name);
  const link = typeof content === 'object' ? content?.symlink : undefined;
  if (content === null || link !== undefined) rmSync(file, { recursive: true, force: true });
  if (content === null) return;
  mkdirSync(dirname(file), { recursive: true });
  if (link !== undefined) {
    symlinkSync(fill(link, vars), file);
    return;
  }
  const whole = join(home, '.new');
  writeFileSync(whole, fill(typeof content === 'string' ? content : JSON.stringify(content, null, 2), vars));
  renameSync(whole, file);
}
