import { expect, it } from 'vitest';
import type { AnyDefinition, Manifest } from '../blocks/components/definition.ts';
import { loadConfiguration } from '../blocks/resources/configuration.ts';
import { loadResources } from '../blocks/resources/loader.ts';
import type { Host } from '../core/host.ts';
import { createLogger } from '../core/log.ts';
import { schema } from '../core/metadata.ts';
import { createApp } from './create-app.ts';
import type { Settings } from './settings.ts';

const log = createLogger({ appId: '', instance: '', version: '', write: () => undefined });
const settings: Settings = {
  appId: 'app', namespace: '', mode: 'standalone', app: { port: 0, protocol: 'http', address: '127.0.0.1', maxConcurrency: 0, health: undefined, initEndpoints: { config: false, subscribe: false }, bindingOptionsTimeoutMs: 0 },
  apiToken: '', appToken: '', maxBodyBytes: 0, allowedOrigins: '', apiLogging: undefined, metrics: false, httpPort: 0, internalPort: 1, placementConfigured: false,
};

it('a stop while components load closes each once, the one being opened too, and opens no more', async () => {
  const happened: string[] = [];
  let goOn = () => {};
  const slow = new Promise<void>((resolve) => { goOn = resolve; });
  const definition = {
    block: 'state', type: 'state.test', status: 'stable', runtimes: ['node'], features: [], summary: '', metadata: schema({}),
    open: async (_: unknown, { name }: { name: string }) => {
      happened.push(`open ${name}`);
      if (name === 'second') await slow;
      return { close: async () => void happened.push(`close ${name}`) };
    },
  } as unknown as AnyDefinition;
  const manifest: Manifest = [{ type: 'state.test', load: async () => ({ default: definition }) }];
  const text = ['first', 'second', 'third'].map((name) => `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: ${name} }\nspec: { type: state.test, version: v1 }\n`).join('---\n');
  const resolver = { type: 'nameresolution.test', summary: '', open: async () => ({ cacheMs: 0, resolve: async () => [], close: async () => void happened.push('close resolver') }) };
  const app = createApp({
    host: { runtime: 'node', env: {}, http: {}, maxParallel: 1 } as unknown as Host, settings, log, manifest, nameResolvers: [{ type: resolver.type, load: async () => ({ default: resolver }) }],
    configuration: loadConfiguration([{ file: 'c', text: 'apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: { name: c }\nspec: { nameResolution: { component: test } }' }], {}),
    resources: loadResources([{ file: 'r', text }], { appId: 'app', namespace: '', log }), onShutdown: () => undefined,
  });
  const stop = new AbortController();
  const started = app.start(stop.signal);
  while (!happened.includes('open second')) await new Promise((done) => setTimeout(done, 1));
  stop.abort();
  await app.stop();
  goOn();
  await started;
  await app.stop();
  expect(happened.filter((what) => what !== 'close resolver')).toEqual(['open first', 'open second', 'close first', 'close second']);
  expect(happened.filter((what) => what === 'close resolver')).toHaveLength(1);
});
