// HTTP listener on Bun.serve. Bun hands over a Request whose URL it has already normalised: `%2e%2e` in a path is a parent here, unlike in Go.
import { existsSync } from 'node:fs';
import type { HandleCall } from '../../app/http/api.ts';
import { incomingFromRequest } from '../../app/http/incoming.ts';
import { addressText, headSize, tooLong } from '../fetch-head.ts';
import type { ListenAt, Listener } from '../cli/platform.ts';

interface BunServer {
  readonly port: number | undefined;
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
  stop(closeActiveConnections?: boolean): Promise<void>;
}
declare const Bun: {
  serve(options: {
    hostname?: string;
    port?: number;
    unix?: string;
    /** Seconds, 0 = never. */
    idleTimeout?: number;
    maxRequestBodySize?: number;
    development?: boolean;
    fetch(request: Request): Response | Promise<Response>;
    error?(error: Error): Response;
  }): BunServer;
};

/** What --read-buffer-size comes to by default: adding up every call's headers would cost a tenth of a small call. */
const usualHeaderBytes = 8192;
/** From here on Bun refuses a request itself. */
const ownLimit = 16 * 1024;

export async function listen(handle: HandleCall, at: ListenAt, { maxHeaderBytes }: { maxHeaderBytes: number }): Promise<Listener> {
  // Bun would take the place of a file that is already there.
  if ('path' in at && existsSync(at.path)) throw Object.assign(new Error(`listen unix ${at.path}: bind: address already in use`), { code: 'EADDRINUSE' });
  const peer = (request: Request): string | undefined => {
    const from = server.requestIP(request);
    return from === null ? undefined : addressText(from.address, from.port);
  };
  const counts = maxHeaderBytes !== usualHeaderBytes && maxHeaderBytes < ownLimit;
  const serve = (place: { hostname: string; port: number } | { unix: string }) =>
    Bun.serve({
      ...place,
      idleTimeout: 0,
      // the core has its own limit, with Dapr's answers
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      fetch: (request) => {
        const incoming = incomingFromRequest(request, peer);
        return counts && headSize(incoming) > maxHeaderBytes ? tooLong() : handle(incoming);
      },
      error: () => new Response(null, { status: 500 }),
    });
  let server: BunServer;
  if ('path' in at) server = serve({ unix: at.path });
  else if (at.host !== '') server = serve({ hostname: at.host, port: at.port });
  else {
    try {
      server = serve({ hostname: '::', port: at.port }); // takes IPv4 along
    } catch (error) {
      if ((error as { code?: string }).code === 'EADDRINUSE') throw error;
      server = serve({ hostname: '0.0.0.0', port: at.port });
    }
  }
  return {
    port: server.port ?? 0,
    close: () => server.stop(false),
    destroy: () => { void server.stop(true); },
  };
}
