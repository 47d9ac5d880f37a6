// The sidecar as a Node process.
import { outrigger } from '../cli/daprd.ts';
import { createNodeHttpClient } from './http-client.ts';
import { listen } from './listen.ts';

process.exit(await outrigger(process.argv.slice(2), { runtime: 'node', createHttp: createNodeHttpClient, listen }));
