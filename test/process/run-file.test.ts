// `outrigger run -f`: several apps from one run file, each with a sidecar, ended together.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { type Started, start } from '../harness/process.ts';

const bin = resolve(import.meta.dirname, '../../bin/outrigger');
const home = mkdtempSync(join(tmpdir(), 'outrigger-run-file-'));
const running = new Set<Started>();
afterAll(async () => {
  await Promise.all([...running].map((one) => one.stop()));
  rmSync(home, { recursive: true, force: true });
});

const app = `
import { createServer } from 'node:http';
const { APP_ID, APP_PORT, DAPR_HTTP_PORT, GREETING } = process.env;
createServer((_, response) => response.end(JSON.stringify({ APP_ID, DAPR_HTTP_PORT, GREETING }))).listen(Number(APP_PORT), '127.0.0.1', () => console.log('listening'));
`;

function runFile(name: string, text: string): Started {
  writeFileSync(join(home, name), text);
  const started = start([bin, 'run', '-f', name], { cwd: home });
  running.add(started);
  return started;
}
async function eventually<T>(what: () => Promise<T | undefined>, log: () => string): Promise<T> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(50)) {
    const value = await what().catch(() => undefined);
    if (value !== undefined) return value;
  }
  throw new Error(`did not happen:\n${log()}`);
}

describe('outrigger run -f', () => {
  it('starts every app with its sidecar, keeps their logs apart, ends all with 0', async () => {
    for (const folder of ['one', 'two']) {
      mkdirSync(join(home, folder));
      writeFileSync(join(home, folder, 'app.mjs'), app);
    }
    const [first, second, http] = [await freePort(), await freePort(), await freePort()];
    mkdirSync(join(home, 'resources'));
    const names = JSON.stringify({ apiVersion: 'dapr.io/v1alpha1', kind: 'Configuration', metadata: { name: 'c' }, spec: { nameResolution: { component: 'sqlite', configuration: { connectionString: join(home, 'names.sqlite') } } } });
    writeFileSync(join(home, 'config.yaml'), names);
    const started = runFile('apps.yaml', `
version: 1
common: { resourcesPath: resources, configFilePath: config.yaml, env: { GREETING: hello } }
apps:
  - { appDirPath: one, appPort: ${first}, daprHTTPPort: ${http}, command: [node, app.mjs] }
  - { appID: other, appDirPath: two, appPort: ${second}, command: [node, app.mjs], env: { GREETING: own } }
`);
    // through the first sidecar to the second app: both apps, both sidecars and the names are there
    const answerOf = (appId: string) => eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${http}/v1.0/invoke/${appId}/method/x`);
      return response.status === 200 ? ((await response.json()) as Record<string, string>) : undefined;
    }, started.log);
    expect(await answerOf('other')).toMatchObject({ APP_ID: 'other', GREETING: 'own' });
    expect(await answerOf('one')).toEqual({ APP_ID: 'one', DAPR_HTTP_PORT: String(http), GREETING: 'hello' });

    // calls are answered before everything is started
    await eventually(async () => ((await fetch(`http://127.0.0.1:${http}/v1.0/healthz`)).status === 204 ? true : undefined), started.log);
    expect(await started.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(started.log()).toContain('== APP - one == listening\n');
    expect(started.log()).toContain('== APP - other == listening\n');
    expect(started.log()).not.toContain('level=info'); // the sidecars write to files unless told otherwise
    const logs = readdirSync(join(home, 'one/.dapr/logs'));
    expect(logs.map((name) => name.replace(/\d+/, 'TIME')).sort()).toEqual(['one_app_TIME.log', 'one_daprd_TIME.log']);
    expect(readFileSync(join(home, 'one/.dapr/logs', logs.find((name) => name.includes('_daprd_')) as string), 'utf8')).toContain('dapr initialized. Status: Running.');
  }, 60_000);

  it('ends all with 1 when one cannot start', async () => {
    mkdirSync(join(home, 'three'));
    const started = runFile('bad.yaml', `
version: 1
apps:
  - { appDirPath: three, appID: a.b, command: [sleep, '60'] }
  - { appDirPath: three, appID: good, command: [sleep, '60'] }
`);
    expect(await started.exited).toEqual({ code: 1, signal: null });
    expect(started.log()).toContain('a.b ended with 1');
  }, 30_000);
});
