// Outbound HTTP on Bun: connections of our own without TLS, Bun's fetch with it.
import type { HttpPort, HttpRequest, HttpResponse } from '../../core/host.ts';
import { bunFetch, createFetchHttpClient } from '../fetch-http-client.ts';
import type { NodeHttpClient } from '../node/http-client.ts';
import { sendFollowing } from '../redirects.ts';

/** Bun's fetch works in a thread of its own, which costs a small call more than all the rest of it. Loaded with the first call, as on Node. */
export function createBunHttpClient(options: { maxHeaderBytes: number }): HttpPort & { close(): Promise<void> } {
  const fetching = createFetchHttpClient(bunFetch);
  let plain: NodeHttpClient | undefined;
  let loading: Promise<NodeHttpClient> | undefined;
  const load = async () => {
    plain = (await import('../node/http-client.ts')).createNodeHttpClient(options);
    return plain;
  };
  const send = (request: HttpRequest): Promise<HttpResponse> => {
    if (request.h2c || !request.origin.startsWith('http:')) return fetching.send(request);
    if (plain !== undefined) return plain.send(request);
    loading ??= load();
    return loading.then((loaded) => loaded.send(request));
  };
  return {
    send: (request) => (request.followRedirects ? sendFollowing({ ...request, followRedirects: false }, send) : send(request)),
    close: async () => plain?.close(),
  };
}
