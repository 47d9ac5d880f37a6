// The sidecar as a Node process.
import { daprd } from '../cli/daprd.ts';
import { createNodeHttpClient } from './http-client.ts';
import { listen } from './listen.ts';

process.exit(await daprd(process.argv.slice(2), { runtime: 'node', createHttp: createNodeHttpClient, listen }));
