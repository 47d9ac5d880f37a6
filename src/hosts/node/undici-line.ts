// Connections over TLS and HTTP/2, which are undici's: loaded with the first request that needs one.
import type { Client as ClientType, Dispatcher } from 'undici';
import Client from 'undici/lib/dispatcher/client.js';
import type { RawHeaders } from '../../core/host.ts';
import type { OpenOther } from '../http1/client.ts';

type Controller = Parameters<NonNullable<Dispatcher.DispatchHandler['onRequestStart']>>[0] & { rawHeaders?: unknown };

/** With `h2c` many requests may be under way at once. */
export const openUndiciLine: OpenOther = ({ origin, tls, insecure, h2c, h2 = false }, { maxHeaderBytes, connectTimeoutMs, keepAliveMs, onIdleClosed }) => {
  const client = new Client(origin, {
    ...(h2c ? { allowH2: true, h2Options: { useH2c: true, maxConcurrentStreams: 1000 } } : { allowH2: h2, pipelining: 1 }),
    // An app may think as long as it likes; policies set limits where wanted.
    headersTimeout: 0, bodyTimeout: 0,
    keepAliveTimeout: keepAliveMs - 1000,
    maxHeaderSize: maxHeaderBytes,
    connect: { timeout: connectTimeoutMs, ...(insecure ? { rejectUnauthorized: false } : {}), ...tls },
  } as ClientType.Options);
  client.on('disconnect', onIdleClosed);
  return {
    dispatch: ({ method, path, headers, body }, handler) => {
      client.dispatch({ method: method as 'GET', path, headers, body: body as Uint8Array | null }, {
        onRequestStart: (controller) => handler.onStart(controller),
        onResponseStart: (controller: Controller, status, parsed) => {
          if (status < 200) return;
          const length = parsed['content-length'];
          const bodiless = method === 'HEAD' || status === 204 || status === 304;
          handler.onHead(status, listOf(controller.rawHeaders, parsed), bodiless ? 0 : typeof length === 'string' ? Number(length) : undefined);
        },
        onResponseData: (_controller, part) => handler.onData(part),
        onResponseEnd: () => handler.onEnd(),
        onResponseError: (_controller, error) => handler.onError(error),
      });
    },
    close: () => { client.destroy().catch(() => undefined); },
  };
};

/** Header list from undici's raw form (buffers, HTTP/1.1) or its parsed one (HTTP/2). Bytes are kept as latin1, as node:http has them. */
function listOf(raw: unknown, parsed: Record<string, string | string[] | undefined>): RawHeaders {
  const out: RawHeaders = [];
  if (Array.isArray(raw)) {
    for (const item of raw as (Buffer | string)[]) out.push(typeof item === 'string' ? item : item.toString('latin1'));
    return out;
  }
  for (const name in parsed) {
    const value = parsed[name];
    if (value === undefined || name.startsWith(':')) continue;
    if (Array.isArray(value)) for (const one of value) out.push(name, one);
    else out.push(name, value);
  }
  return out;
}
