// Outbound HTTP/2 on node:http2, for gRPC calls of one message each way: answers with their trailers.
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { HttpFailure, type Http2Port, type RawHeaders } from '../../core/host.ts';

const connectTimeoutMs = 10_000;
/** A unary answer is small; what is longer is none. */
const mostBytes = 4 << 20;

export const http2: Http2Port = {
  connect: (origin, tls) => {
    let session: Promise<ClientHttp2Session> | undefined;
    const opened = (): Promise<ClientHttp2Session> => {
      session ??= import('node:http2').then(({ connect }) => new Promise<ClientHttp2Session>((resolve, reject) => {
        const made = connect(origin, { ...tls });
        const lost = (error?: Error) => {
          session = undefined;
          made.destroy();
          reject(new HttpFailure('refused', error?.message ?? 'the connection was closed', error));
        };
        const late = setTimeout(() => lost(new Error('connecting took too long')), connectTimeoutMs);
        made.once('connect', () => { clearTimeout(late); resolve(made); });
        made.on('error', (error) => { clearTimeout(late); lost(error); });
        made.once('goaway', () => { session = undefined; });
        made.once('close', () => { clearTimeout(late); lost(); });
        made.unref(); // an idle connection keeps nobody alive
      }));
      session.catch(() => { session = undefined; });
      return session;
    };
    return {
      post: async ({ path, headers, body, signal }) => {
        const line = await opened();
        return new Promise((resolve, reject) => {
          const stream = line.request({ ':method': 'POST', ':path': path, ...objectOf(headers) }, { signal });
          let head: IncomingHttpHeaders = {};
          let trailers: IncomingHttpHeaders = {};
          const parts: Buffer[] = [];
          let bytes = 0;
          stream.on('response', (received) => { head = received; });
          stream.on('trailers', (received) => { trailers = received; });
          stream.on('data', (part: Buffer) => {
            bytes += part.length;
            if (bytes > mostBytes) stream.destroy(new Error('the answer is too long'));
            else parts.push(part);
          });
          stream.on('error', (error) => reject(new HttpFailure(signal.aborted ? 'aborted' : 'reset', error.message, error)));
          stream.on('close', () => {
            const status = Number(head[':status']);
            if (Number.isNaN(status)) reject(new HttpFailure('reset', 'the stream was closed without an answer'));
            else resolve({ status, headers: listOf(head), body: Buffer.concat(parts), trailers: listOf(trailers) });
          });
          stream.end(body);
        });
      },
      close: () => {
        session?.then((line) => line.close(), () => {});
        session = undefined;
      },
    };
  },
};

function objectOf(headers: RawHeaders): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    const before = all[name];
    all[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return all;
}

function listOf(headers: IncomingHttpHeaders): RawHeaders {
  const list: RawHeaders = [];
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) list.push(name, String(one));
  }
  return list;
}
