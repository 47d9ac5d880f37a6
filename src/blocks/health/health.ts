// Readiness of the sidecar: named targets that must all be ready (Dapr: pkg/healthz).
import { fail } from '../../core/errors.ts';

export interface Health {
  /** Adds a target, not ready; the function returned marks it ready (true) or not (false). */
  target(name: string): (ready?: boolean) => void;
  setOutbound(ready: boolean): void;
  readonly ready: boolean;
  /** Throw Dapr's 500 where not ready. */
  checkReady(): void;
  checkOutbound(): void;
}

export function createHealth(): Health {
  const targets = new Map<string, boolean>();
  let outbound = false;
  const missing = () => [...targets].filter(([, ready]) => !ready).map(([name]) => name);
  return {
    target: (name) => {
      targets.set(name, false);
      return (ready = true) => void targets.set(name, ready);
    },
    setOutbound: (ready) => void (outbound = ready),
    get ready() { return targets.size > 0 && missing().length === 0; },
    checkReady: () => {
      const names = missing();
      if (names.length > 0 || targets.size === 0) throw fail('healthNotReady', { targets: names.join(' ') });
    },
    checkOutbound: () => {
      if (!outbound) throw fail('outboundNotReady');
    },
  };
}
