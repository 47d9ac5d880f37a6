// Real processes of the four hosts on one build, and what each of them cannot do: data, so that no test skips in silence.
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../harness/ports.ts';
import { start } from '../harness/process.ts';
import { startSidecar } from '../harness/sidecar.ts';

const root = resolve(import.meta.dirname, '../..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);
export const dist = join(root, 'dist');

export type HostName = 'node' | 'bun' | 'deno' | 'workerd';

/** false: the host cannot, and a test says what happens instead. */
export const capabilities = {
  node: { background: true, rawTarget: true, oddVerbs: false, h2c: true },
  bun: { background: true, rawTarget: false, oddVerbs: false, h2c: false },
  deno: { background: true, rawTarget: true, oddVerbs: true, h2c: true },
  workerd: { background: false, rawTarget: true, oddVerbs: false, h2c: false },
} as const satisfies Record<HostName, {
  /** Work outlives a request: messages reach the app. */
  background: boolean;
  /** The request target arrives as it was sent; else `%2e%2e` has become a parent before Dapr's rules see it. */
  rawTarget: boolean;
  /** Methods that are in no list are taken. */
  oddVerbs: boolean;
  /** HTTP/2 without TLS, by prior knowledge. */
  h2c: boolean;
}>;

export interface RunningHost {
  /** `http://127.0.0.1:port` of the HTTP API. */
  http: string;
  port: number;
  log(): string;
  stop(): Promise<unknown>;
}
export interface HostOptions {
  /** Folder of the build, default dist. */
  build?: string;
  resources: string;
  /** Environment (Workers: text variables). */
  env?: Record<string, string>;
  appPort?: number;
  maxBodySize?: string;
}

export function startHost(name: HostName, options: HostOptions): Promise<RunningHost> {
  return name === 'workerd' ? startWorkerd(options) : startProcess(name, options);
}

async function startProcess(name: Exclude<HostName, 'workerd'>, { build = dist, resources, env = {}, appPort, maxBodySize }: HostOptions): Promise<RunningHost> {
  const sidecar = await startSidecar({
    command: [bin(name), ...(name === 'deno' ? ['run', '-A'] : []), join(build, `${name}.js`)],
    resources: { 'resources.yaml': resources },
    env,
    flags: [...(appPort === undefined ? [] : [`--app-port=${appPort}`]), ...(maxBodySize === undefined ? [] : [`--max-body-size=${maxBodySize}`])],
    waitFor: 'ready',
  });
  return { http: sidecar.http, port: sidecar.ports.http, log: sidecar.log, stop: () => sidecar.stop() };
}

/** workerd itself, with the modules as `wrangler deploy` uploads them. */
async function startWorkerd({ build = dist, resources, env = {}, appPort, maxBodySize }: HostOptions): Promise<RunningHost> {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-workerd-'));
  const port = await freePort();
  cpSync(build, home, { recursive: true });
  const modules = ['worker.js', 'core.js', 'core-cel.js', ...readdirSync(join(home, 'worker')).sort().map((file) => `worker/${file}`)];
  const variables: Record<string, string> = {
    ...env, DAPR_APP_ID: 'test', DAPR_RESOURCES: resources,
    ...(appPort === undefined ? {} : { DAPR_APP_URL: `http://127.0.0.1:${appPort}` }), ...(maxBodySize === undefined ? {} : { DAPR_MAX_BODY_SIZE: maxBodySize }),
  };
  const rows = (list: string[]) => list.join(',\n    ');
  const quoted = (text: string) => JSON.stringify(text);
  writeFileSync(join(home, 'config.capnp'), `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .outrigger), (name = "internet", network = (allow = ["public", "private", "local"]))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
const outrigger :Workerd.Worker = (
  modules = [
    ${rows(modules.map((module) => `(name = ${quoted(module)}, esModule = embed ${quoted(module)})`))}
  ],
  bindings = [
    ${rows(Object.entries(variables).map(([key, value]) => `(name = ${quoted(key)}, text = ${quoted(value)})`))}
  ],
  compatibilityDate = "2026-04-01",
);
`);
  const started = start([bin('workerd'), 'serve', join(home, 'config.capnp')]);
  const http = `http://127.0.0.1:${port}`;
  const stop = async () => {
    await started.stop('SIGTERM');
    rmSync(home, { recursive: true, force: true });
  };
  for (const end = Date.now() + 20_000; ; await sleep(20)) {
    const status = await fetch(`${http}/v1.0/healthz`, { signal: AbortSignal.timeout(5000) }).then((response) => response.status, () => 0);
    if (status === 204) return { http, port, log: started.log, stop };
    if (started.over() || Date.now() > end) {
      const log = started.log();
      await stop();
      throw new Error(`workerd did not become ready (last status ${status}):\n${log}`);
    }
  }
}
