// Finding the app and watching its health: the wait for its port, then the probes (Dapr: pkg/runtime/runtime.go, pkg/apphealth).
import { HttpFailure, type HttpPort, type TcpPort } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import { pause } from '../../core/pause.ts';
import type { Settings } from '../settings.ts';

type Health = NonNullable<Settings['app']['health']>;
const dialTimeoutMs = 500;
const dialPauseMs = 100;

export interface AppWatchOptions {
  app: Settings['app'];
  /** `http://host:port` of the app; undefined without an app port. */
  origin: string | undefined;
  http: HttpPort;
  /** Without it (no outbound TCP) the app is taken for found. */
  tcp: TcpPort | undefined;
  log: Logger;
  /** Probes found it healthy before this sidecar's runtime restarted: it counts as that until they say otherwise. Default false. */
  wasHealthy?: boolean;
  /** The app became healthy (true) or unhealthy (false). Without probes: true, once. Calls never overlap. */
  onChange(healthy: boolean): Promise<void>;
}

export interface AppWatch {
  /** True without probes; with them, what the last ones say (before the first good one false, or as it was). */
  readonly healthy: boolean;
  /**
   * Waits without limit for the app's port. Then, without probes or where they found the app healthy before, resolves when
   * `onChange(true)` has; with probes, starts them and resolves. Resolves early when the signal is aborted, which also ends the probes.
   */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when the app is unhealthy (at once when it never was healthy); without probes never. */
  unhealthy(): Promise<void>;
}

export function createAppWatch({ app, origin, http, tcp, log, wasHealthy = false, onChange }: AppWatchOptions): AppWatch {
  const speaksGrpc = app.protocol === 'grpc' || app.protocol === 'grpcs';
  const probes = origin === undefined || speaksGrpc ? undefined : app.health;
  const waiting = new Set<() => void>();
  let healthy = probes === undefined || wasHealthy;
  let changes = Promise.resolve();

  const change = (to: boolean): Promise<void> => {
    healthy = to;
    if (!to) {
      for (const done of waiting) done();
      waiting.clear();
    }
    changes = changes.then(() => onChange(to));
    return changes;
  };

  const findPort = async (signal: AbortSignal): Promise<void> => {
    if (app.port <= 0 || !tcp) return;
    log.info(`application protocol: ${app.protocol}. waiting on port ${app.port}.  This will block until the app is listening on that port.`);
    const tls = app.protocol === 'https' || app.protocol === 'grpcs';
    for (let tries = 1; !signal.aborted; tries++) {
      if (await tcp.probe(unbracketed(app.address), app.port, { timeoutMs: dialTimeoutMs, tls })) {
        log.info(`application discovered on port ${app.port}`);
        return;
      }
      await pause(dialPauseMs, signal);
      if (tries % 100 === 0) log.info(`waiting for application to listen on port ${app.port}`);
    }
  };

  /** undefined: the app answered with a 2xx; else why not. */
  const probe = async (health: Health, signal: AbortSignal): Promise<string | undefined> => {
    try {
      const { status, body } = await http.send({
        method: 'GET', origin: origin ?? '', path: health.path.startsWith('/') ? health.path : `/${health.path}`, headers: [],
        insecure: app.protocol === 'https', h2c: app.protocol === 'h2c', signal: AbortSignal.any([signal, AbortSignal.timeout(health.timeoutMs)]),
      });
      if (body instanceof ReadableStream) await body.cancel();
      return status >= 200 && status < 300 ? undefined : `Health check failed with status code: ${status}`;
    } catch (error) {
      const timedOut = error instanceof HttpFailure && (error.kind === 'aborted' || error.kind === 'timeout');
      return `Network error: ${timedOut ? `no answer within ${health.timeoutMs}ms` : error instanceof Error ? error.message : String(error)}`;
    }
  };

  /** One probe after another, the next due an interval after the last was due; a slow one delays it. */
  const watch = async (health: Health, signal: AbortSignal): Promise<void> => {
    const scoped = log.scope('dapr.apphealth');
    scoped.info('App health probes starting');
    let failures = wasHealthy ? 0 : health.threshold;
    for (let due = Date.now(); !signal.aborted; due += health.intervalMs) {
      await pause(Math.max(0, due - Date.now()), signal);
      if (signal.aborted) break;
      const failure = await probe(health, signal);
      if (signal.aborted) break;
      if (failure === undefined) {
        // a success counts only after unhealthiness: failures need not follow one another (pkg/apphealth/health.go)
        if (failures < health.threshold) continue;
        failures = 0;
        scoped.info('App entered healthy status');
        void change(true);
      } else if (failures < health.threshold && ++failures === health.threshold) {
        scoped.warn(`App entered un-healthy status: ${failure}`);
        void change(false);
      }
    }
    scoped.info('App health probes stopping');
  };

  return {
    get healthy() { return healthy; },
    start: async (signal) => {
      await findPort(signal);
      if (signal.aborted) return;
      if (probes) void watch(probes, signal);
      else if (speaksGrpc && app.health) log.scope('dapr.apphealth').warn('Health probes of gRPC apps are not built yet: the app is taken for healthy');
      if (healthy) await change(true);
    },
    unhealthy: () => new Promise((done) => (healthy ? waiting.add(done) : done())),
  };
}

const unbracketed = (address: string) => address.replace(/^\[(.*)\]$/, '$1');
