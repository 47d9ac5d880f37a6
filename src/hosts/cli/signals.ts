// Signals as daprd takes them: the first stop signal ends it cleanly, the second at once, SIGHUP restarts the runtime inside the process.
import type { Logger } from '../../core/log.ts';

export interface Signals {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly stop: AbortSignal;
  /** Called for every SIGHUP that comes before a stop. */
  onReload: () => void;
}

/** Go's names of the signals, as they stand in daprd's log. */
const names = { SIGINT: 'interrupt', SIGTERM: 'terminated' } as const;

/** Takes over the process's signals. `exit` is called with 1 on a second stop signal and with 2 on SIGQUIT. */
export function watchSignals(log: Logger, exit: (code: number) => void): Signals {
  const scoped = log.scope('dapr.signals');
  const stop = new AbortController();
  const signals: Signals = { stop: stop.signal, onReload: () => {} };
  for (const [signal, name] of Object.entries(names) as [keyof typeof names, string][]) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        scoped.fatal(`Received signal '${name}' during shutdown; exiting immediately`);
        exit(1);
      } else {
        scoped.info(`Received signal '${name}'; beginning shutdown`);
        stop.abort();
      }
    });
  }
  process.on('SIGHUP', () => {
    if (stop.signal.aborted) return;
    scoped.info("Received signal 'hangup'; restarting");
    signals.onReload();
  });
  process.on('SIGQUIT', () => exit(2));
  return signals;
}
