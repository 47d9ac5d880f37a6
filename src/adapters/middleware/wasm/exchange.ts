// One request in the hands of an http-wasm guest: what its host functions read and change (the http-wasm HTTP handler ABI, https://http-wasm.io).
import { withHeader, withMoreOf, withoutHeader } from '../../../core/headers.ts';
import type { RawHeaders } from '../../../core/host.ts';

export const features = { bufferRequest: 1, bufferResponse: 2 } as const;

/** The state of a request between handle_request and handle_response. */
export interface Exchange {
  method: string;
  target: string;
  requestHeaders: RawHeaders;
  /** Read for guests that import read_body. */
  requestBody: Uint8Array;
  /** Why it could not be read; the guest learns it when it asks. */
  requestError: unknown;
  /** What the guest wrote in its place. */
  newRequestBody: Uint8Array | undefined;
  status: number;
  responseHeaders: RawHeaders;
  responseBody: Uint8Array;
  features: number;
  /** The rest of the pipeline has answered. */
  afterNext: boolean;
  readonly remoteAddress: string;
  /** How far the guest has read. */
  read: { request: number; response: number };
  /** The guest has begun to write: the first piece replaces what was there, the next ones follow it. */
  wrote: { request: boolean; response: boolean };
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const textOfLatin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
const utf8 = new TextDecoder();

export interface GuestLog {
  isEnabled(level: number): boolean;
  write(level: number, text: string): void;
}

/** The functions of the module `http_handler`. `exchange` is undefined while the guest is being started. They throw where the guest may not do what it does. */
export function handlerImports(memory: () => WebAssembly.Memory, exchange: () => Exchange | undefined, start: { features: number }, config: Uint8Array, log: GuestLog): Record<string, (...args: number[]) => number | bigint | undefined> {
  const bytes = () => new Uint8Array(memory().buffer);
  const slice = (at: number, length: number): Uint8Array => {
    if (at + length > bytes().length) throw new RangeError('out of memory range');
    return bytes().slice(at, at + length);
  };
  const text = (at: number, length: number): string => textOfLatin1(slice(at, length));
  const current = (): Exchange => {
    const given = exchange();
    if (given === undefined) throw new Error('there is no request yet');
    return given;
  };
  /** Written where it fits; its length in any case. */
  const give = (data: Uint8Array, at: number, limit: number): number => {
    if (data.length <= limit) bytes().set(data, at);
    return data.length;
  };
  const giveAll = (values: readonly string[], at: number, limit: number): bigint => {
    const all = values.map((value) => latin1(`${value}\0`));
    const length = all.reduce((sum, value) => sum + value.length, 0);
    if (length <= limit) {
      let to = at;
      for (const value of all) {
        bytes().set(value, to);
        to += value.length;
      }
    }
    return (BigInt(values.length) << 32n) | BigInt(length);
  };
  const headersOf = (kind: number): RawHeaders => (kind === 0 ? current().requestHeaders : kind === 1 ? current().responseHeaders : kind === 2 || kind === 3 ? [] : bad(`unsupported header kind: ${kind}`));
  const change = (kind: number, make: (headers: RawHeaders) => RawHeaders): undefined => {
    const at = current();
    if (kind === 0) {
      if (at.afterNext) bad("can't set request header after next handler");
      at.requestHeaders = make(at.requestHeaders);
    } else if (kind === 1) {
      if (at.afterNext && !buffersResponse(at)) bad("can't set response header after next handler unless buffer_response is enabled");
      at.responseHeaders = make(at.responseHeaders);
    } else bad('trailers are not supported');
  };
  const buffersResponse = (at: Exchange): boolean => (at.features & features.bufferResponse) !== 0;
  const named = (at: number, length: number): string => (length === 0 ? bad('HTTP header name cannot be empty') : text(at, length));

  return {
    // Trailers, the third feature there is, do not reach middleware here.
    enable_features: (wanted) => {
      const at = exchange() ?? start;
      at.features |= (wanted as number) & 3;
      return at.features;
    },
    get_config: (at, limit) => give(config, at as number, limit as number),
    log_enabled: (level) => (log.isEnabled(level as number) ? 1 : 0),
    log: (level, at, length) => { if (log.isEnabled(level as number)) log.write(level as number, utf8.decode(slice(at as number, length as number))); return undefined; },
    get_method: (at, limit) => give(latin1(current().method), at as number, limit as number),
    set_method: (at, length) => {
      if (current().afterNext) bad("can't set method after next handler");
      current().method = length === 0 ? bad('HTTP method cannot be empty') : text(at as number, length as number);
      return undefined;
    },
    get_uri: (at, limit) => give(latin1(current().target), at as number, limit as number),
    set_uri: (at, length) => {
      if (current().afterNext) bad("can't set uri after next handler");
      const uri = length === 0 ? '/' : text(at as number, length as number);
      if (!/^(\/|https?:\/\/)[\x21-\x7e]*$/.test(uri) || /%(?![0-9a-fA-F]{2})/.test(uri)) bad(`parse ${JSON.stringify(uri)}: invalid URI for request`);
      current().target = uri;
      return undefined;
    },
    get_protocol_version: (at, limit) => give(latin1('HTTP/1.1'), at as number, limit as number),
    get_source_addr: (at, limit) => give(latin1(current().remoteAddress), at as number, limit as number),
    get_header_names: (kind, at, limit) => giveAll([...new Set(headersOf(kind as number).filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))].sort(), at as number, limit as number),
    get_header_values: (kind, name, nameLength, at, limit) => {
      const wanted = named(name as number, nameLength as number).toLowerCase();
      const headers = headersOf(kind as number);
      return giveAll(headers.filter((_, i) => i % 2 === 1 && (headers[i - 1] as string).toLowerCase() === wanted), at as number, limit as number);
    },
    set_header_value: (kind, name, nameLength, value, valueLength) => change(kind as number, (headers) => withHeader(headers, named(name as number, nameLength as number), text(value as number, valueLength as number))),
    add_header_value: (kind, name, nameLength, value, valueLength) => change(kind as number, (headers) => withMoreOf(headers, named(name as number, nameLength as number), text(value as number, valueLength as number))),
    remove_header: (kind, name, nameLength) => change(kind as number, (headers) => withoutHeader(headers, named(name as number, nameLength as number))),
    read_body: (kind, at, limit) => {
      const given = current();
      if (limit === 0) bad('buf_limit==0 reading body');
      const isRequest = kind === 0;
      if (isRequest && given.requestError !== undefined) throw given.requestError;
      if (isRequest && given.afterNext && (given.features & features.bufferRequest) === 0) bad("can't read request body after next handler unless buffer_request is enabled");
      if (!isRequest && !buffersResponse(given)) bad("can't read response body unless buffer_response is enabled");
      const body = isRequest ? (given.newRequestBody ?? given.requestBody) : given.responseBody;
      const from = isRequest ? given.read.request : given.read.response;
      const part = body.subarray(from, from + (limit as number));
      bytes().set(part, at);
      given.read[isRequest ? 'request' : 'response'] = from + part.length;
      return (BigInt(from + part.length >= body.length ? 1 : 0) << 32n) | BigInt(part.length);
    },
    write_body: (kind, at, length) => {
      const given = current();
      const part = slice(at as number, length as number);
      const joined = (before: Uint8Array | undefined, follows: boolean): Uint8Array => (follows && before ? Uint8Array.from([...before, ...part]) : part);
      if (kind === 0) {
        if (given.afterNext) bad("can't write request body after next handler");
        given.newRequestBody = joined(given.newRequestBody, given.wrote.request);
        given.wrote.request = true;
      } else {
        if (given.afterNext && !buffersResponse(given)) bad("can't write response body after next handler unless buffer_response is enabled");
        given.responseBody = joined(given.responseBody, given.wrote.response);
        given.wrote.response = true;
      }
      return undefined;
    },
    get_status_code: () => current().status,
    set_status_code: (status) => {
      const given = current();
      if (given.afterNext && !buffersResponse(given)) bad("can't set status code after next handler unless buffer_response is enabled");
      given.status = status as number;
      return undefined;
    },
  };
}

function bad(why: string): never {
  throw new Error(why);
}
