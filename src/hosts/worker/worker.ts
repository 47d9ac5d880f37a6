// The sidecar as a Cloudflare Worker: opened once per isolate by the first request, configured by variables, reached over fetch.
import { manifest, nameResolvers } from '../../adapters/manifest.workers.ts';
import { createApp, type Outrigger } from '../../app/create-app.ts';
import { incomingFromRequest } from '../../app/http/incoming.ts';
import { daprVersion } from '../../app/settings.ts';
import { loadConfiguration } from '../../blocks/resources/configuration.ts';
import { loadResources, type ResourceText } from '../../blocks/resources/loader.ts';
import type { Host } from '../../core/host.ts';
import { createLogger, type Logger } from '../../core/log.ts';
import { createFetchHttpClient, workersFetch } from '../fetch-http-client.ts';
import { readVariables } from './variables.ts';

/** A Worker's `env`: text variables and secrets, and platform objects (KV, D1, services, …). */
export type WorkerEnv = Readonly<Record<string, unknown>>;
interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void;
}
export interface WorkerOptions {
  /** YAML documents deployed with the Worker; those of the variable DAPR_RESOURCES come on top. */
  resources?: () => Promise<readonly ResourceText[]>;
}

/** Connections a Worker may have open at once for one request. */
const maxParallel = 6;

/** Does nothing before the first request: a Worker's global scope allows no input or output. */
export function createWorker({ resources }: WorkerOptions = {}) {
  let opening: Promise<Opened> | undefined;
  return {
    fetch: async (request: Request, env: WorkerEnv, context: ExecutionContext): Promise<Response> => {
      if (opening === undefined) {
        opening = open(env, resources);
        // the next request tries again: a component may only have been away
        opening.catch(() => { opening = undefined; });
        // others may wait for it when the caller that started it has left
        context.waitUntil(opening.catch(() => {}));
      }
      let sidecar: Opened;
      try {
        sidecar = await opening;
      } catch (error) {
        return Response.json({ errorCode: 'ERR_HEALTH_NOT_READY', message: `dapr is not ready: ${error instanceof Error ? error.message : String(error)}` }, { status: 500 });
      }
      const response = await sidecar.serve(request);
      context.waitUntil(sidecar.flushSpans());
      return response;
    },
  };
}

/** An open sidecar, as requests see it. */
type Serve = (request: Request) => Response | Promise<Response>;
interface Opened {
  serve: Serve;
  flushSpans(): Promise<void>;
}

async function open(env: WorkerEnv, bundled: WorkerOptions['resources']): Promise<Opened> {
  const texts = textsOf(env);
  const { settings, metricsPath, level, json, resources, configuration } = readVariables(texts);
  const log = createLogger({ appId: settings.appId, instance: 'worker', version: daprVersion, level, json, write });
  const stop = new AbortController();
  try {
    const host: Host = {
      runtime: 'workers', env: texts, hostname: 'worker', address: '', http: createFetchHttpClient(workersFetch), objects: objectsOf(env), maxParallel, background: false, write,
    };
    const all = [...((await bundled?.()) ?? []), ...resources];
    const known = loadConfiguration(configuration, texts);
    // mDNS, the default elsewhere, does not exist here: without a list of its own the Worker knows no other app
    known.nameResolution ??= { component: 'static', version: 'v1', configuration: { apps: {} } };
    const app = createApp({
      host, settings, configuration: known, manifest, nameResolvers, log,
      resources: loadResources(all, { appId: settings.appId, namespace: settings.namespace, log }),
      onShutdown: () => log.warn('A Worker cannot be shut down by its API'),
    });
    warn(settings.apiToken, log);
    await app.start(stop.signal);
    log.info(`dapr initialized. Status: Running. ${app.components.all().length} components`);
    return { serve: withMetrics(app, metricsPath, settings.apiToken), flushSpans: app.flushSpans };
  } catch (error) {
    stop.abort();
    log.fatal(`Fatal error from runtime: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  }
}

/** A Worker has one address for everything: its metrics are behind a path of it, and behind the token of the API. */
function withMetrics({ fetch, handleMetrics }: Outrigger, path: string, token: string): Serve {
  if (handleMetrics === undefined) return fetch;
  return (request) => {
    if (new URL(request.url).pathname !== path) return fetch(request);
    if (token !== '' && request.headers.get('dapr-api-token') !== token) return new Response('invalid api token\n', { status: 401 });
    return handleMetrics(incomingFromRequest(request));
  };
}

function warn(apiToken: string, log: Logger): void {
  if (apiToken === '') log.warn('DAPR_API_TOKEN is not set: everybody who knows the address of this Worker can use it');
}

const textsOf = (env: WorkerEnv): Record<string, string> => Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
const objectsOf = (env: WorkerEnv): Record<string, unknown> => Object.fromEntries(Object.entries(env).filter(([, value]) => typeof value === 'object' && value !== null));
const write = (line: string): void => console.log(line);
