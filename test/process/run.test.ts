// `outrigger run`: the app and its sidecar start, talk and end together. `npm start`: the banner.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { start, type Started } from '../harness/process.ts';
import { until } from '../harness/until.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'outrigger-run-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Says what it was given, serves on its port, obeys `/end/CODE`; with `stubborn` it ignores SIGTERM. */
writeFileSync(join(folder, 'app.mjs'), `
import { createServer } from 'node:http';
const { APP_ID, APP_PORT, APP_PROTOCOL, APP_CHANNEL_ADDRESS, DAPR_HTTP_PORT, DAPR_GRPC_PORT, DAPR_METRICS_PORT, HOST_ADDRESS, MINE } = process.env;
console.log('env ' + JSON.stringify({ APP_ID, APP_PORT, APP_PROTOCOL, APP_CHANNEL_ADDRESS, DAPR_HTTP_PORT, DAPR_GRPC_PORT, DAPR_METRICS_PORT, HOST_ADDRESS, MINE }));
console.error('to stderr');
process.on('SIGTERM', async () => {
  const answer = await fetch('http://localhost:' + DAPR_HTTP_PORT + '/v1.0/metadata').then((r) => r.status, () => 0);
  console.log('asked to end, the sidecar says ' + answer);
  if (!process.argv.includes('stubborn')) process.exit(process.argv.includes('angry') ? 9 : 0);
});
if (APP_PORT) createServer((request, response) => {
  const code = /^\\/end\\/(\\d+)/.exec(request.url)?.[1];
  response.end('hello from ' + APP_ID);
  if (code) setTimeout(() => { process.stdout.write('no line break'); process.exit(Number(code)); }, 20);
}).listen(Number(APP_PORT), '127.0.0.1');
else {
  const answer = await fetch('http://localhost:' + DAPR_HTTP_PORT + '/v1.0/state/statestore/none');
  console.log('at once: ' + answer.status);
  setInterval(() => {}, 1000);
}
`);
const app = [process.execPath, join(folder, 'app.mjs')];

const running: Started[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop('SIGKILL');
});
function run(flags: string[], command: string[] = app): Started {
  const started = start([join(root, 'bin/outrigger'), 'run', ...flags, '--', ...command], { cwd: folder, env: { OUTRIGGER_DATA: join(folder, 'data'), DAPR_RUNTIME_PATH: folder, MINE: 'kept', HOST_ADDRESS: 'untouched' } });
  running.push(started);
  return started;
}
const says = (started: Started, text: string) => until(() => started.log().includes(text)).catch(() => expect(started.log()).toContain(text));

describe('outrigger run', () => {
  test('gives the app Dapr’s environment, marks its lines, knows it in the metadata, ends with its code', async () => {
    const [appPort, httpPort] = [await freePort(), await freePort()];
    const started = run(['-a', 'shop', '-p', String(appPort), '-H', String(httpPort)]);
    await says(started, 'dapr initialized. Status: Running.');
    const env = JSON.parse(/== APP == env (.*)/.exec(started.log())?.[1] ?? '{}') as Record<string, string>;
    expect(env).toMatchObject({ APP_ID: 'shop', APP_PORT: String(appPort), APP_PROTOCOL: 'http', APP_CHANNEL_ADDRESS: '127.0.0.1', DAPR_HTTP_PORT: String(httpPort), HOST_ADDRESS: 'untouched', MINE: 'kept' });
    expect(Number(env.DAPR_GRPC_PORT)).toBeGreaterThan(0);
    expect(started.log()).toContain('== APP == to stderr\n');

    const { extended } = (await (await fetch(`http://127.0.0.1:${httpPort}/v1.0/metadata`)).json()) as { extended: Record<string, string> };
    expect(extended).toMatchObject({ cliPID: String(started.child.pid), appPID: expect.stringMatching(/^\d+$/), appCommand: app.join(' ') });
    const answer = await fetch(`http://127.0.0.1:${httpPort}/end/7`, { headers: { 'dapr-app-id': 'shop' } });
    expect(await answer.text()).toBe('hello from shop');
    expect(await started.exited).toEqual({ code: 7, signal: null });
    expect(started.log()).toContain('== APP == no line break\n');
    expect(started.log()).toContain('Daprd shutdown gracefully');
  });

  test('an app without a port starts when the API listens and may call at once', async () => {
    const started = run([]);
    await says(started, '== APP == at once: 204');
    started.child.kill('SIGINT');
    expect(await started.exited).toEqual({ code: 0, signal: null });
  });

  test('a signal ends the app first, which can still reach its sidecar; its own code counts', async () => {
    const started = run(['-p', String(await freePort())], [...app, 'angry']);
    await says(started, 'dapr initialized');
    started.child.kill('SIGTERM');
    expect(await started.exited).toEqual({ code: 9, signal: null });
    expect(started.log()).toContain('== APP == asked to end, the sidecar says 200');
  });

  test('a second signal ends an app that will not, at once', async () => {
    const started = run([], [...app, 'stubborn']);
    await says(started, 'at once');
    started.child.kill('SIGTERM');
    await says(started, 'asked to end');
    started.child.kill('SIGTERM');
    expect(await started.exited).toEqual({ code: 1, signal: null });
  });

  test('the end of the sidecar is the end of the app, and of what the app started', async () => {
    const httpPort = await freePort();
    const started = run(['-H', String(httpPort)], ['/bin/sh', '-c', 'sleep 60 & echo child $!; wait']);
    await says(started, 'dapr initialized');
    await says(started, '== APP == child ');
    const child = Number(/== APP == child (\d+)/.exec(started.log())?.[1]);
    await fetch(`http://127.0.0.1:${httpPort}/v1.0/shutdown`, { method: 'POST' });
    expect(await started.exited).toEqual({ code: 0, signal: null });
    await until(() => !lives(child));
  });

  test('a sidecar that cannot start takes the app along and ends with 1', async () => {
    const started = run(['-p', String(await freePort()), '--resources-path', 'nowhere']);
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.log()).toContain('Fatal error from runtime');
  });

  test.each([
    [['--nope'], 'unknown flag: --nope'],
    [['-f', 'dapr.yaml'], 'there is no run file dapr.yaml'],
    [['-f', 'dapr.json'], 'a run file ends in .yaml or .yml'],
    [['--log-level', 'loud'], 'invalid value for --log-level: loud'],
    [['--app-id', 'a.b'], 'parameter app-id cannot contain dots'],
  ])('%j is refused', async (flags, message) => {
    const started = run(flags);
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.log()).toContain(message);
    expect(started.log()).not.toContain('== APP ==');
  });

  test('a command that does not exist ends both with 127', async () => {
    const started = run([], ['no-such-program']);
    expect(await started.exited).toEqual({ code: 127, signal: null });
    expect(started.log()).toContain('could not start no-such-program');
  });
});

test('npm start shows who it is and what to try; one Ctrl-C ends it well', async () => {
  const port = await freePort();
  const started = start(['npm', 'start', '--', '--dapr-http-port', String(port), '--enable-metrics=false', '--dapr-internal-grpc-port', String(await freePort())], { cwd: root, env: { OUTRIGGER_DATA: join(folder, 'data') } });
  running.push(started);
  await says(started, 'Try:');
  expect(started.log()).toMatch(/Outrigger \d+\.\d+\.\d+, the API of Dapr 1\.18\.2\n/);
  expect(started.log()).toContain('app id      outrigger\n');
  const curls = [...started.log().matchAll(/^ {4}(curl .*)$/gm)].map((match) => match[1] as string);
  expect(curls).toHaveLength(3);
  const answers = await curls.reduce(async (before, line) => [...(await before), await shell(`${line} -s -o /dev/null -w '%{http_code}'`)], Promise.resolve<string[]>([]));
  expect(answers).toEqual(['204', '200', '204']);
  // as a terminal does: to every process of the group, and npm passes it on once more
  process.kill(-(started.child.pid as number), 'SIGINT');
  await says(started, 'Daprd shutdown gracefully');
  await started.exited;
  await until(async () => (await fetch(`http://127.0.0.1:${port}/v1.0/healthz`).then(() => false, () => true)));
});

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
async function shell(line: string): Promise<string> {
  const started = start(['/bin/sh', '-c', line]);
  await started.exited;
  return started.out();
}
