// Locks and configuration from a running sidecar, on every runtime: the embedded stores, and what the app hears of a changed file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../harness/ports.ts';
import { type Runtime, sidecarCommand, startApp } from '../harness/sidecar.ts';
import { start } from '../harness/process.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test.each<Runtime>(['node', 'bun', 'deno'])('%s without a folder of resources', async (runtime) => {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-embedded-'));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  writeFileSync(join(home, 'configuration.json'), '{"color":"red","size":{"value":"7","version":"2"}}');
  const app = await startApp(() => new Response(null, { status: 200 }));
  ends.push(() => app.stop());
  const launch = async (appId: string, flags: string[] = []) => {
    const port = await freePort();
    const started = start(
      [...sidecarCommand(runtime), `--app-id=${appId}`, `--dapr-http-port=${port}`, `--dapr-grpc-port=${await freePort()}`, `--dapr-internal-grpc-port=${await freePort()}`, `--metrics-port=${await freePort()}`, '--dapr-listen-addresses=127.0.0.1', '--dapr-internal-grpc-listen-address=127.0.0.1', ...flags],
      { cwd: home, env: { OUTRIGGER_DATA: join(home, 'data') } },
    );
    ends.push(() => started.stop());
    const http = `http://127.0.0.1:${port}`;
    for (const until = Date.now() + 20_000; (await fetch(`${http}/v1.0/healthz/outbound`).catch(() => undefined))?.status !== 204; await sleep(30)) {
      if (started.over() || Date.now() > until) throw new Error(started.log());
    }
    return http;
  };
  const [one, two] = [await launch('same', [`--app-port=${app.port}`]), await launch('same')];

  const lock = async (http: string, call: string, body: object) => (await fetch(`${http}/v1.0-alpha1/${call}/lockstore`, { method: 'POST', body: JSON.stringify(body) })).text();
  const mine = { resourceId: 'r', lockOwner: 'one' };
  expect(await lock(one, 'lock', { ...mine, expiryInSeconds: 60 })).toBe('{"success":true}');
  expect(await lock(two, 'lock', { ...mine, expiryInSeconds: 60 })).toBe('{"success":false}');
  expect(await lock(two, 'unlock', { resourceId: 'r', lockOwner: 'two' })).toBe('{"status":2}');
  expect(await lock(two, 'unlock', mine)).toBe('{"status":0}');
  expect(await lock(one, 'unlock', mine)).toBe('{"status":1}');

  const configuration = `${one}/v1.0/configuration/configstore`;
  expect(await (await fetch(configuration)).text()).toBe('{"color":{"value":"red"},"size":{"value":"7","version":"2"}}\n');
  const { id } = (await (await fetch(`${configuration}/subscribe?key=color`)).json()) as { id: string };
  writeFileSync(join(home, 'configuration.json'), '{"color":{"value":"blue","version":"2"},"size":"9"}');
  const posts = await app.saw(({ method }) => method === 'POST');
  expect(posts.map((request) => [request.target, request.text()])).toEqual([['/configuration/configstore/color', `{"id":"${id}","items":{"color":{"value":"blue","version":"2"}}}\n`]]);
  expect(await (await fetch(`${configuration}/${id}/unsubscribe`)).text()).toBe('{"ok":true}\n');
  expect((await fetch(`${two}/v1.0/configuration/configstore/subscribe?key=color`)).status).toBe(500); // it has no app
}, 40_000);
