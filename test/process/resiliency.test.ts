// Policies × failures against real apps and servers: how often each is tried, what the caller gets, how long it takes.
// OUTRIGGER_COMMAND=daprd runs the same table against Dapr itself; OUTRIGGER_TABLE=1 prints what was seen (docs/resiliency.md shows it).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { freePort } from '../harness/ports.ts';
import { startRedis } from '../harness/servers.ts';
import { type Sidecar, startApp, startSidecar } from '../harness/sidecar.ts';

const policies = {
  timeouts: { t150: '150ms', t1s: '1s' },
  retries: {
    r3: { policy: 'constant', duration: '20ms', maxRetries: 3 },
    r3of503: { policy: 'constant', duration: '20ms', maxRetries: 3, matching: { httpStatusCodes: '503' } },
    exp2: { policy: 'exponential', maxInterval: '10s', maxRetries: 2 },
    forever: { policy: 'constant', duration: '10s' },
  },
  circuitBreakers: { b3: { maxRequests: 1, timeout: '400ms', trip: 'consecutiveFailures >= 3' } },
};
/** Name of a target → its policies. */
const targets = {
  none: {},
  retry: { retry: 'r3' },
  'retry-503': { retry: 'r3of503' },
  exponential: { retry: 'exp2' },
  timeout: { timeout: 't150' },
  'timeout-retry': { timeout: 't150', retry: 'r3' },
  breaker: { circuitBreaker: 'b3' },
  'retry-breaker': { retry: 'r3', circuitBreaker: 'b3' },
} as const;
type Target = keyof typeof targets;

const resiliency = (of: 'apps' | 'components', directions: 'outbound' | 'inbound' | undefined, more: object = {}) => {
  const entries = Object.entries(targets).filter(([name]) => name !== 'none');
  return JSON.stringify({
    apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'policies' },
    spec: { policies, targets: { [of]: { ...Object.fromEntries(entries.map(([name, target]) => [name, directions ? { [directions]: target } : target])), ...more } } },
  });
};
const component = (name: string, type: string, metadata: Record<string, string>) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })) } });
const endpoint = (name: string, baseUrl: string) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'HTTPEndpoint', metadata: { name }, spec: { baseUrl } });

/** `/<how>/<anything>`: the app fails in that way; `/recovers` only the first two times. */
const unstable = () => {
  const seen = new Map<string, number>();
  return startApp(async ({ target }) => {
    const how = target.split('/')[1] as string;
    const before = seen.get(target) ?? 0;
    seen.set(target, before + 1);
    if (how === 'cut') throw new Error('cut');
    if (how === 'slow') await sleep(500);
    if (how === 'recovers') return new Response('fine', { status: before < 2 ? 500 : 200 });
    const status = Number(how);
    return Number.isInteger(status) ? new Response(`status ${status}`, { status }) : new Response('fine');
  });
};

interface Row {
  target: Target;
  /** What the other side does. */
  failure: string;
  /** How often the caller asks; default once. */
  calls?: number;
  attempts: number;
  /** Of the last call. */
  status: number;
  text: RegExp;
  /** Milliseconds of the last call. */
  atLeast?: number;
  atMost?: number;
}
/** HTTP clients (Go's too) send a GET again by themselves when a kept connection is cut; a POST nobody may. */
const methodFor = (failure: string) => (failure === 'cut' ? 'POST' : 'GET');
const late = /context deadline exceeded/;
const open = /circuit breaker is open/;

const table: string[] = [];
afterAll(() => {
  if (process.env.OUTRIGGER_TABLE) console.log(['| Called | Policies | Failure | Calls | Tries | Answer | Took |', '| --- | --- | --- | --- | --- | --- | --- |', ...table].join('\n'));
});
function note(called: string, { target, failure, calls = 1 }: Pick<Row, 'target' | 'failure' | 'calls'>, tries: number | string, { status, text, ms }: { status: number; text: string; ms: number }): void {
  const words = /err: (.*?)"/.exec(text)?.[1] ?? /:\s([^:"]*?)"/.exec(text)?.[1] ?? text;
  table.push(`| ${called} | ${JSON.stringify(targets[target])} | ${failure} | ${calls} | ${tries} | ${status} ${words} | ${Math.round(ms)} ms |`);
}
async function timed(call: () => Promise<Response>): Promise<{ status: number; text: string; ms: number }> {
  const start = performance.now();
  const response = await call();
  return { status: response.status, text: await response.text(), ms: performance.now() - start };
}

describe('service invocation', () => {
  let app: Awaited<ReturnType<typeof unstable>>;
  let sidecar: Sidecar;
  beforeAll(async () => {
    app = await unstable();
    const nobody = await freePort();
    const names = Object.keys(targets);
    sidecar = await startSidecar({
      resources: {
        'resiliency.yaml': resiliency('apps', undefined, Object.fromEntries(Object.entries(targets).filter(([name]) => name !== 'none').map(([name, target]) => [`${name}-refused`, target]))),
        ...Object.fromEntries(names.flatMap((name) => [[`${name}.yaml`, endpoint(name, `http://127.0.0.1:${app.port}`)], [`${name}-refused.yaml`, endpoint(`${name}-refused`, `http://127.0.0.1:${nobody}`)]])),
      },
    });
  });
  afterAll(async () => {
    await sidecar.stop();
    await app.stop();
  });
  const count = (path: string) => app.requests.filter(({ target }) => target === path).length;

  const rows: Row[] = [
    { target: 'none', failure: '500', attempts: 1, status: 500, text: /^status 500$/ },
    { target: 'none', failure: 'slow', attempts: 1, status: 200, text: /^fine$/, atLeast: 500 },
    { target: 'none', failure: 'cut', attempts: 1, status: 500, text: /EOF|connection reset/ },
    { target: 'retry', failure: '500', attempts: 4, status: 500, text: /^status 500$/, atLeast: 60 },
    { target: 'retry', failure: '404', attempts: 4, status: 404, text: /^status 404$/ },
    { target: 'retry', failure: '302', attempts: 1, status: 302, text: /^status 302$/ },
    { target: 'retry', failure: 'cut', attempts: 4, status: 500, text: /EOF|connection reset/, atLeast: 60 },
    { target: 'retry', failure: 'recovers', attempts: 3, status: 200, text: /^fine$/, atLeast: 40 },
    { target: 'retry-503', failure: '500', attempts: 1, status: 500, text: /^status 500$/ },
    { target: 'retry-503', failure: '503', attempts: 4, status: 503, text: /^status 503$/ },
    { target: 'retry-503', failure: 'cut', attempts: 4, status: 500, text: /EOF|connection reset/ },
    { target: 'exponential', failure: '500', attempts: 3, status: 500, text: /^status 500$/, atLeast: 625 },
    { target: 'timeout', failure: 'slow', attempts: 1, status: 500, text: late, atLeast: 150 },
    { target: 'timeout', failure: '500', attempts: 1, status: 500, text: /^status 500$/ },
    { target: 'timeout-retry', failure: 'slow', attempts: 4, status: 500, text: late, atLeast: 660 },
    { target: 'breaker', failure: '500', calls: 5, attempts: 3, status: 500, text: open, atMost: 1000 },
    { target: 'retry-breaker', failure: '503', attempts: 3, status: 500, text: open, atMost: 1000 },
  ];
  test.each(rows)('$target, $failure', async ({ target, failure, calls = 1, attempts, status, text, atLeast = 0, atMost = 5000 }) => {
    const path = `/${failure}/${target}`;
    const call = () => timed(() => fetch(`${sidecar.http}/v1.0/invoke/${target}/method${path}`, { method: methodFor(failure), redirect: 'manual' }));
    let answer = await call();
    for (let i = 1; i < calls; i++) answer = await call();
    note('app', { target, failure, calls }, count(path), answer);
    expect({ attempts: count(path), status: answer.status }).toEqual({ attempts, status });
    expect(answer.text).toMatch(text);
    expect(answer.ms).toBeGreaterThanOrEqual(atLeast - 2);
    expect(answer.ms).toBeLessThan(atMost);
  });

  test.each([['none', 0], ['retry', 60]] as const)('%s, nobody listens', async (target, atLeast) => {
    const answer = await timed(() => fetch(`${sidecar.http}/v1.0/invoke/${target}-refused/method/x`));
    note('app', { target, failure: 'refused' }, '', answer);
    expect(answer).toMatchObject({ status: 500, text: expect.stringContaining('connection refused') });
    expect(answer.ms).toBeGreaterThanOrEqual(atLeast - 2);
  });
  test('an open breaker is half-open after its timeout: one success closes it, one failure opens it again', async () => {
    // HTTPEndpoints have one breaker for all their methods
    const status = async (path: string) => (await timed(() => fetch(`${sidecar.http}/v1.0/invoke/breaker/method${path}`))).text.replace(/^\{.*err: (.*)"\}$/, '$1');
    await sleep(450);
    expect(await status('/500/again')).toBe('status 500');
    expect(await status('/ok')).toBe('circuit breaker is open');
    await sleep(450);
    expect([await status('/ok'), await status('/500/1'), await status('/ok')]).toEqual(['fine', 'status 500', 'fine']);
  });
  test('a body of known length comes whole with every try, however long; one in chunks is sent once', async () => {
    const body = new Uint8Array(1_000_000).map((_, i) => i % 251);
    const long = await timed(() => fetch(`${sidecar.http}/v1.0/invoke/retry/method/500/long`, { method: 'POST', body }));
    expect([long.status, app.requests.filter(({ target }) => target === '/500/long').map((request) => Buffer.compare(request.body, body))]).toEqual([500, [0, 0, 0, 0]]);
    const chunks = new Blob(['a', 'b']).stream();
    const chunked = await timed(() => fetch(`${sidecar.http}/v1.0/invoke/retry/method/500/chunks`, { method: 'POST', body: chunks, duplex: 'half' } as RequestInit));
    expect([chunked.status, chunked.text, app.requests.filter(({ target }) => target === '/500/chunks').map((request) => request.text())]).toEqual([500, 'status 500', ['ab']]);
  });
  test('what happens is in the log, once for a call', async () => {
    const log = sidecar.log().replaceAll('\\"', '"');
    const named = (operation: string) => log.split('\n').filter((line) => line.includes(operation)).map((line) => /msg="(.*?)"? app_id/.exec(line)?.[1]);
    expect(named(`endpoint[retry, retry:http://127.0.0.1:${app.port}]`)[0]).toBe(`Error processing operation endpoint[retry, retry:http://127.0.0.1:${app.port}]. Retrying in 20ms…`);
    expect(named('Recovered')[0]).toBe(`Recovered processing operation endpoint[retry, retry:http://127.0.0.1:${app.port}] after 3 attempts`);
    expect(named('Circuit breaker')[0]).toBe(`Circuit breaker "breaker:http://127.0.0.1:${app.port}" changed state from closed to open`);
  });
});

describe('output bindings', () => {
  let app: Awaited<ReturnType<typeof unstable>>;
  let sidecar: Sidecar;
  beforeAll(async () => {
    app = await unstable();
    sidecar = await startSidecar({
      resources: { 'resiliency.yaml': resiliency('components', 'outbound'), ...Object.fromEntries(Object.keys(targets).map((name) => [`${name}.yaml`, component(name, 'bindings.http', { url: `http://127.0.0.1:${app.port}` })])) },
    });
  });
  afterAll(async () => {
    await sidecar.stop();
    await app.stop();
  });

  const rows: Row[] = [
    { target: 'none', failure: '500', attempts: 1, status: 500, text: /received status code 500/ },
    { target: 'retry', failure: '500', attempts: 4, status: 500, text: /received status code 500/, atLeast: 60 },
    { target: 'retry', failure: 'recovers', attempts: 3, status: 200, text: /^fine$/ },
    { target: 'retry', failure: 'cut', attempts: 4, status: 500, text: /EOF|connection reset/ },
    // an output binding's errors have no status
    { target: 'retry-503', failure: '500', attempts: 4, status: 500, text: /received status code 500/ },
    { target: 'timeout', failure: 'slow', attempts: 1, status: 500, text: late, atLeast: 150 },
    { target: 'timeout-retry', failure: 'slow', attempts: 4, status: 500, text: late, atLeast: 660 },
    { target: 'breaker', failure: '500', calls: 5, attempts: 3, status: 500, text: open },
    { target: 'retry-breaker', failure: '500', attempts: 3, status: 500, text: open },
  ];
  test.each(rows)('$target, $failure', async ({ target, failure, calls = 1, attempts, status, text, atLeast = 0, atMost = 5000 }) => {
    const path = `/${failure}/${target}`;
    const call = () => timed(() => fetch(`${sidecar.http}/v1.0/bindings/${target}`, { method: 'POST', body: JSON.stringify({ operation: methodFor(failure).toLowerCase(), metadata: { path } }) }));
    let answer = await call();
    for (let i = 1; i < calls; i++) answer = await call();
    const tries = app.requests.filter((request) => request.target === path).length;
    note('bindings.http', { target, failure, calls }, tries, answer);
    expect({ tries, status: answer.status }).toEqual({ tries: attempts, status });
    expect(answer.text).toMatch(text);
    expect(answer.ms).toBeGreaterThanOrEqual(atLeast - 2);
    expect(answer.ms).toBeLessThan(atMost);
  });
});

test('a resource that changes while the sidecar runs counts from then on', async () => {
  const app = await unstable();
  const retries = (maxRetries: number) => JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Resiliency', metadata: { name: 'policies' }, spec: { policies: { retries: { DefaultRetryPolicy: { duration: '1ms', maxRetries } } } } });
  const sidecar = await startSidecar({ resources: { 'resiliency.yaml': retries(1), 'app.yaml': endpoint('app', `http://127.0.0.1:${app.port}`) } });
  try {
    const tries = async (path: string) => {
      await fetch(`${sidecar.http}/v1.0/invoke/app/method${path}`).catch(() => undefined); // the restart may refuse it
      return app.requests.filter(({ target }) => target === path).length;
    };
    expect(await tries('/500/before')).toBe(2);
    writeFileSync(join(sidecar.home, 'resources/resiliency.yaml'), retries(2));
    for (let i = 0, end = Date.now() + 15_000; (await tries(`/500/after${i}`)) !== 3; i++) {
      expect(Date.now()).toBeLessThan(end);
      await sleep(50);
    }
  } finally {
    await sidecar.stop();
    await app.stop();
  }
});

describe('deliveries to the app', () => {
  test('messages and binding events are tried again; a policy without end does not hold up a stop', async () => {
    const app = await startApp(({ target, method }) => {
      if (target === '/dapr/subscribe') return Response.json([{ pubsubname: 'retry', topic: 'a', route: '/500' }, { pubsubname: 'endless', topic: 'a', route: '/always' }]);
      return target === '/dapr/config' ? undefined : new Response(null, { status: method === 'OPTIONS' ? 200 : 500 });
    });
    const sidecar = await startSidecar({
      waitFor: 'ready',
      flags: [`--app-port=${app.port}`],
      resources: {
        'resiliency.yaml': resiliency('components', 'inbound', { endless: { inbound: { retry: 'forever' } }, tick: { inbound: { retry: 'r3' } } }),
        'retry.yaml': component('retry', 'pubsub.in-memory', {}),
        'endless.yaml': component('endless', 'pubsub.in-memory', {}),
        'tick.yaml': component('tick', 'bindings.cron', { schedule: '@every 1s' }),
      },
    });
    try {
      const publish = async (name: string) => (await fetch(`${sidecar.http}/v1.0/publish/${name}/a`, { method: 'POST', body: '1' })).status;
      await app.saw(({ target, method }) => target === '/tick' && method === 'POST', 4);
      expect(await publish('retry')).toBe(204);
      await app.saw(({ target }) => target === '/500', 4);
      await sleep(150);
      expect(app.requests.filter(({ target }) => target === '/500')).toHaveLength(4);
      expect(await publish('endless')).toBe(204);
      await app.saw(({ target }) => target === '/always');
    } finally {
      const start = performance.now();
      await sidecar.stop();
      expect(performance.now() - start).toBeLessThan(8000);
      await app.stop();
    }
    expect(app.requests.filter(({ target }) => target === '/always')).toHaveLength(1);
  });
});

describeWithServer('redis', 'components on a Redis that hangs or is gone', () => {
  const names = ['state', 'lock', 'configuration', 'pubsub'] as const;
  const calls: Record<(typeof names)[number], (url: string) => Promise<Response>> = {
    state: (url) => fetch(`${url}/v1.0/state/state/k`),
    lock: (url) => fetch(`${url}/v1.0-alpha1/lock/lock`, { method: 'POST', body: JSON.stringify({ resourceId: 'r', lockOwner: 'o', expiryInSeconds: 1 }) }),
    configuration: (url) => fetch(`${url}/v1.0/configuration/configuration?key=k`),
    pubsub: (url) => fetch(`${url}/v1.0/publish/pubsub/t`, { method: 'POST', body: '1' }),
  };
  test.each([['timeout', 1], ['timeout-retry', 4]] as const)('hangs: %s', async (target, tries) => {
    const redis = await startRedis();
    const metadata = { redisHost: `127.0.0.1:${redis.port}`, redisPassword: '' };
    const sidecar = await startSidecar({
      resources: {
        'resiliency.yaml': resiliency('components', 'outbound', Object.fromEntries(names.map((name) => [name, { outbound: targets[target] }]))),
        ...Object.fromEntries(names.map((name) => [`${name}.yaml`, component(name, `${name}.redis`, metadata)])),
      },
    });
    try {
      await redis.command('CLIENT', 'PAUSE', '2000', 'ALL');
      const answers = await Promise.all(names.map(async (name) => ({ name, ...(await timed(() => calls[name](sidecar.http))) })));
      for (const { name, ...answer } of answers) {
        note(`${name}.redis`, { target, failure: 'hangs' }, tries, answer);
        expect(answer).toMatchObject({ status: 500, text: expect.stringContaining('context deadline exceeded') });
        expect(answer.ms).toBeGreaterThanOrEqual(150 * tries - 2);
      }
      for (const name of names) await expect.poll(async () => (await timed(() => calls[name](sidecar.http))).status, { timeout: 10_000 }).toBeLessThan(300);
    } finally {
      await sidecar.stop();
      await redis.stop();
    }
  });
  test('is gone: the breaker answers at once, and closes when it is back', async () => {
    const redis = await startRedis();
    const sidecar = await startSidecar({
      resources: {
        'resiliency.yaml': resiliency('components', 'outbound', { state: { outbound: { timeout: 't1s', circuitBreaker: 'b3' } } }),
        'state.yaml': component('state', 'state.redis', { redisHost: `127.0.0.1:${redis.port}`, redisPassword: '' }),
      },
    });
    try {
      const get = () => timed(() => calls.state(sidecar.http));
      expect((await get()).status).toBe(204);
      await redis.kill();
      for (let i = 0; i < 3; i++) expect((await get()).status).toBe(500);
      const refused = await get();
      note('state.redis', { target: 'breaker', failure: 'gone', calls: 4 }, 3, refused);
      expect(refused).toMatchObject({ status: 500, text: expect.stringContaining('circuit breaker is open') });
      expect(refused.ms).toBeLessThan(100);
      await redis.restart();
      const end = Date.now() + 10_000;
      while ((await get()).status !== 204) {
        expect(Date.now()).toBeLessThan(end);
        await sleep(100);
      }
    } finally {
      await sidecar.stop();
      await redis.stop();
    }
  });
});
