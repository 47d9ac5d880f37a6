// Outbound HTTP on Bun: connections of our own without TLS, Bun's fetch with it. Bun's fetch works in a thread of its own, which costs a small call more than all the rest of it.
import type { HttpRequest } from '../../core/host.ts';
import { bunFetch, createFetchHttpClient } from '../fetch-http-client.ts';
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../http1/client.ts';
import { sendFollowing } from '../redirects.ts';
import { bunTcp } from './tcp.ts';

export function createBunHttpClient(options: HttpClientOptions = {}): HttpClient {
  const plain = createHttpClient({ ...options, connector: bunTcp });
  const fetching = createFetchHttpClient(bunFetch);
  const send = (request: HttpRequest) => (request.h2c || !request.origin.startsWith('http:') ? fetching : plain).send(request);
  return {
    send: (request) => (request.followRedirects ? sendFollowing({ ...request, followRedirects: false }, send) : send(request)),
    close: () => plain.close(),
  };
}
