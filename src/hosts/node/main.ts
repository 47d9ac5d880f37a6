// The sidecar as a Node process.
import module from 'node:module';
import { join } from 'node:path';

// V8's work on the built files is kept beside them, where that folder can be written
if (import.meta.filename.endsWith('.js')) module.enableCompileCache?.(join(import.meta.dirname, '.cache'));

const { outrigger } = await import('../cli/daprd.ts');
const { createNodeHttpClient } = await import('./http-client.ts');
process.exit(await outrigger(process.argv.slice(2), { runtime: 'node', createHttp: createNodeHttpClient, listen: async (...args) => (await import('./listen.ts')).listen(...args) }));
