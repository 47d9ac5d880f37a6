// Requests that middleware makes itself: to a token service, for a key set, for a guest.
import { readBody } from '../../core/body.ts';
import { textOf } from '../../core/errors.ts';
import { type HttpPort, headerOf, type RawHeaders } from '../../core/host.ts';

export interface Fetched {
  status: number;
  bytes: Uint8Array;
  text: string;
  header(name: string): string | undefined;
}

/** Rejects with `Get "http://…": what is wrong`. Redirects are followed; no more than 30 s and, by default, a megabyte. */
export async function fetchText(http: HttpPort, address: string, request: { method?: string; headers?: RawHeaders; body?: Uint8Array; limit?: number; signal?: AbortSignal } = {}): Promise<Fetched> {
  const { method = 'GET', headers = [], body = null, limit = 1 << 20, signal } = request;
  try {
    if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) throw new Error('this is no address of http or https');
    const { origin, pathname, search } = new URL(address);
    const late = AbortSignal.timeout(30_000);
    const response = await http.send({ method, origin, path: pathname + search, headers, body, followRedirects: true, signal: signal ? AbortSignal.any([signal, late]) : late });
    const { bytes } = await readBody(response.body, limit);
    return { status: response.status, bytes, text: new TextDecoder().decode(bytes), header: (name) => headerOf(response.headers, name) };
  } catch (error) {
    throw new Error(`${method[0]}${method.slice(1).toLowerCase()} ${JSON.stringify(address)}: ${textOf(error)}`, { cause: error });
  }
}
