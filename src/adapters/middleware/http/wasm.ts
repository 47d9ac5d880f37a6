// middleware.http.wasm: a WebAssembly guest that speaks the http-wasm handler ABI sees requests and answers (Dapr runs it on wazero, we on the runtime's own WebAssembly).
import { bodyOf, brokenBody, answerBytes } from '../../../blocks/middleware/body.ts';
import { textOf } from '../../../core/errors.ts';
import { type Host, withoutHeaders } from '../../../core/host.ts';
import type { Logger } from '../../../core/log.ts';
import { field, schema } from '../../../core/metadata.ts';
import { defineHttpMiddleware, type MiddlewareAnswer, type MiddlewareRequest, type Next } from '../../../blocks/middleware/port.ts';
import { statusAnswer } from '../answers.ts';
import { fetchText } from '../fetch-text.ts';
import { urlOf } from '../url.ts';
import { type Exchange, features, handlerImports } from '../wasm/exchange.ts';
import { startExport, withStartExported } from '../wasm/start-section.ts';
import { GuestExit, wasiImports } from '../wasm/wasi.ts';

const wasiModule = 'wasi_snapshot_preview1';
const handlerModule = 'http_handler';
const longestGuest = 64 << 20; // bytes

/** A running guest; it deals with one request at a time. */
interface Guest {
  exchange: Exchange | undefined;
  features: number;
  /** What it has printed since the request began. */
  printed: Record<'stdout' | 'stderr', string>;
  handleRequest(): bigint;
  handleResponse(context: number, isError: number): void;
}

export default defineHttpMiddleware({
  type: 'middleware.http.wasm',
  status: 'alpha',
  // not on Workers: they compile no WebAssembly while they run
  runtimes: ['node', 'bun', 'deno'],
  summary: 'Runs a WebAssembly guest that handles HTTP by the http-wasm ABI (https://http-wasm.io). No trailers. A guest that imports `read_body` gets the whole body of a request at once.',
  metadata: schema({
    url: field.text().default('').describe('Where the guest is: file:// or http(s)://. Needed'),
    guestConfig: field.text().default('').describe('Text the guest gets as its configuration'),
    strictSandbox: field.flag().default(false).describe('The guest gets no real time and no real random numbers'),
  }),
  open: async ({ url, guestConfig, strictSandbox }, { host, log }) => {
    const code = await load(host, url).catch((error: unknown) => { throw new Error(`wasm: failed to parse metadata: ${textOf(error)}`, { cause: error }); });
    const module = await WebAssembly.compile(withStartExported(code)).catch((error: unknown) => { throw new Error(`wasm: error compiling guest: ${textOf(error)}`, { cause: error }); });
    const exported = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
    for (const name of ['handle_request', 'handle_response']) if (exported.get(name) !== 'function') throw new Error(`wasm: guest doesn't export func[${name}]`);
    if (exported.get('memory') !== 'memory') throw new Error("wasm: guest doesn't export memory[memory]");
    const imports = WebAssembly.Module.imports(module);
    const namesOf = (from: string) => imports.filter((item) => item.module === from).map((item) => item.name);
    const readsBody = namesOf(handlerModule).includes('read_body');
    const config = new TextEncoder().encode(guestConfig);

    const start = async (): Promise<Guest> => {
      const guest = { exchange: undefined as Exchange | undefined, features: 0, printed: { stdout: '', stderr: '' } };
      let instance: WebAssembly.Instance | undefined;
      const memory = () => instance?.exports.memory as WebAssembly.Memory;
      instance = await WebAssembly.instantiate(module, {
        [handlerModule]: handlerImports(memory, () => guest.exchange, guest, config, guestLog(log)) as WebAssembly.ModuleImports,
        [wasiModule]: wasiImports(namesOf(wasiModule), memory, { strict: strictSandbox, print: (stream, text) => { guest.printed[stream] += text; } }) as unknown as WebAssembly.ModuleImports,
      });
      const { exports } = instance;
      for (const entry of [startExport, '_initialize', '_start']) {
        try {
          (exports[entry] as (() => void) | undefined)?.();
        } catch (error) {
          if (!(error instanceof GuestExit) || error.code !== 0) throw error;
        }
      }
      return Object.assign(guest, { handleRequest: exports.handle_request as () => bigint, handleResponse: exports.handle_response as (context: number, isError: number) => void });
    };
    const idle: Guest[] = [await start().catch((error: unknown) => { throw new Error(`wasm: error instantiating guest: ${textOf(error)}`, { cause: error }); })];

    const run = async (guest: Guest, request: MiddlewareRequest, next: Next): Promise<MiddlewareAnswer> => {
      const exchange = await begin(request, readsBody, guest.features);
      guest.exchange = exchange;
      const [context, goesOn] = split(guest.handleRequest());
      const own = exchange.responseHeaders;
      if (goesOn === 0) return { status: exchange.status, headers: own, body: exchange.responseBody };
      let answer: MiddlewareAnswer;
      try {
        answer = await next(changed(request, exchange));
      } catch (error) {
        exchange.afterNext = true;
        guest.handleResponse(context, 1);
        throw error;
      }
      const names = new Set(answer.headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
      const headers = [...own.flatMap((name, i) => (i % 2 === 0 && !names.has(name.toLowerCase()) ? [name, own[i + 1] as string] : [])), ...answer.headers];
      exchange.afterNext = true;
      exchange.wrote.response = false;
      Object.assign(exchange, { status: answer.status, responseHeaders: headers });
      if ((exchange.features & features.bufferResponse) === 0) {
        guest.handleResponse(context, 0);
        return { ...answer, headers };
      }
      exchange.responseBody = await answerBytes(answer);
      guest.handleResponse(context, 0);
      return { status: exchange.status, headers: withoutHeaders(exchange.responseHeaders, ['content-length']), body: exchange.responseBody };
    };

    return {
      handle: async (request, next) => {
        const guest = idle.pop() ?? (await start());
        let nextFailed: { error: unknown } | undefined;
        try {
          const answer = await run(guest, request, (given) => next(given).catch((error: unknown) => { nextFailed = { error }; throw error; }));
          guest.exchange = undefined;
          idle.push(guest);
          return answer;
        } catch (error) {
          // A guest that trapped is in no state to go on with
          if (nextFailed) throw nextFailed.error;
          log.error(`wasm guest failed: ${textOf(error)}`);
          return statusAnswer(500);
        } finally {
          for (const stream of ['stdout', 'stderr'] as const) if (guest.printed[stream] !== '') log.debug(`wasm ${stream}: ${guest.printed[stream]}`);
          guest.printed = { stdout: '', stderr: '' };
        }
      },
      close: async () => void (idle.length = 0),
    };
  },
});

async function load(host: Host, url: string): Promise<Uint8Array<ArrayBuffer>> {
  if (url === '') throw new Error('missing url');
  const colon = url.indexOf(':');
  if (colon < 0) throw new Error(`invalid URL: ${url}`);
  const scheme = url.slice(0, colon);
  if (scheme === 'oci') throw new Error('TODO oci');
  if (scheme === 'http' || scheme === 'https') {
    const { status, bytes } = await fetchText(host.http, url, { limit: longestGuest });
    if (status !== 200) throw new Error(`received ${status} status code from ${JSON.stringify(url)}`);
    return new Uint8Array(bytes);
  }
  if (scheme !== 'file') throw new Error(`unsupported URL scheme: ${scheme}`);
  if (host.files === undefined) throw new Error('this runtime has no files');
  return new Uint8Array(await host.files.read(url.slice(7)));
}

/** Upper and lower half of what handle_request returns: the guest's own number for the request, and whether the next handler is to be called. */
const split = (result: bigint): [context: number, goesOn: number] => [Number((result >> 32n) & 0xffff_ffffn), Number(result & 0xffff_ffffn)];

async function begin(request: MiddlewareRequest, readsBody: boolean, enabled: number): Promise<Exchange> {
  const { escapedPath, query, hasQuery } = urlOf(request.target);
  let requestBody = new Uint8Array(0) as Uint8Array;
  let requestError: unknown;
  if (readsBody && request.body !== null) await request.body.bytes().then((bytes) => { requestBody = bytes; }, (error: unknown) => { requestError = error; });
  return {
    method: request.method, target: hasQuery ? `${escapedPath}?${query}` : escapedPath, requestHeaders: request.headers, requestBody, requestError, newRequestBody: undefined,
    status: 200, responseHeaders: [], responseBody: new Uint8Array(0), features: enabled, afterNext: false, remoteAddress: request.remoteAddress, read: { request: 0, response: 0 }, wrote: { request: false, response: false },
  };
}

/** The request as the guest left it. Without buffer_request, what it has read of the body is gone. */
function changed(request: MiddlewareRequest, { method, target, requestHeaders, requestBody, requestError, newRequestBody, features: enabled, read }: Exchange): MiddlewareRequest {
  let { body } = request;
  if (newRequestBody !== undefined) body = bodyOf(newRequestBody);
  else if (requestError !== undefined) body = brokenBody(requestError);
  else if (requestBody.length > 0) body = bodyOf((enabled & features.bufferRequest) === 0 ? requestBody.subarray(read.request) : requestBody);
  return { ...request, method, target, headers: requestHeaders, body };
}

/** http-wasm's levels: -1 debug, 0 info, 1 warn, 2 error, 3 none. */
const guestLog = (log: Logger) => ({
  isEnabled: (level: number) => level >= -1 && level <= 2,
  write: (level: number, text: string) => (level === -1 ? log.debug(text) : level === 0 ? log.info(text) : level === 1 ? log.warn(text) : log.error(text)),
});
