// Outbound HTTP on Node: connections of our own without TLS, undici's with it and for HTTP/2.
import { createHttpClient, type HttpClient, type HttpClientOptions } from '../http1/client.ts';
import { nodeTcp } from './tcp.ts';

export const createNodeHttpClient = (options: HttpClientOptions = {}): HttpClient =>
  createHttpClient({ ...options, connector: nodeTcp, loadOther: async () => (await import('./undici-line.ts')).openUndiciLine });
