// An app that breaks HTTP behind invocation and delivery: callers get their own answer or a coded error, and nothing stays behind.
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Runtime, type Sidecar, startSidecar } from '../harness/sidecar.ts';
import { bodyOf, startHostileApp, trickNames, tricks } from './hostile-app.ts';
import { randomFrom } from './mutant.ts';

// OUTRIGGER_HOSTILE_CALLS and OUTRIGGER_HOSTILE_SEED: for longer searches, and for the ones that found something
const calls = Number(process.env.OUTRIGGER_HOSTILE_CALLS ?? 1200);
const seed = Number(process.env.OUTRIGGER_HOSTILE_SEED ?? 20_261_121);
const callers = 48;
const runtimes = process.env.OUTRIGGER_RUNTIME ? [process.env.OUTRIGGER_RUNTIME as Runtime] : (['node', 'bun'] as const);
let runtime: Runtime;
let app: Awaited<ReturnType<typeof startHostileApp>>;
let sidecar: Sidecar;
const resource = (kind: string, name: string, spec: unknown, apiVersion = 'dapr.io/v1alpha1') => JSON.stringify({ apiVersion, kind, metadata: { name }, spec });
const agent = new Agent({ keepAlive: true, maxSockets: callers });
type Heard = { status: number; headers: IncomingMessage['headers']; body: string; cut: boolean } | { failure: string };
/** `leaveMs`: the caller goes away then. */
function call(method: string, path: string, body?: Buffer, { whole = true, leaveMs }: { whole?: boolean; leaveMs?: number | undefined } = {}): Promise<Heard> {
  return new Promise((done) => {
    const asked = request({ agent, port: sidecar.ports.http, host: '127.0.0.1', method, path, headers: whole && body ? { 'content-length': body.length } : {} }, (response) => {
      let text = '';
      const end = (cut: boolean) => done({ status: response.statusCode ?? 0, headers: response.headers, body: text, cut });
      response.setEncoding('latin1').on('data', (part: string) => { text += part; }).on('end', () => end(false)).on('error', () => end(true));
    });
    asked.on('error', (error) => done({ failure: error.message }));
    asked.setTimeout(20_000, () => asked.destroy(new Error('no answer in twenty seconds')));
    if (leaveMs !== undefined) setTimeout(() => asked.destroy(new Error('left')), leaveMs);
    for (let at = 0; at < (body?.length ?? 0); at += 50_000) asked.write(body?.subarray(at, at + 50_000));
    asked.end();
  });
}

const pid = () => sidecar.child.pid as number;
const memory = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid()}/status`, 'utf8'))?.[1]) / 1024;
const files = () => readdirSync(`/proc/${pid()}/fd`).length;

describe.each(runtimes)('a sidecar on %s', (on) => {
  beforeAll(async () => {
    app = await startHostileApp();
    runtime = on;
    sidecar = await startSidecar({
      runtime,
      flags: [`--app-port=${app.port}`],
      resources: {
        'bus.yaml': resource('Component', 'bus', { type: 'pubsub.in-memory', version: 'v1' }),
        ...Object.fromEntries(trickNames.map((trick) => [`${trick}.yaml`, resource('Subscription', trick.toLowerCase(), { pubsubname: 'bus', topic: trick, routes: { default: `/delivery/${trick}/5` } }, 'dapr.io/v2alpha1')])),
      },
      waitFor: 'ready',
    });
  });
  afterAll(async () => {
    agent.destroy();
    await Promise.all([sidecar?.stop(), app?.stop()]);
  });

  test.runIf(process.platform === 'linux')('nobody gets the answer of somebody else, and neither connections nor memory stay', async () => {
    const random = randomFrom(seed);
    const filesBefore = files();
    const odd: string[] = [];
    const seen: Record<string, number> = {};
    let count = 0;
    let missed = 0;
    const one = async () => {
      const id = `c${(++count).toString(36)}x${random.below(2 ** 31).toString(36)}`;
      const trick = random.one(trickNames);
      const own = random.below(2 ** 31);
      if (random.chance(0.15)) {
        const heard = await call('POST', `/v1.0/publish/bus/${trick}`, Buffer.from(`"${id}"`));
        if (!cutElsewhere(heard) && ('failure' in heard || heard.status !== 204)) odd.push(`publish ${trick}: ${JSON.stringify(heard)}`);
        return;
      }
      const body = random.chance(0.5) ? Buffer.alloc(random.one([10, 5000, 20_000, 400_000]), 'b') : undefined;
      const leaveMs = random.chance(0.05) ? random.below(10) : undefined;
      const heard = await call(body ? 'POST' : random.one(['GET', 'DELETE']), `/v1.0/invoke/test/method/${id}/${trick}/${own}`, body, { whole: random.chance(0.6), leaveMs });
      const what = problem(heard, id, trick, bodyOf(randomFrom(own), id), leaveMs !== undefined);
      const kind = 'failure' in heard ? heard.failure : `${heard.status}${heard.cut ? ' cut' : ''}`;
      seen[kind] = (seen[kind] ?? 0) + 1;
      if (what === unlucky) missed++;
      else if (what) odd.push(`${what}: ${trick} ${body?.length} ${id} ${own}: ${JSON.stringify(heard).slice(0, 500)}`);
    };
    const run = (goal: number) => Promise.all(Array.from({ length: callers }, async () => { while (count < goal && odd.length < 10) await one(); }));

    await run(calls * 0.6); // the code is compiled and the heap has its size
    const memoryBefore = memory();
    await run(calls);
    expect(odd, `seed ${seed}`).toEqual([]);
    const grown = memory() - memoryBefore;
    expect(await call('GET', '/v1.0/invoke/test/method/plain')).toMatchObject({ status: 200, body: '{}' });
    agent.destroy();
    // calls whose caller went away and deliveries end by themselves; idle connections to the app are kept for seconds
    for (const end = Date.now() + 3000; (app.open() > 64 || files() > filesBefore + app.open() + 4) && Date.now() < end; ) await sleep(20);
    console.log(`${count} calls over ${app.connections()} connections; ${app.open()} of them open; files ${filesBefore} → ${files()}; ${missed} missed; ${memoryBefore.toFixed(0)} MiB + ${grown.toFixed(1)}; ${JSON.stringify(seen)}`);
    expect(missed, 'calls that met a closed connection').toBeLessThan(calls / 50);
    expect(app.open(), 'connections to the app').toBeLessThanOrEqual(64);
    expect(files(), 'open files').toBeLessThanOrEqual(filesBefore + app.open() + 4);
    expect(grown, 'MiB more than after the warm-up').toBeLessThan(64);
    expect(sidecar.log()).not.toMatch(/nhandled|uncaught/);
  }, 60_000 + calls * 10);
});

/** A connection that the app closed without a word behind an earlier answer: nothing is sent twice. */
const unlucky = 'the connection was gone';

/** Elsewhere than on Node the runtime's own server tells of a cut, in its way. */
const cutElsewhere = (heard: Heard): boolean => runtime !== 'node' && 'failure' in heard && /ECONNRESET|hang up/.test(heard.failure);

/** What is wrong with it, or undefined. */
function problem(heard: Heard, id: string, trick: string, body: string, left: boolean): string | undefined {
  if ('failure' in heard) return (left && heard.failure === 'left') || cutElsewhere(heard) ? undefined : heard.failure;
  const { answered } = tricks[trick] as (typeof tricks)[string];
  const ids = heard.body.split(';').slice(0, -1);
  if (trick !== 'changed' && answered !== 'broken' && heard.headers['x-call'] !== undefined) {
    if (heard.headers['x-call'] !== id || ids.some((other) => other !== id)) return 'the answer of somebody else';
  }
  if (heard.body.includes('evil') || JSON.stringify(heard.headers).includes('evil')) return 'an answer to a call that was not made';
  if (heard.headers['transfer-encoding'] !== undefined && heard.headers['content-length'] !== undefined) return 'two lengths';
  if (heard.status === 101) return 'a switch nobody asked for';
  if (left || runtime === 'deno') return undefined; // there the runtime's own client reads what the app says: what it takes for whole is its matter
  if (answered === 'whole' && heard.status === 500 && /: (EOF|read tcp \S+ read: connection reset by peer|write tcp \S+ write: broken pipe)"}$/.test(heard.body)) return unlucky;
  if (answered === 'whole') return heard.status === 200 && !heard.cut && heard.body === body ? undefined : 'not what the app said';
  if (heard.cut || trick === 'changed' || heard.headers['x-call'] === id) return answered === 'broken' && !heard.cut ? 'a broken answer that seems whole' : undefined;
  if (answered === 'either' && heard.status === 200 && heard.body === body) return undefined;
  try {
    const { errorCode } = JSON.parse(heard.body) as { errorCode?: string };
    return heard.status >= 500 && errorCode === 'ERR_DIRECT_INVOKE' ? undefined : 'an error without its code';
  } catch {
    return 'no coded error';
  }
}
