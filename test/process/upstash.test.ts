// state.upstash.redis on every runtime: the built sidecar in front of a real Redis behind Upstash's protocol, with values that are no text.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWithServer } from '../harness/describe.ts';
import { type Runtime, startSidecar } from '../harness/sidecar.ts';
import { startUpstash } from '../harness/upstash-proxy.ts';

describeWithServer('redis', 'state.upstash.redis on each runtime', () => {
  let upstash: Awaited<ReturnType<typeof startUpstash>>;
  beforeAll(async () => {
    upstash = await startUpstash('right');
  });
  afterAll(() => upstash.stop());

  test.each<Runtime>(['node', 'bun', 'deno'])('%s', async (runtime) => {
    const resources = {
      'store.yaml': `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\nspec:\n  type: state.upstash.redis\n  version: v1\n  metadata: [{name: url, value: '${upstash.url}'}, {name: token, value: right}]\n`,
    };
    const sidecar = await startSidecar({ runtime, resources });
    try {
      const url = `${sidecar.http}/v1.0/state/store`;
      const value = { text: 'caf\u00e9 \u4e2d \u{1f600}', n: 1 };
      expect((await fetch(url, { method: 'POST', body: JSON.stringify([{ key: `${runtime}-json`, value }]) })).status).toBe(204);
      expect(await (await fetch(`${url}/${runtime}-json`)).json()).toEqual(value);
      expect(JSON.parse(String(await upstash.redis.command('HGET', `test||${runtime}-json`, 'data')))).toEqual(value);

      const bytes = Buffer.from(Uint8Array.from({ length: 70_000 }, (_, i) => i));
      await upstash.redis.command('HSET', `test||${runtime}-bytes`, 'data', bytes, 'version', '7');
      const got = await fetch(`${url}/${runtime}-bytes`);
      expect(got.headers.get('etag')).toBe('7');
      expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);

      const operations = [{ operation: 'upsert', request: { key: `${runtime}-a`, value: '\u00ff' } }, { operation: 'delete', request: { key: `${runtime}-json` } }];
      expect((await fetch(`${url}/transaction`, { method: 'POST', body: JSON.stringify({ operations }) })).status).toBe(204);
      expect(await (await fetch(`${url}/bulk`, { method: 'POST', body: JSON.stringify({ keys: [`${runtime}-a`, `${runtime}-json`] }) })).json()).toEqual([
        { key: `${runtime}-a`, data: '\u00ff', etag: '1' },
        { key: `${runtime}-json` },
      ]);
    } finally {
      await sidecar.stop();
    }
  });
});
