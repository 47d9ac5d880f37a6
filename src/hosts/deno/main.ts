// The sidecar as a Deno process.
import { outrigger } from '../cli/daprd.ts';
import { createFetchHttpClient, type DenoHttp, denoFetch } from '../fetch-http-client.ts';
import { listen } from './listen.ts';

declare const Deno: DenoHttp;

process.exit(await outrigger(process.argv.slice(2), { runtime: 'deno', createHttp: () => createFetchHttpClient(denoFetch(Deno)), listen }));
