// The sidecar as a process: listeners and outbound HTTP stay, one runtime follows another behind them, and a stop goes in order.
import type { Outrigger } from '../../app/create-app.ts';
import type { Handover } from '../../app/handover.ts';
import type { Manifest } from '../../blocks/components/definition.ts';
import type { NameResolverManifest } from '../../blocks/invoke/port.ts';
import { formatDuration } from '../../core/duration.ts';
import { textOf } from '../../core/errors.ts';
import type { FilesPort, Host } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import { createGates } from './gate.ts';
import { createListeners, type Listeners } from './listeners.ts';
import { hostAddress, stablePort } from './network.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';
import { createRuntime, type Input, readInput, type Runtime } from './runtime.ts';

export interface SidecarContext {
  platform: Platform;
  manifest: Manifest;
  nameResolvers: NameResolverManifest;
  log: Logger;
  /** Aborted when the sidecar is to stop; with reason `withoutBlocking` without the block phase (the shutdown API). */
  stop: AbortSignal;
  restarts: Restarts;
  /** POST /v1.0/shutdown. */
  onShutdown(force: boolean): void;
  /** Resources have changed in a way that only a restart inside the process can apply. */
  onRestart(): void;
  makeHost(options: { http: Host['http']; address: string }): Host & { files: FilesPort };
  /** Called when the API listens (components may still be loading), and again after a restart. */
  onListening?(app: Outrigger): void;
  /** Called when everything is ready. */
  onReady?(app: Outrigger): void;
}

/** The grace period ended before everything was closed; the process has to end with 1. */
export class GraceExceeded extends Error {
  constructor() {
    super('Graceful shutdown timeout exceeded, forcing shutdown'); // Dapr's words, tools look for them
  }
}

/** Reason of `stop` that leaves out the block phase. */
export const withoutBlocking = 'without blocking';

/** Calls in hand have this long in any restart. After it new calls no longer wait for invocations among them, which go on beside the new run. */
const patienceMs = 1000;
/** Components that take longer to close than this and what is left of the grace period are left to themselves. */
const closingMs = 1000;
/** For the last answers of a sidecar that cannot go on. */
const lastAnswersMs = 200;

/** Requests for a restart inside the process: those that come before it begins are one. */
export interface Restarts {
  ask(): void;
  /** Resolves when one is asked for and has not begun. */
  asked(): Promise<void>;
  /** Everything is read now: who asks later asks for another one. */
  begin(): void;
}

export function createRestarts(): Restarts {
  let ask = () => {};
  let asked = Promise.resolve();
  const begin = () => { asked = new Promise((resolve) => { ask = resolve; }); };
  begin();
  return { ask: () => ask(), asked: () => asked, begin };
}

/** Runs until `stop` is aborted and everything is closed. Rejects with the reason the sidecar cannot run. */
export async function runSidecar(launch: Launch, context: SidecarContext): Promise<void> {
  const { log, stop, restarts } = context;
  for (const warning of launch.warnings) log.warn(warning);
  const { settings, host, close } = await groundOf(launch, context);
  const gates = createGates();
  const listeners = createListeners(launch, settings.internalPort, gates, context);
  const create = (input: Input, handover?: Handover): Runtime => {
    log.info(`${settings.mode} mode configured`);
    log.info(`app id: ${settings.appId}`);
    sayWhatIsMissing(launch, log);
    const { manifest, nameResolvers, onShutdown, onRestart } = context;
    return createRuntime(input, { launch, settings, host, manifest, nameResolvers, log, handover, stop, onShutdown, onRestart, onReady: (app) => context.onReady?.(app) });
  };
  let runtime = create(await readInput(launch, host.files, log));
  let calls = gates.to(runtime.app);
  const closingFailed = (error: unknown) => log.error(`error closing what was there before the restart: ${textOf(error)}`);
  /** Close runs that were replaced, which happens as soon as the calls begun in them have ended. */
  const retired = new Set<() => Promise<void>>();
  const retire = (app: Outrigger): void => {
    let closing: Promise<void> | undefined;
    const closeOnce = () => {
      closing ??= app.stop().catch(closingFailed).finally(() => retired.delete(closeOnce));
      return closing;
    };
    retired.add(closeOnce);
    void calls.over().then(closeOnce);
  };
  const stopped = aborted(stop);
  let hasBlocked = false;
  let refusal: { reason: unknown } | undefined;

  /** Resolves when the graceful shutdown time is over, or with the signal. */
  const overtime = (signal: AbortSignal) => (launch.gracefulShutdownMs > 0 ? pause(launch.gracefulShutdownMs, signal) : new Promise<void>(() => {}));
  /** What a restart waits for, which a stop or a failure of the old run ends. */
  const until = (...ends: Promise<unknown>[]) => Promise.race([stopped, runtime.failed, ...ends]);

  /** What the next run is made of, read when the old one is in a state to be replaced; undefined: a stop came first, or nothing can run with what there is. */
  const prepare = async (): Promise<Input | undefined> => {
    const { app, settle } = runtime;
    const done = new AbortController();
    // calls that wait for components get them, whoever asks for the next restart meanwhile
    await until(app.opened);
    await until(settle(), overtime(done.signal));
    done.abort();
    if (!stop.aborted && launch.blockShutdownMs !== undefined) {
      await block(app, launch.blockShutdownMs, log);
      hasBlocked = true;
    }
    if (stop.aborted) return undefined;
    restarts.begin();
    try {
      return await readInput(launch, host.files, log);
    } catch (reason) {
      refusal = { reason };
      return undefined;
    }
  };
  /** Puts a run made of this in the place of the old one; false: a stop came first, and the old one has all calls. */
  const replace = async (input: Input): Promise<boolean> => {
    const { app, end } = runtime;
    const done = new AbortController();
    let isLate = false;
    const grace = overtime(done.signal).then(() => { isLate = !done.signal.aborted; });
    log.info('Dapr is shutting down');
    await until(app.stopInbound(), grace);
    gates.hold();
    await until(calls.over(), pause(patienceMs, done.signal).then(() => Promise.race([calls.over(app.lasting), grace])));
    if (stop.aborted) {
      input.watch?.close();
      calls = gates.to(app);
      done.abort();
      return false;
    }
    if (isLate) log.warn('Restarting although the graceful shutdown time is over for calls or messages in hand');
    const next = create(input, app.handover(input.configuration));
    end();
    tellComponents(app, log);
    await Promise.race([app.release(grace).catch(closingFailed), grace.then(() => pause(closingMs, done.signal))]);
    done.abort();
    log.info('Dapr runtime stopped');
    retire(app);
    listensOn(next.app)();
    runtime = next;
    calls = gates.to(next.app);
    hasBlocked = false;
    return true;
  };
  const restart = async (): Promise<boolean> => {
    const input = await prepare();
    return input !== undefined && replace(input);
  };

  try {
    const listens = listensOn(runtime.app);
    await listeners.open();
    listens();
    log.info(`The request body size parameter is: ${settings.maxBodyBytes} bytes`);
    do {
      context.onListening?.(runtime.app);
      runtime.start();
      await Promise.race([stopped, runtime.failed, restarts.asked()]);
    } while (!stop.aborted && (await restart()));
    if (launch.blockShutdownMs !== undefined && !hasBlocked && stop.reason !== withoutBlocking) await block(runtime.app, launch.blockShutdownMs, log);
  } catch (error) {
    runtime.end();
    await Promise.race([listeners.close(), pause(lastAnswersMs, stop)]);
    listeners.destroy();
    await runtime.app.stop();
    throw error;
  }
  runtime.end();
  await closeAll(runtime.app, listeners, retired, launch, log).catch((error: unknown) => { throw refusal?.reason ?? error; });
  await close();
  if (refusal !== undefined) throw refusal.reason;
}

/** What every run stands on: settings with the internal port, the environment, the host with its outbound HTTP. */
async function groundOf(launch: Launch, { platform, log, makeHost }: SidecarContext) {
  const internalPort = launch.internalPort ?? (await stablePort(launch.settings.appId));
  const address = (await hostAddress(process.env)) ?? '';
  if (address === '') log.warn('failed to get host address, env variable HOST_ADDRESS will not be set');
  setEnvironment(launch, internalPort, address);
  const http = platform.createHttp({ maxHeaderBytes: launch.maxHeaderBytes });
  // a sidecar that others reach only on this machine says so to them
  const advertised = ['127.0.0.1', 'localhost', '[::1]'].includes(launch.internalAddress) ? launch.internalAddress : address;
  return {
    settings: { ...launch.settings, internalPort },
    host: makeHost({ http, address: advertised }),
    close: async () => {
      await http.close?.();
    },
  };
}

/** Two of what `/v1.0/healthz` waits for; the function returned says that they listen. */
function listensOn({ health }: Outrigger): () => void {
  const internal = health.target('grpc-internal-server');
  const metrics = health.target('metrics-exporter');
  return () => {
    internal();
    metrics();
  };
}

/** Goes on answering calls, without taking messages, until the time is over or the app is unhealthy. */
async function block(app: Outrigger, ms: number, log: Logger): Promise<void> {
  log.info(`Blocking graceful shutdown for ${formatDuration(ms)} or until app reports unhealthy...`);
  await app.stopInbound();
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<string>((done) => {
    timer = setTimeout(() => done('Block shutdown period expired, entering shutdown...'), ms);
  });
  log.info(await Promise.race([expired, app.appUnhealthy().then(() => 'App reported unhealthy, entering shutdown...')]));
  clearTimeout(timer);
}

/** Messages first, then the calls in hand, then the components; all within the grace period. `retired`: close earlier runs. */
async function closeAll(app: Outrigger, listeners: Listeners, retired: ReadonlySet<() => Promise<void>>, launch: Launch, log: Logger): Promise<void> {
  log.info('Dapr is shutting down');
  let timer: NodeJS.Timeout | undefined;
  const grace = new Promise<never>((_, fail) => {
    if (launch.gracefulShutdownMs > 0) timer = setTimeout(() => fail(new GraceExceeded()), launch.gracefulShutdownMs);
  });
  const work = async () => {
    const closed = listeners.close();
    await app.stopInbound();
    await closed;
    tellComponents(app, log);
    await Promise.all([app.stop(), ...[...retired].map((close) => close())]);
  };
  try {
    await Promise.race([work(), grace]);
  } finally {
    clearTimeout(timer);
  }
  log.info('Dapr runtime stopped');
}

const tellComponents = ({ components }: Outrigger, log: Logger): void => {
  for (const { name, type, version } of components.all()) log.info(`Shutting down component ${name} (${type}/${version})`);
};

/** Flags that are taken without effect in this release, so that nobody waits for what will not come. */
function sayWhatIsMissing(launch: Launch, log: Logger): void {
  log.info(`The gRPC API is not built yet: port ${launch.grpcPort} stays closed`);
  if (launch.settings.placementConfigured || launch.schedulerAddresses.length > 0) {
    log.info('Placement and scheduler services are not used: the sidecar is ready without them, and actors, jobs and workflows are not built yet');
  }
}

/** What daprd sets in its own process, for components to read. */
function setEnvironment({ settings, grpcPort, metricsPort, profilePort }: Launch, internalPort: number, address: string): void {
  const variables: Record<string, string | number> = {
    APP_ID: settings.appId, APP_PORT: settings.app.port, HOST_ADDRESS: address, DAPR_PORT: internalPort,
    DAPR_GRPC_PORT: grpcPort, DAPR_HTTP_PORT: settings.httpPort, DAPR_METRICS_PORT: metricsPort, DAPR_PROFILE_PORT: profilePort,
  };
  for (const [name, value] of Object.entries(variables)) process.env[name] = String(value);
}

const aborted = (signal: AbortSignal) => new Promise<void>((done) => (signal.aborted ? done() : signal.addEventListener('abort', () => done(), { once: true })));
