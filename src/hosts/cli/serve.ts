// Runs the sidecar until it is told to stop, restarts it inside the process after each SIGHUP, and turns the end into an exit code.
import { manifest, nameResolvers } from '../../adapters/manifest.ts';
import type { Outrigger } from '../../app/create-app.ts';
import { textOf } from '../../core/errors.ts';
import type { LogLevel, Logger } from '../../core/log.ts';
import { createNodeHost } from '../node/host.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';
import { createRestarts, GraceExceeded, runSidecar, withoutBlocking } from './sidecar.ts';
import { type Signals, watchSignals } from './signals.ts';
import { daprVersion } from './version.ts';

export interface ServeOptions {
  /** Reads flags and environment; a refusal ends the process with 1. */
  readLaunch(): Launch | { refusal: string };
  log: Logger;
  level: LogLevel;
  write(line: string): void;
  platform: Platform;
}

export interface ServeHooks {
  /** Default: the signals of this process. */
  signals?: Signals;
  /** The API listens, components may still be loading. Called again after a restart. */
  onListening?(app: Outrigger, launch: Launch): void;
  onReady?(app: Outrigger, launch: Launch): void;
}

/** Resolves with 0 after a clean stop and with 1 after a fatal line. */
export async function serve({ readLaunch, log, level, write, platform }: ServeOptions, hooks: ServeHooks = {}): Promise<number> {
  const signals = hooks.signals ?? watchSignals(log, (code) => process.exit(code));
  surviveStrays(log);
  log.info(`Starting Dapr Runtime -- version ${daprVersion} -- commit `);
  log.info(`Log level set to: ${level}`);
  const launch = readLaunch();
  if ('refusal' in launch) {
    log.fatal(`Fatal error from runtime: ${launch.refusal}`);
    return 1;
  }

  const restarts = createRestarts();
  signals.onReload = restarts.ask;
  const stop = new AbortController();
  const onStop = () => stop.abort();
  if (signals.stop.aborted) onStop();
  signals.stop.addEventListener('abort', onStop);
  try {
    if (!stop.signal.aborted) await runSidecar(launch, {
      platform, manifest, nameResolvers, log, restarts, stop: stop.signal,
      onShutdown: (force) => {
        if (force) setTimeout(() => process.exit(1), 100);
        else stop.abort(withoutBlocking);
      },
      onRestart: () => {
        if (stop.signal.aborted) return;
        log.scope('dapr.signals').info("Received signal 'hangup'; restarting"); // as daprd, which sends itself the signal
        restarts.ask();
      },
      makeHost: (ports) => createNodeHost({ runtime: platform.runtime, ...ports, write }),
      onListening: (app) => hooks.onListening?.(app, launch),
      onReady: (app) => hooks.onReady?.(app, launch),
    });
  } catch (error) {
    log.fatal(error instanceof GraceExceeded ? error.message : `Fatal error from runtime: ${textOf(error)}`);
    return 1;
  }
  log.info('Daprd shutdown gracefully');
  return 0;
}

let watched = false;
/** A promise nobody waited for must not end the sidecar of a running app; it is told and life goes on. */
function surviveStrays(log: Logger): void {
  if (watched) return;
  watched = true;
  process.on('unhandledRejection', (reason) => log.error(`Unexpected error, the sidecar goes on: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`));
}
