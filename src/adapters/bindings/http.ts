// bindings.http: calls of any HTTP endpoint.
import { defineBinding, type InvokeRequest, type InvokeResult } from '../../blocks/bindings/port.ts';
import { canonical } from '../../blocks/invoke/headers.ts';
import type { ComponentContext } from '../../blocks/components/definition.ts';
import { readBody } from '../../core/body.ts';
import { textOf } from '../../core/errors.ts';
import { HttpFailure, type HttpRequest, type RawHeaders } from '../../core/host.ts';
import { field, isTruthy, MetadataError, schema } from '../../core/metadata.ts';
import { byteSize } from './byte-size.ts';
import { statusLine } from './status-text.ts';
import { headerOf, targetOf } from './target.ts';

const json = 'application/json; charset=utf-8';
const withBody = new Set(['POST', 'PUT', 'PATCH']);

export default defineBinding({
  type: 'bindings.http',
  status: 'stable',
  runtimes: ['node', 'bun', 'deno', 'workers'],
  features: ['OUTPUT_BINDING'],
  summary: 'Calls an HTTP endpoint.',
  metadata: schema({
    url: field.text().default('').describe('Address that is called; a `path` in the request is joined to it'),
    responseTimeout: field.duration().optional().describe('How long an answer may take; default: no limit'),
    maxResponseBodySize: field.text().default('100Mi').describe('How much of an answer is read, such as 100Mi; 0 and less: all. What is beyond is cut off'),
    errorIfTooLarge: field.flag().default(false).describe('An answer above maxResponseBodySize is an error instead of being cut off. Not known to Dapr'),
    errorIfNot2XX: field.text().default('').describe('Whether any status but 2xx is an error; default true'),
    MTLSRootCA: field.text().default('').describe('Certificate authority of the endpoint: PEM text or the path of a file'),
    MTLSClientCert: field.text().default('').describe('Client certificate: PEM text or the path of a file'),
    MTLSClientKey: field.text().default('').describe('Key of the client certificate: PEM text or the path of a file'),
    MTLSRenegotiation: field.text().default('').describe('RenegotiateNever, RenegotiateOnceAsClient or RenegotiateFreelyAsClient; accepted, TLS 1.3 has none'),
    securityToken: field.text().default('').describe('Sent with every call in the header that securityTokenHeader names'),
    securityTokenHeader: field.text().default('').describe('Header of the securityToken'),
  }),
  open: async (metadata, context) => {
    const { http } = context.host;
    const limit = byteSize(metadata.maxResponseBodySize);
    if (limit === undefined) throw new MetadataError(`invalid value for maxResponseBodySize: '${metadata.maxResponseBodySize}' is not a size`);
    if (!['', 'RenegotiateNever', 'RenegotiateOnceAsClient', 'RenegotiateFreelyAsClient'].includes(metadata.MTLSRenegotiation)) throw new MetadataError(`invalid renegotiation value: ${metadata.MTLSRenegotiation}`);
    const tls = await tlsOf(metadata, context);
    const errorByDefault = metadata.errorIfNot2XX === '' || isTruthy(metadata.errorIfNot2XX);

    const invoke = async ({ operation, data, metadata: wanted }: InvokeRequest, signal: AbortSignal | undefined): Promise<InvokeResult> => {
      const method = operation === 'create' ? 'POST' : operation.toUpperCase();
      const url = wanted.path ? `${metadata.url.replace(/\/+$/, '')}/${wanted.path.replace(/^\/+/, '')}` : metadata.url;
      // Go's words for a call that failed: `Get "http://…": dial tcp …`
      const failed = (why: string, cause?: unknown) => new Error(`${method[0]}${method.slice(1).toLowerCase()} ${JSON.stringify(url)}: ${why}`, { cause });
      const target = targetOf(url);
      if (typeof target === 'string') throw failed(target);
      const headers = headersOf(method, wanted, metadata.securityTokenHeader, metadata.securityToken);
      if (target.authorization !== undefined && !headers.has('Authorization')) headers.set('Authorization', target.authorization);
      const limits = [signal, metadata.responseTimeout === undefined ? undefined : AbortSignal.timeout(metadata.responseTimeout)].filter((s) => s !== undefined);
      const request: HttpRequest = {
        method,
        origin: target.origin,
        path: target.path,
        headers: [...headers].flat(),
        body: withBody.has(method) ? data : null,
        followRedirects: true,
        ...(limits.length > 0 ? { signal: AbortSignal.any(limits) } : {}),
        ...(tls === undefined ? {} : { tls }),
      };
      try {
        const response = await http.send(request);
        const { bytes, cut } = await readBody(response.body, limit > 0 ? limit : undefined);
        if (cut && metadata.errorIfTooLarge) throw new Error(`the answer is larger than maxResponseBodySize (${metadata.maxResponseBodySize})`);
        if (cut) context.log.warn(`binding ${context.name}: an answer was cut off at maxResponseBodySize (${metadata.maxResponseBodySize})`);
        const wants2xx = wanted.errorIfNot2XX ? isTruthy(wanted.errorIfNot2XX) : errorByDefault;
        const result = { data: bytes, metadata: answerMetadata(response.status, response.headers) };
        return wants2xx && (response.status < 200 || response.status > 299) ? { ...result, error: new Error(`received status code ${response.status}`) } : result;
      } catch (error) {
        const late = limits.some((s) => s.aborted) || (error instanceof HttpFailure && error.kind === 'timeout');
        throw failed(late ? 'context deadline exceeded' : textOf(error), error);
      }
    };
    return {
      operations: ['create', 'get', 'head', 'post', 'put', 'patch', 'delete', 'options', 'trace'],
      invoke: (request, { signal }) => invoke(request, signal),
      close: async () => undefined,
    };
  },
});

/** Request metadata whose name begins with a capital letter are headers; the trace and baggage of the call go along. */
function headersOf(method: string, metadata: Record<string, string>, tokenHeader: string, token: string): Map<string, string> {
  const headers = new Map<string, string>();
  const set = (name: string, value: string) => {
    const header = headerOf(name, value);
    if (header !== undefined) headers.set(...header);
  };
  if (withBody.has(method) && metadata['Content-Type'] === undefined) set('Content-Type', json);
  if (metadata.Accept === undefined) set('Accept', json);
  if (token !== '' && tokenHeader !== '') set(tokenHeader, token);
  for (const name in metadata) if (/^[A-Z]/.test(name)) set(name, metadata[name] as string);
  for (const name of ['traceparent', 'tracestate', 'baggage']) if (metadata[name]) set(name, metadata[name]);
  return headers;
}

function answerMetadata(status: number, headers: RawHeaders): Record<string, string> {
  const metadata: Record<string, string> = { statusCode: String(status), status: statusLine(status) };
  for (let i = 0; i < headers.length; i += 2) {
    const name = canonical(headers[i] as string);
    // Go's client takes these for itself.
    if (name === 'Transfer-Encoding' || name === 'Trailer') continue;
    metadata[name] = Object.hasOwn(metadata, name) ? `${metadata[name]}, ${headers[i + 1]}` : (headers[i + 1] as string);
  }
  return metadata;
}

async function tlsOf(metadata: Record<'MTLSRootCA' | 'MTLSClientCert' | 'MTLSClientKey', string>, { host }: ComponentContext): Promise<HttpRequest['tls']> {
  const pem = async (name: keyof typeof metadata): Promise<string | undefined> => {
    const value = metadata[name];
    if (value === '' || /-----BEGIN [A-Z0-9 ]+-----/.test(value)) return value || undefined;
    try {
      if (host.files === undefined) throw new Error('this runtime has no files');
      return new TextDecoder().decode(await host.files.read(value));
    } catch (error) {
      throw new MetadataError(`provided "${name}" value is neither a valid file path or nor a valid pem encoded string: ${textOf(error)}`);
    }
  };
  const ca = await pem('MTLSRootCA');
  const both = metadata.MTLSClientCert !== '' && metadata.MTLSClientKey !== '';
  const cert = both ? await pem('MTLSClientCert') : undefined;
  const key = both ? await pem('MTLSClientKey') : undefined;
  if (ca === undefined && cert === undefined) return undefined;
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}
