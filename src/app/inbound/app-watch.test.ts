import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HttpFailure, type HttpRequest, type HttpResponse } from '../../core/host.ts';
import type { Logger } from '../../core/log.ts';
import type { Settings } from '../settings.ts';
import { createAppWatch } from './app-watch.ts';

const lines: string[] = [];
const log: Logger = { debug: () => {}, info: (m) => lines.push(m), warn: (m) => lines.push(`warning: ${m}`), error: () => {}, fatal: () => {}, always: () => {}, scope: () => log };
const health = { path: 'alive?deep=1', intervalMs: 1000, timeoutMs: 200, threshold: 2 };
const app = (more: Partial<Settings['app']> = {}): Settings['app'] => ({
  port: 3000, protocol: 'http', address: '[::1]', maxConcurrency: 0, health: undefined, initEndpoints: { config: true, subscribe: true }, bindingOptionsTimeoutMs: 3000, ...more,
});
/** An app that listens when told and answers probes with the statuses given, the last for ever; 0 = connection refused. */
function world(settings: Settings['app'], statuses: number[] = [200], wasHealthy = false) {
  const seen: { changes: boolean[]; dials: [string, number, boolean | undefined][]; probes: HttpRequest[]; listens: boolean } = { changes: [], dials: [], probes: [], listens: true };
  const stop = new AbortController();
  const watch = createAppWatch({
    app: settings, origin: settings.port > 0 ? 'http://[::1]:3000' : undefined, log, wasHealthy,
    tcp: { probe: async (host, port, { tls }) => { seen.dials.push([host, port, tls]); return seen.listens; } },
    http: {
      send: async (request): Promise<HttpResponse> => {
        seen.probes.push(request);
        const status = (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 0;
        if (status === 0) throw new HttpFailure('refused', 'connection refused');
        return { status, headers: [], body: null };
      },
    },
    onChange: async (healthy) => void seen.changes.push(healthy),
  });
  return { seen, stop, watch };
}

beforeEach(() => {
  vi.useFakeTimers();
  lines.length = 0;
});
afterEach(() => vi.useRealTimers());

describe('the wait for the port', () => {
  test('dials until something listens, then says so once', async () => {
    const { seen, stop, watch } = world(app());
    seen.listens = false;
    const started = watch.start(stop.signal);
    await vi.advanceTimersByTimeAsync(350);
    expect(seen.changes).toEqual([]);
    seen.listens = true;
    await vi.advanceTimersByTimeAsync(100);
    await started;
    expect(seen.dials[0]).toEqual(['::1', 3000, false]);
    expect(seen.changes).toEqual([true]);
    expect(lines).toEqual(['application protocol: http. waiting on port 3000.  This will block until the app is listening on that port.', 'application discovered on port 3000']);
  });
  test('TLS apps are dialled with TLS', async () => {
    const { seen, stop, watch } = world(app({ protocol: 'https' }));
    await watch.start(stop.signal);
    expect(seen.dials).toEqual([['::1', 3000, true]]);
  });
  test('ends with the signal, without a change', async () => {
    const { seen, stop, watch } = world(app());
    seen.listens = false;
    const started = watch.start(stop.signal);
    await vi.advanceTimersByTimeAsync(50);
    stop.abort();
    await started;
    expect(seen.changes).toEqual([]);
  });
  test('without an app port nothing is dialled or probed, even with probes asked for', async () => {
    const { seen, stop, watch } = world(app({ port: 0, health }));
    await watch.start(stop.signal);
    expect(seen).toMatchObject({ dials: [], probes: [], changes: [true] });
    expect(watch.healthy).toBe(true);
  });
});

describe('health probes', () => {
  test('unhealthy until the first good probe; the path gets its slash and keeps its query', async () => {
    const { seen, stop, watch } = world(app({ health }), [500, 299]);
    await watch.start(stop.signal);
    expect(watch.healthy).toBe(false);
    await vi.advanceTimersByTimeAsync(10);
    expect(seen.changes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.changes).toEqual([true]);
    expect(watch.healthy).toBe(true);
    expect(seen.probes[0]).toMatchObject({ origin: 'http://[::1]:3000', path: '/alive?deep=1', method: 'GET' });
    stop.abort();
    await vi.advanceTimersByTimeAsync(5000);
    expect(seen.probes).toHaveLength(2);
  });
  test('the threshold counts failures with successes between, and one success mends', async () => {
    const { seen, stop, watch } = world(app({ health }), [200, 500, 200, 302, 0, 200]);
    await watch.start(stop.signal);
    await vi.advanceTimersByTimeAsync(2500);
    expect(seen.changes).toEqual([true]);
    const unhealthy = watch.unhealthy();
    await vi.advanceTimersByTimeAsync(1000);
    await unhealthy;
    expect(seen.changes).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(seen.changes).toEqual([true, false, true]);
    expect(lines.slice(2)).toEqual(['App health probes starting', 'App entered healthy status', 'warning: App entered un-healthy status: Health check failed with status code: 302', 'App entered healthy status']);
    stop.abort();
  });
  test('an app that was healthy before is healthy at once, and as many failures as ever make it ill', async () => {
    const { seen, stop, watch } = world(app({ health }), [0, 0, 200], true);
    expect(watch.healthy).toBe(true);
    await watch.start(stop.signal);
    expect(seen.changes).toEqual([true]);
    await vi.advanceTimersByTimeAsync(500);
    expect(seen.probes.length).toBe(1);
    expect(watch.healthy).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.changes).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen.changes).toEqual([true, false, true]);
    stop.abort();
  });
  test('an app that never was healthy counts as unhealthy at once', async () => {
    const { stop, watch } = world(app({ health }), [0]);
    await watch.start(stop.signal);
    await watch.unhealthy();
    stop.abort();
  });
  test('probes do not overlap: a slow one delays the next', async () => {
    let open = 0;
    let most = 0;
    const stop = new AbortController();
    const watch = createAppWatch({
      app: app({ health: { ...health, intervalMs: 100, timeoutMs: 100 } }), origin: 'http://x', log, tcp: undefined, onChange: async () => {},
      http: {
        send: async () => {
          most = Math.max(most, ++open);
          await new Promise((done) => setTimeout(done, 250));
          open--;
          return { status: 200, headers: [], body: null };
        },
      },
    });
    await watch.start(stop.signal);
    await vi.advanceTimersByTimeAsync(2000);
    stop.abort();
    expect(most).toBe(1);
  });
});
