// The sidecar as a Bun process.
import { daprd } from '../cli/daprd.ts';
import { bunFetch, createFetchHttpClient } from '../fetch-http-client.ts';
import { listen } from './listen.ts';

process.exit(await daprd(process.argv.slice(2), { runtime: 'bun', createHttp: () => createFetchHttpClient(bunFetch), listen }));
