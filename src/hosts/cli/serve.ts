// Runs the sidecar until it is told to stop, again after each SIGHUP, and turns the end into an exit code.
import { manifest, nameResolvers } from '../../adapters/manifest.ts';
import type { Outrigger } from '../../app/create-app.ts';
import type { LogLevel, Logger } from '../../core/log.ts';
import { createNodeHost } from '../node/host.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';
import { GraceExceeded, runSidecar, withoutBlocking } from './sidecar.ts';
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

  for (let again = true; again && !signals.stop.aborted; ) {
    again = false;
    const run = new AbortController();
    signals.onReload = () => {
      again = true;
      run.abort();
    };
    const onStop = () => {
      again = false;
      run.abort();
    };
    signals.stop.addEventListener('abort', onStop);
    try {
      await runSidecar(launch, {
        platform, manifest, nameResolvers, log, stop: run.signal,
        onShutdown: (force) => {
          if (force) setTimeout(() => process.exit(1), 100);
          else run.abort(withoutBlocking);
        },
        onRestart: () => {
          if (signals.stop.aborted) return;
          log.scope('dapr.signals').info("Received signal 'hangup'; restarting"); // as daprd, which sends itself the signal
          signals.onReload();
        },
        makeHost: (ports) => createNodeHost({ runtime: platform.runtime, ...ports, write }),
        onListening: (app) => hooks.onListening?.(app, launch),
        onReady: (app) => hooks.onReady?.(app, launch),
      });
    } catch (error) {
      log.fatal(error instanceof GraceExceeded ? error.message : `Fatal error from runtime: ${error instanceof Error ? error.message : String(error)}`);
      return 1;
    } finally {
      signals.stop.removeEventListener('abort', onStop);
    }
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
