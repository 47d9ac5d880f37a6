// What is measured: sidecars of any Dapr-compatible command, and the bare programs they are measured against.
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, waitForPort } from '../test/harness/ports.ts';
import { start } from '../test/harness/process.ts';
import { type Runtime, sidecarCommand, startSidecar } from '../test/harness/sidecar.ts';

export type Store = 'memory' | 'sqlite' | 'redis';
/** One or more processes that take requests on a port; `groups` are their process groups. */
export type Process = { port: number; groups: number[]; stop(): Promise<unknown> };
export type Bare = Record<'app' | 'hono' | 'relay' | 'twoRelays' | 'deliveryRelay' | 'subscriber', Process>;
/** A sidecar beside the app, one that calls it through the first, and one whose app takes the deliveries. */
export type Subject = { name: string; isPlain?: boolean; state?: Process; invoke?: Process; invokeTwo?: Process; deliver?: Process };
/** `flags` and `tracing` (section of the Configuration) are what one form of a command differs in from another; `isPlain`: the form others are held against. */
export type Command = { name: string; words: string[]; flags?: string[]; tracing?: object; isPlain?: boolean };

export const appId = 'bench-app';
const bin = (name: string) => resolve(import.meta.dirname, '../node_modules/.bin', name);

/** `built`, `built:bun` and the like are this project's own sidecar; anything else is a command line, with `name=` before it if wanted. */
export function readCommand(text: string, runtime: Runtime): Command {
  const built = text.match(/^built(?::(node|bun|deno))?$/);
  const [, name, line = text] = text.match(/^([\w.-]+)=(.*)$/) ?? [];
  if (!built) return { name: name ?? line.split(' ')[0]?.split('/').pop() ?? line, words: line.split(' ') };
  const host = (built[1] ?? runtime) as Runtime;
  return { name: `outrigger (${host})`, words: sidecarCommand(host) };
}

/** What watching a sidecar costs: the same command without metrics and spans, with the one, with the other, and with both. No span is sampled: the exporter's address is nobody's. */
export function watchedForms({ name, words }: Command): Command[] {
  const off = '--enable-metrics=false';
  const unsampled = { samplingRate: '0.000000000001', zipkin: { endpointAddress: 'http://127.0.0.1:1/api/v2/spans' } };
  const form = (what: string, more: Partial<Command>): Command => ({ name: `${name} ${what}`, words, ...more });
  const silent = { samplingRate: '0' };
  return [
    form('unwatched', { flags: [off], tracing: silent, isPlain: true }),
    form('+ metrics', { tracing: silent }),
    form('+ spans, none sampled', { flags: [off], tracing: unsampled }),
    form('+ both', { tracing: unsampled }),
  ];
}

/** A bare program of this folder, listening on a fresh port. */
export async function startBare(program: string, runtime: 'node' | 'bun', ...args: number[]): Promise<Process> {
  const port = await freePort();
  const started = start([bin(runtime), join(import.meta.dirname, 'bare', `${program}-${runtime}.ts`), String(port), ...args.map(String)]);
  try {
    await waitForPort(port);
  } catch {
    throw new Error(`bare/${program}-${runtime}.ts did not start: ${started.log()}`);
  }
  return { port, groups: [started.child.pid ?? 0], stop: () => started.stop('SIGKILL') };
}

export async function startAllBare(runtime: 'node' | 'bun', deliveries: number): Promise<Bare> {
  const app = await startBare('app', 'bun');
  const relay = await startBare('relay', runtime, app.port);
  const second = await startBare('relay', runtime, relay.port);
  const both = { ...second, groups: [...second.groups, ...relay.groups] };
  return { app, relay, twoRelays: both, hono: await startBare('hono', runtime), deliveryRelay: await startBare('relay', runtime, deliveries), subscriber: await startBare('subscriber', runtime) };
}

export async function startSubject({ name, words, flags: own = [], tracing, isPlain = false }: Command, where: { app: number; deliveries: number; dir: string; redis?: number; stores: Store[] }): Promise<Subject> {
  // the two sidecars find each other through one file
  const names = join(where.dir, `names-${name.replaceAll(/\W+/g, '-')}.db`);
  const run = async (id: string, flags: string[], resources: Record<string, string>) => {
    const sidecar = await startSidecar({ command: words, flags: [`--app-id=${id}`, '--log-level=warn', ...own, ...flags], resources, config: configuration(names, tracing), env: { DAPR_HOST_IP: '127.0.0.1' } });
    return { port: sidecar.ports.http, groups: [sidecar.child.pid ?? 0], stop: () => sidecar.stop() };
  };
  const beside = await run(appId, [`--app-port=${where.app}`], Object.fromEntries(where.stores.map((store) => [`${store}.yaml`, stateStore(store, where)])));
  const caller = await run('bench-caller', [], {});
  const subscriber = await run('bench-subscriber', [`--app-port=${where.deliveries}`], subscriberResources);
  return { name, isPlain, state: beside, invoke: beside, invokeTwo: { ...caller, groups: [...caller.groups, ...beside.groups] }, deliver: subscriber };
}

/** How long until it is ready, and what it holds a second later. `ready` is asked for 204. */
export async function startOnce({ words }: Command): Promise<{ ms: number; process: Process }> {
  const begin = performance.now();
  const sidecar = await startSidecar({ command: words, waitFor: 'none', resources: { 'memory.yaml': component('memory', 'state.in-memory') }, flags: ['--log-level=warn'] });
  await untilReady(sidecar.ports.http);
  return { ms: performance.now() - begin, process: { port: sidecar.ports.http, groups: [sidecar.child.pid ?? 0], stop: () => sidecar.stop() } };
}

export async function startHonoOnce(runtime: 'node' | 'bun'): Promise<{ ms: number; process: Process }> {
  const begin = performance.now();
  const process = await startBare('hono', runtime);
  await untilReady(process.port);
  return { ms: performance.now() - begin, process };
}

async function untilReady(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}/v1.0/healthz/outbound`;
  const ready = () => fetch(url).then(({ status }) => status === 204, () => false);
  for (const end = Date.now() + 20_000; !(await ready()); await sleep(4)) if (Date.now() > end) throw new Error(`nothing ready on port ${port}`);
}

function stateStore(store: Store, { dir, redis }: { dir: string; redis?: number }): string {
  if (store === 'redis') return component('redis', 'state.redis', { redisHost: `127.0.0.1:${redis}`, redisPassword: '' });
  if (store === 'sqlite') return component('sqlite', 'state.sqlite', { connectionString: join(dir, `state-${Math.random().toString(36).slice(2)}.db`) });
  return component('memory', 'state.in-memory');
}

const component = (name: string, type: string, metadata: Record<string, string> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([name, value]) => ({ name, value })) } });
const pubsub = component('memory', 'pubsub.in-memory');
const subscription = (topic: string, route: string, bulkSubscribe?: object, pubsubname = 'memory') =>
  JSON.stringify({ apiVersion: 'dapr.io/v2alpha1', kind: 'Subscription', metadata: { name: topic }, spec: { pubsubname, topic, routes: { default: route }, ...(bulkSubscribe ? { bulkSubscribe } : {}) } });
/** In-memory pub/sub with one topic delivered message by message to /deliver, one in batches to /batch, and a component that delivers many messages at once (daprd knows no such thing and does one after another). */
export const subscriberResources = {
  'pubsub.yaml': pubsub,
  'parallel.yaml': component('parallel', 'pubsub.in-memory', { concurrencyMode: 'parallel' }),
  'parallel-subscription.yaml': subscription('bench-parallel', '/deliver', undefined, 'parallel'),
  'subscription.yaml': subscription('bench', '/deliver'),
  'bulk.yaml': subscription('bench-bulk', '/batch', { enabled: true, maxMessagesCount: 100, maxAwaitDurationMs: 100 }),
};
/** How they are published. */
export const publishedMessages = { single: { publish: '/v1.0/publish/memory/bench' }, parallel: { publish: '/v1.0/publish/parallel/bench-parallel' }, bulk: { publish: '/v1.0/publish/bulk/memory/bench-bulk', entries: 100 } };
const configuration = (file: string, tracing: object | undefined) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'bench' }, spec: { nameResolution: { component: 'sqlite', version: 'v1', configuration: { connectionString: file } }, ...(tracing ? { tracing } : {}) } });
