// HTTP listener on Deno.serve, which keeps the request target as it was sent.
import type { HandleCall } from '../../app/http/api.ts';
import { incomingFromRequest } from '../../app/http/incoming.ts';
import { addressText, headSize, tooLong } from '../fetch-head.ts';
import type { ListenAt, Listener } from '../cli/platform.ts';

interface DenoServer {
  readonly addr: { port?: number };
  readonly finished: Promise<void>;
  shutdown(): Promise<void>;
}
declare const Deno: {
  serve(
    options: ({ hostname: string; port: number } | { path: string }) & { signal: AbortSignal; onListen(): void; onError(error: unknown): Response },
    handler: (request: Request, info: { readonly remoteAddr: { readonly hostname?: string; readonly port?: number } }) => Response | Promise<Response>,
  ): DenoServer;
};

export async function listen(handle: HandleCall, at: ListenAt, { maxHeaderBytes }: { maxHeaderBytes: number }): Promise<Listener> {
  const cut = new AbortController();
  const serve = (place: { hostname: string; port: number } | { path: string }) =>
    Deno.serve({ ...place, signal: cut.signal, onListen: () => {}, onError: () => new Response(null, { status: 500 }) }, (request, info) => {
      const incoming = incomingFromRequest(request, () => addressText(info.remoteAddr.hostname, info.remoteAddr.port));
      return headSize(incoming) > maxHeaderBytes ? tooLong() : handle(incoming);
    });
  let server: DenoServer;
  try {
    if ('path' in at) server = serve({ path: at.path });
    else if (at.host !== '') server = serve({ hostname: at.host, port: at.port });
    else {
      try {
        server = serve({ hostname: '::', port: at.port }); // takes IPv4 along
      } catch (error) {
        if ((error as Error).name === 'AddrInUse') throw error;
        server = serve({ hostname: '0.0.0.0', port: at.port });
      }
    }
  } catch (error) {
    if ((error as Error).name === 'AddrInUse') Object.assign(error as Error, { code: 'EADDRINUSE' });
    throw error;
  }
  let closing = false;
  return {
    port: server.addr.port ?? 0,
    close: () => {
      closing = true;
      return server.shutdown();
    },
    destroy: () => {
      if (!closing) cut.abort(); // seen with Deno 2.9: after shutdown() it throws where nobody can catch it
    },
  };
}
