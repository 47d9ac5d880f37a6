// The sidecar as a Node process.
import module from 'node:module';
import { join } from 'node:path';
import type { HttpPort } from '../../core/host.ts';
import type { Platform } from '../cli/platform.ts';

// V8's work on the built files is kept beside them, where that folder can be written
if (import.meta.filename.endsWith('.js')) module.enableCompileCache?.(join(import.meta.dirname, '.cache'));

/** The outbound client is loaded with the first call: a sidecar that makes none is ready sooner. */
const createHttp: Platform['createHttp'] = (options) => {
  type Client = ReturnType<typeof import('./http-client.ts').createNodeHttpClient>;
  let client: Client | undefined;
  let loading: Promise<Client> | undefined;
  const load = async () => {
    client = (await import('./http-client.ts')).createNodeHttpClient(options);
    return client;
  };
  const send: HttpPort['send'] = (request) => {
    if (client) return client.send(request);
    loading ??= load();
    return loading.then((loaded) => loaded.send(request));
  };
  return { send, close: async () => client?.close() };
};

const { outrigger } = await import('../cli/daprd.ts');
process.exit(await outrigger(process.argv.slice(2), { runtime: 'node', createHttp, listen: async (...args) => (await import('./listen.ts')).listen(...args) }));
