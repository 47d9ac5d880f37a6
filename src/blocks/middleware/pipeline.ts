// `spec.httpPipeline` and `spec.appHttpPipeline`: the handlers a request passes, in order (Dapr: pkg/middleware/http/pipeline.go, pkg/middleware/store).
import type { Logger } from '../../core/log.ts';
import type { Loaded } from '../components/store.ts';
import type { PipelineHandler } from '../resources/kinds.ts';
import type { HttpMiddleware, MiddlewareAnswer, MiddlewareRequest, Next } from './port.ts';

export interface Pipeline {
  /** Takes a request through the handlers that are loaded now; `last` is what they stand in front of. */
  run(request: MiddlewareRequest, last: Next): Promise<MiddlewareAnswer>;
}

export interface PipelineOptions {
  handlers: readonly PipelineHandler[];
  /** The open middleware components by name. */
  components: ReadonlyMap<string, Loaded<HttpMiddleware>>;
  /** Makes a call that uses this component, after its replacement where that is under way. Default: at once. */
  during?: <T>(name: string, call: () => T | Promise<T>) => T | Promise<T>;
  log?: Logger;
}

/**
 * undefined without handlers. A handler names a component by name, type and version, exactly; one that is not loaded is passed over,
 * with a warning when that begins: it may have been there to keep callers out.
 * Handlers are looked up with each request, so a component that comes, changes or goes while the sidecar runs counts at once.
 */
export function createPipeline({ handlers, components, during = (_name, call) => call(), log }: PipelineOptions): Pipeline | undefined {
  if (handlers.length === 0) return undefined;
  const missing = new Set<PipelineHandler>();
  const loaded = (handler: PipelineHandler): HttpMiddleware | undefined => {
    const { name, type, version } = handler;
    const component = components.get(name);
    if (component !== undefined && component.type === type && (component.version || 'v1') === version) {
      if (missing.size > 0) missing.delete(handler);
      return component.port;
    }
    if (!missing.has(handler)) log?.warn(`handler ${name} (${type}/${version}) of the HTTP pipeline is passed over: no such component is loaded`);
    missing.add(handler);
    return undefined;
  };
  const from = async (at: number, request: MiddlewareRequest, last: Next): Promise<MiddlewareAnswer> => {
    const handler = handlers[at];
    if (handler === undefined) return last(request);
    return during(handler.name, () => {
      const middleware = loaded(handler);
      return middleware === undefined ? from(at + 1, request, last) : middleware.handle(request, (changed) => from(at + 1, changed, last));
    });
  };
  return { run: (request, last) => from(0, request, last) };
}
