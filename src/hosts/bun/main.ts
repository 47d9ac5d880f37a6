// The sidecar as a Bun process.
import { outrigger } from '../cli/daprd.ts';
import { createBunHttpClient } from './http-client.ts';
import { listen } from './listen.ts';

process.exit(await outrigger(process.argv.slice(2), { runtime: 'bun', createHttp: createBunHttpClient, listen }));
