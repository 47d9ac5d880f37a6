// `outrigger run -- command`: the app and its sidecar together, as `dapr run` starts them, ending together.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Outrigger } from '../../app/create-app.ts';
import { daprdFlags } from './daprd-flags.ts';
import { prepare } from './daprd.ts';
import { type Parsed, parseFlags, usage } from './flag-set.ts';
import { canListen, freePort } from './network.ts';
import type { Launch } from './options.ts';
import { readSizes } from './options.ts';
import { stderr, stdout } from './output.ts';
import type { Platform } from './platform.ts';
import { endedBySigterm, type RunningApp, startApp } from './run-app.ts';
import { appEnvironment, daprdArguments, portFlags, runFlags, type RunFlags } from './run-flags.ts';
import { serve } from './serve.ts';
import type { Signals } from './signals.ts';

/** How long the app gets between SIGTERM and SIGKILL, as in `dapr run`. */
const appPatienceMs = 5000;

/** Resolves with the app's exit code; 0 where a signal ended both in good order, 1 where the sidecar failed. */
export async function run(argv: readonly string[], platform: Platform): Promise<number> {
  const flags = parseFlags(runFlags, argv, { interspersed: false });
  for (const notice of flags.notices) stderr(`${notice}\n`);
  if (flags.help) {
    stdout(`outrigger run [flags] [--] command [arguments]\n\n${usage('outrigger run', runFlags)}`);
    return 0;
  }
  if (!flags.problem && flags.values['run-file'] !== '') return (await import('./run-apps.ts')).runApps(flags.values['run-file'], platform);
  const refused = flags.problem ? [flags.problem.message, ...(flags.problem.hint ? [flags.problem.hint] : [])].join('\n') : await conflict(flags);
  if (refused !== undefined) {
    stderr(`${refused}\n`);
    return 1;
  }

  const appId = flags.values['app-id'] || madeUpName();
  const ports = Object.fromEntries(await Promise.all(portFlags.map(async (name) => [name, flags.values[name] > 0 ? flags.values[name] : await freePort()]))) as Record<(typeof portFlags)[number], number>;
  const env = { ...process.env, ...appEnvironment(flags, { appId, ports }) };
  const sidecarFlags = parseFlags(daprdFlags, daprdArguments(flags, { appId, ports, folders: usualFolder(), config: usualConfig() }));
  const sizes = readSizes(sidecarFlags);
  const wrong = sidecarFlags.problem?.message ?? ('refusal' in sizes ? sizes.refusal : undefined);
  if (wrong !== undefined) {
    stderr(`${wrong}\n`);
    return 1;
  }
  const options = await prepare(sidecarFlags, platform);
  if (typeof options === 'number') return options;

  stdout(`Starting ${appId}: HTTP API on port ${ports['dapr-http-port']}\n`);
  const command = flags.rest;
  let app: RunningApp | undefined;
  let stopped = false;
  const stopSidecar = new AbortController();
  const signals: Signals = { stop: stopSidecar.signal, onReload: () => {} };
  const start = () => {
    if (app || stopped || command.length === 0) return;
    app = startApp(command, env);
    // the app's end is the end of both
    void app.ended.then(() => stopSidecar.abort());
  };
  const stop = async () => {
    if (stopped) {
      app?.kill();
      process.exit(1);
    }
    stopped = true;
    // the app first: it may need its sidecar to end well
    await app?.stop(appPatienceMs);
    stopSidecar.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  process.on('SIGHUP', stop); // the terminal was closed
  process.on('exit', () => app?.kill());

  if (flags.values['app-port'] > 0) start();
  if (command.length === 0) stdout('No command given: the sidecar runs alone\n');
  const sidecarCode = await serve(options, {
    signals,
    onListening: (sidecar: Outrigger, { settings }: Launch) => {
      start();
      void introduce(sidecar, settings.apiToken, { cliPID: String(process.pid), ...(app?.pid ? { appPID: String(app.pid), appCommand: command.join(' ') } : {}) });
    },
  });
  if (sidecarCode !== 0) {
    await app?.stop(appPatienceMs);
    return 1;
  }
  // the callbacks above may have started it, which the compiler cannot see
  const started = app as RunningApp | undefined;
  if (!started) return 0;
  // after POST /v1.0/shutdown the app is still there
  const askedToEnd = stopped || !(await settled(started.ended));
  await started.stop(appPatienceMs);
  const code = await started.ended;
  if (askedToEnd && code === endedBySigterm) return 0;
  if (code !== 0) stderr(`The app ended with ${code}\n`);
  return code;
}

/** Tells the sidecar's metadata who started it, for `dapr list` and `dapr stop`. */
async function introduce(sidecar: Outrigger, apiToken: string, facts: Record<string, string>): Promise<void> {
  for (const [key, body] of Object.entries(facts)) {
    await sidecar.fetch(new Request(`http://localhost/v1.0/metadata/${key}`, { method: 'PUT', body, headers: apiToken === '' ? {} : { 'dapr-api-token': apiToken } }));
  }
}

/** What makes a start pointless, in one sentence. */
async function conflict({ values }: Parsed<RunFlags>): Promise<string | undefined> {
  if (values.kubernetes) return 'Kubernetes (-k) is not built yet';
  if (values['unix-domain-socket'] !== '') return undefined;
  for (const name of portFlags) {
    if (values[name] > 0 && !(await canListen(values[name]))) return `port ${values[name]} (--${name}) is in use`;
  }
  return undefined;
}

/** Where `dapr init` left components and a Configuration; without them the embedded components are used. */
const daprFolder = () => join(process.env.DAPR_RUNTIME_PATH || homedir(), '.dapr');
const usualFolder = (): string[] => [join(daprFolder(), 'components')].filter((folder) => existsSync(folder));
const usualConfig = (): string => [join(daprFolder(), 'config.yaml')].find((file) => existsSync(file)) ?? '';

const settled = (promise: Promise<unknown>) => Promise.race([promise.then(() => true), new Promise<boolean>((done) => setTimeout(() => done(false), 0))]);

/** Two words and a number, e.g. `calm-harbour-417`. */
function madeUpName(): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
  return `${pick(['calm', 'brisk', 'lee', 'salty', 'steady', 'swift', 'windward', 'bright'])}-${pick(['anchor', 'bay', 'current', 'harbour', 'hull', 'lagoon', 'reef', 'sail'])}-${100 + Math.floor(Math.random() * 900)}`;
}
