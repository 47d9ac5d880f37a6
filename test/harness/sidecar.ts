// Starts the built sidecar as its own process, with free ports and a folder of its own for resources.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './ports.ts';
import { start } from './process.ts';

export { startApp } from './app.ts';

export type Runtime = 'node' | 'bun' | 'deno';
export type Sidecar = Awaited<ReturnType<typeof startSidecar>>;
export type SidecarOptions = {
  /** Default: OUTRIGGER_RUNTIME, else node. */
  runtime?: Runtime;
  /** Another command than the built sidecar. */
  command?: string[];
  /** daprd flags; they come last, so they win over the harness's own (ports, loopback addresses, a short shutdown). */
  flags?: string[];
  /** File name → text, written into the resources folder. */
  resources?: Record<string, string>;
  /** Text of a Configuration document. */
  config?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Which health endpoint to wait for: `outbound` (default) does not need the app, `ready` does. */
  waitFor?: 'outbound' | 'ready' | 'none';
};

const root = resolve(import.meta.dirname, '../..');
/** A runtime the project pins. */
export const binary = (name: string) => join(root, 'node_modules/.bin', name);
const commands: Record<Runtime, string[]> = {
  node: [binary('node'), join(root, 'dist/node.js')],
  bun: [binary('bun'), join(root, 'dist/bun.js')],
  deno: [binary('deno'), 'run', '-A', join(root, 'dist/deno.js')],
};

/** What starts the sidecar: OUTRIGGER_COMMAND (words separated by blanks), else the built one for that runtime. */
export function sidecarCommand(runtime = (process.env.OUTRIGGER_RUNTIME ?? 'node') as Runtime): string[] {
  return process.env.OUTRIGGER_COMMAND?.split(' ') ?? commands[runtime];
}

export async function startSidecar(options: SidecarOptions = {}) {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-sidecar-'));
  const resources = join(home, 'resources');
  mkdirSync(resources);
  for (const [name, text] of Object.entries(options.resources ?? {})) writeFileSync(join(resources, name), text);
  if (options.config !== undefined) writeFileSync(join(home, 'config.yaml'), options.config);
  const ports = { http: await freePort(), grpc: await freePort(), internal: await freePort(), metrics: await freePort() };
  const started = start(
    [
      ...(options.command ?? sidecarCommand(options.runtime)),
      '--app-id=test',
      `--dapr-http-port=${ports.http}`,
      `--dapr-grpc-port=${ports.grpc}`,
      `--dapr-internal-grpc-port=${ports.internal}`,
      `--metrics-port=${ports.metrics}`,
      '--dapr-listen-addresses=127.0.0.1',
      '--dapr-internal-grpc-listen-address=127.0.0.1',
      '--metrics-listen-address=127.0.0.1',
      `--resources-path=${resources}`,
      '--dapr-graceful-shutdown-seconds=1',
      ...(options.config === undefined ? [] : [`--config=${join(home, 'config.yaml')}`]),
      ...(options.flags ?? []),
    ],
    { cwd: options.cwd ?? home, env: options.env ?? {} },
  );
  const sidecar = {
    http: `http://127.0.0.1:${ports.http}`,
    ports,
    /** Its folder: `resources/` and `config.yaml` are in it. */
    home,
    child: started.child,
    exited: started.exited,
    log: started.log,
    /** Ends it (SIGINT as an operator would), waits, removes its folder. */
    async stop(signal: NodeJS.Signals = 'SIGINT') {
      const exit = await started.stop(signal);
      rmSync(home, { recursive: true, force: true });
      return exit;
    },
  };
  const waitFor = options.waitFor ?? 'outbound';
  if (waitFor !== 'none') {
    const health = `${sidecar.http}/v1.0/healthz${waitFor === 'outbound' ? '/outbound' : ''}`;
    for (const end = Date.now() + 20_000; !(await answers204(health)); await sleep(15)) {
      if (started.over() || Date.now() > end) {
        const log = started.log();
        await sidecar.stop('SIGKILL');
        throw new Error(`the sidecar did not become ready (${waitFor}):\n${log}`);
      }
    }
  }
  return sidecar;
}

const answers204 = async (url: string) => {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).status === 204;
  } catch {
    return false;
  }
};
