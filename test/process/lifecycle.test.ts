// Starting and ending: what is answered while components load, what signals do, what a restart reads again.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { type Sidecar, startApp, startSidecar } from '../harness/sidecar.ts';

const component = (name: string, type: string, metadata: Record<string, string> = {}, more: Record<string, unknown> = {}) =>
  JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Component', metadata: { name }, spec: { type, version: 'v1', metadata: Object.entries(metadata).map(([key, value]) => ({ name: key, value })), ...more } });
const memory = component('mem', 'state.in-memory');

const toStop: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of toStop.splice(0).reverse()) await stop();
});
const sidecarWith = async (options: Parameters<typeof startSidecar>[0]): Promise<Sidecar> => {
  const sidecar = await startSidecar(options);
  toStop.push(() => sidecar.stop('SIGKILL'));
  return sidecar;
};
/** A server that takes connections and never says a word. */
async function muteServer(): Promise<number> {
  const server: Server = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
  toStop.push(async () => server.close());
  return port;
}
const slowRedis = async (timeout: string, ignoreErrors = false) => component('slow', 'state.redis', { redisHost: `127.0.0.1:${await muteServer()}` }, { initTimeout: timeout, ignoreErrors });
const status = async (url: string, init?: RequestInit) => {
  try {
    return (await fetch(url, { ...init, signal: AbortSignal.timeout(8000) })).status;
  } catch {
    return 0;
  }
};
async function until<T>(look: () => T | Promise<T>, ms = 8000): Promise<T> {
  for (const end = Date.now() + ms; ; await sleep(15)) {
    const found = await look();
    if (found || Date.now() > end) return found;
  }
}

describe('while components load', () => {
  test('the port is open, health says no, a call waits and is then answered', async () => {
    const sidecar = await sidecarWith({ resources: { '0.yaml': await slowRedis('1s', true), '1.yaml': memory }, waitFor: 'none' });
    expect(await until(() => status(`${sidecar.http}/v1.0/healthz`))).toBe(500);
    expect(await status(`${sidecar.http}/v1.0/healthz/outbound`)).toBe(500);
    expect(await status(`${sidecar.http}/v1.0/metadata`)).toBe(200);
    const started = Date.now();
    expect(await status(`${sidecar.http}/v1.0/state/mem`, { method: 'POST', body: '[{"key":"a","value":1}]' })).toBe(204);
    expect(Date.now() - started).toBeGreaterThan(300);
    expect(await status(`${sidecar.http}/v1.0/healthz/outbound`)).toBe(204);
    expect(await status(`${sidecar.http}/v1.0/state/slow/a`)).toBe(400);
  });
  test('a component that fails ends the sidecar with 1 and a line that names it', async () => {
    const sidecar = await sidecarWith({ resources: { '0.yaml': await slowRedis('300ms') }, waitFor: 'none' });
    expect(await sidecar.exited).toEqual({ code: 1, signal: null });
    expect(sidecar.log()).toMatch(/level=fatal msg="Fatal error from runtime: process component slow error: /);
  });
  test.each(['SIGTERM', 'SIGINT'] as const)('%s is a clean end', async (signal) => {
    const sidecar = await sidecarWith({ resources: { '0.yaml': await slowRedis('60s') }, waitFor: 'none' });
    await until(() => status(`${sidecar.http}/v1.0/healthz`));
    const waiting = status(`${sidecar.http}/v1.0/state/mem/a`);
    await sleep(50);
    sidecar.child.kill(signal);
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
    expect(await waiting).toBe(500);
    expect(sidecar.log().trim().split('\n').at(-1)).toContain('msg="Daprd shutdown gracefully"');
  });
});

describe('signals', () => {
  test('SIGQUIT ends it with 2', async () => {
    const sidecar = await sidecarWith({});
    sidecar.child.kill('SIGQUIT');
    expect(await sidecar.exited).toEqual({ code: 2, signal: null });
  });
  test('SIGHUP reads Configuration and resources again; what was in memory is gone, the process is the same', async () => {
    const sidecar = await sidecarWith({ resources: { 'mem.yaml': memory }, config: 'spec: {}\n' });
    await fetch(`${sidecar.http}/v1.0/state/mem`, { method: 'POST', body: '[{"key":"a","value":1}]' });
    writeFileSync(join(sidecar.home, 'resources/more.yaml'), component('more', 'state.in-memory'));
    sidecar.child.kill('SIGHUP');
    expect(await until(async () => (await status(`${sidecar.http}/v1.0/state/more/a`)) === 204)).toBe(true);
    expect(await status(`${sidecar.http}/v1.0/state/mem/a`)).toBe(204);
    sidecar.child.kill('SIGHUP');
    await sleep(30);
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
  test('SIGHUP with a broken Configuration ends it with 1', async () => {
    const sidecar = await sidecarWith({ config: 'spec: {}\n' });
    writeFileSync(join(sidecar.home, 'config.yaml'), 'spec: [');
    sidecar.child.kill('SIGHUP');
    expect(await sidecar.exited).toEqual({ code: 1, signal: null });
    expect(sidecar.log()).toContain('Fatal error from runtime: error loading configuration');
  });
});

describe('--dapr-block-shutdown-duration', () => {
  test('goes on working until the time is over; healthz says no, outbound yes', async () => {
    const sidecar = await sidecarWith({ resources: { 'mem.yaml': memory }, flags: ['--dapr-block-shutdown-duration=1s'], waitFor: 'ready' });
    sidecar.child.kill('SIGTERM');
    await until(() => sidecar.log().includes('Blocking graceful shutdown for 1s'));
    expect(await (await fetch(`${sidecar.http}/v1.0/healthz`)).json()).toMatchObject({ message: 'dapr is not ready: [security-provider]' });
    expect(await status(`${sidecar.http}/v1.0/healthz/outbound`)).toBe(204);
    expect(await status(`${sidecar.http}/v1.0/state/mem/a`)).toBe(204);
    const started = Date.now();
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
    expect(Date.now() - started).toBeGreaterThan(600);
    expect(sidecar.log()).toContain('Block shutdown period expired, entering shutdown...');
  });
  test('the shutdown API does not wait for it', async () => {
    const sidecar = await sidecarWith({ flags: ['--dapr-block-shutdown-duration=1h'] });
    expect(await status(`${sidecar.http}/v1.0/shutdown`, { method: 'POST' })).toBe(204);
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
  test('ends early when the app is unhealthy', async () => {
    const app = await startApp(() => new Response('ok'));
    toStop.push(() => app.stop());
    const sidecar = await sidecarWith({ flags: ['--dapr-block-shutdown-duration=1h', `--app-port=${app.port}`, '--enable-app-health-check', '--app-health-probe-interval=1', '--app-health-threshold=1'], waitFor: 'ready' });
    await until(() => sidecar.log().includes('App entered healthy status'));
    sidecar.child.kill('SIGTERM');
    await until(() => sidecar.log().includes('Blocking graceful'));
    await app.stop();
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
    expect(sidecar.log()).toContain('App reported unhealthy, entering shutdown...');
  });
});

describe('listening', () => {
  const hasIPv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1');
  test('by default on every interface, IPv4 and IPv6', async () => {
    const sidecar = await sidecarWith({ flags: ['--dapr-listen-addresses='] });
    expect(await status(`http://127.0.0.1:${sidecar.ports.http}/v1.0/healthz/outbound`)).toBe(204);
    if (hasIPv6) expect(await status(`http://[::1]:${sidecar.ports.http}/v1.0/healthz/outbound`)).toBe(204);
  });
  test('on the addresses named, and on those of them that can be had', async () => {
    const sidecar = await sidecarWith({ flags: ['--dapr-listen-addresses=127.0.0.2,203.0.113.9,127.0.0.3'], waitFor: 'none' });
    expect(await until(() => status(`http://127.0.0.2:${sidecar.ports.http}/v1.0/healthz/outbound`))).toBe(204);
    expect(await status(`http://127.0.0.3:${sidecar.ports.http}/v1.0/healthz/outbound`)).toBe(204);
    expect(await status(`http://127.0.0.1:${sidecar.ports.http}/v1.0/healthz/outbound`)).toBe(0);
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
  test('waits for a port that is about to be free', async () => {
    const port = await freePort();
    const before = createServer();
    await new Promise<void>((done) => before.listen(port, '127.0.0.1', done));
    const sidecar = await sidecarWith({ flags: [`--dapr-http-port=${port}`], waitFor: 'none' });
    await until(() => sidecar.log().includes('app id: test'));
    await sleep(300);
    before.close();
    expect(await until(async () => (await status(`http://127.0.0.1:${port}/v1.0/healthz/outbound`)) === 204)).toBe(true);
  });
  test('a stop while it waits for one is a clean end', async () => {
    const port = await freePort();
    const before = createServer();
    await new Promise<void>((done) => before.listen(port, '127.0.0.1', done));
    toStop.push(async () => before.close());
    const sidecar = await sidecarWith({ flags: [`--dapr-http-port=${port}`], waitFor: 'none' });
    await until(() => sidecar.log().includes('app id: test'));
    await sleep(100);
    sidecar.child.kill('SIGTERM');
    expect(await sidecar.exited).toEqual({ code: 0, signal: null });
  });
  test('a socket goes at the end; one that a killed sidecar left is replaced, one in use is not', async () => {
    const sidecar = await sidecarWith({ flags: ['--unix-domain-socket=.'], waitFor: 'none' });
    const socket = join(sidecar.home, 'dapr-test-http.socket');
    await until(() => existsSync(socket));
    await until(() => sidecar.log().includes('dapr initialized'));
    const second = await sidecarWith({ flags: [`--unix-domain-socket=${sidecar.home}`], waitFor: 'none' });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.log()).toContain('Fatal error from runtime: failed to start HTTP server');
    sidecar.child.kill('SIGKILL');
    await sidecar.exited;
    expect(existsSync(socket)).toBe(true);

    const third = await sidecarWith({ flags: [`--unix-domain-socket=${sidecar.home}`], waitFor: 'none' });
    await until(() => third.log().includes('dapr initialized'));
    third.child.kill('SIGTERM');
    expect(await third.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(socket)).toBe(false);
  });
});

describe('embedded components', () => {
  test('a state store, a pub/sub and secrets where no folder is named; data stays in the data folder', async () => {
    const data = join(process.env.TMPDIR ?? '/tmp', `outrigger-data-${process.pid}`);
    toStop.push(async () => rmSync(data, { recursive: true, force: true }));
    const port = await freePort();
    // the harness always names a folder, and an empty list is none
    const sidecar = await sidecarWith({ flags: [], env: { OUTRIGGER_DATA: data, TEST_SECRET: 's3' }, command: [join(import.meta.dirname, '../../bin/daprd'), ...bare(port)], waitFor: 'none' });
    const http = `http://127.0.0.1:${port}`;
    await until(async () => (await status(`${http}/v1.0/healthz/outbound`)) === 204);
    expect(await status(`${http}/v1.0/state/statestore`, { method: 'POST', body: '[{"key":"a","value":1}]' })).toBe(204);
    expect(existsSync(join(data, 'state.db'))).toBe(true);
    expect(await (await fetch(`${http}/v1.0/secrets/secretstore/TEST_SECRET`)).json()).toEqual({ TEST_SECRET: 's3' });
    expect(await status(`${http}/v1.0/publish/pubsub/t`, { method: 'POST', body: '{}' })).toBe(204);
    sidecar.child.kill('SIGTERM');
    await sidecar.exited;
  });
  test('none of them beside a folder, not even an empty one', async () => {
    const sidecar = await sidecarWith({});
    expect(await (await fetch(`${sidecar.http}/v1.0/metadata`)).json()).not.toHaveProperty('components');
  });
});
/** Ends the flags before the harness's own. */
const bare = (port: number) => ['--app-id=bare', `--dapr-http-port=${port}`, '--enable-metrics=false', '--dapr-listen-addresses=127.0.0.1', '--dapr-internal-grpc-listen-address=127.0.0.1', '--'];

test('components see what daprd sets; --log-file takes the log', async () => {
  const sidecar = await sidecarWith({
    resources: { 'env.yaml': component('env', 'secretstores.local.env') }, env: { DAPR_HOST_IP: '127.0.0.9', APP_ID: 'other' }, flags: ['--log-file=out.log', '--log-as-json'],
  });
  const secrets = async (key: string) => ((await (await fetch(`${sidecar.http}/v1.0/secrets/env/${key}`)).json()) as Record<string, string>)[key];
  expect([await secrets('APP_ID'), await secrets('APP_PORT'), await secrets('HOST_ADDRESS')]).toEqual(['test', '0', '127.0.0.9']);
  expect(sidecar.log()).toBe('');
  const lines = readFileSync(join(sidecar.home, 'out.log'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { msg: string });
  expect(lines.map(({ msg }) => msg)).toContain('app id: test');
});
