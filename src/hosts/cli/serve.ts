// Runs the sidecar until it is told to stop, again after each SIGHUP, and turns the end into an exit code.
import type { LogLevel, Logger } from '../../core/log.ts';
import { manifest, nameResolvers } from '../../adapters/manifest.ts';
import { createNodeHost } from '../node/host.ts';
import type { Launch } from './options.ts';
import type { Platform } from './platform.ts';
import { GraceExceeded, runSidecar, withoutBlocking } from './sidecar.ts';
import { watchSignals } from './signals.ts';
import { daprVersion } from './version.ts';

export interface ServeOptions {
  /** Reads flags and environment; a refusal ends the process with 1. */
  readLaunch(): Launch | { refusal: string };
  log: Logger;
  level: LogLevel;
  write(line: string): void;
  platform: Platform;
}

export async function serve({ readLaunch, log, level, write, platform }: ServeOptions): Promise<number> {
  const signals = watchSignals(() => log, (code) => process.exit(code));
  log.info(`Starting Dapr Runtime -- version ${daprVersion} -- commit outrigger`);
  log.info(`Log level set to: ${level}`);
  const launch = readLaunch();
  if ('refusal' in launch) {
    log.fatal(`Fatal error from runtime: ${launch.refusal}`);
    return 1;
  }

  for (let again = true; again && !signals.stop.aborted; ) {
    const run = new AbortController();
    again = false;
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
        makeHost: ({ http, address }) => createNodeHost({ runtime: platform.runtime, http, address, write }),
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
