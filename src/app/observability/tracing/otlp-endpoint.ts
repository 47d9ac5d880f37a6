// Where spans go over OTLP and how: section tracing.otel, and the OTEL_EXPORTER_OTLP_* variables that OpenTelemetry itself reads beside it.
import { textOf } from '../../../core/errors.ts';
import type { FilesPort } from '../../../core/host.ts';
import type { Logger } from '../../../core/log.ts';
import type { OtelSpec } from '../../../blocks/resources/kinds.ts';
import type { Attributes } from './span.ts';

export interface OtlpEndpoint {
  /** `http://host:port` or `https://…`. */
  origin: string;
  /** For OTLP/HTTP. */
  path: string;
  headers: Attributes;
  gzip: boolean;
  timeoutMs: number;
  tls: { ca?: string; cert?: string; key?: string } | undefined;
}
type Env = Readonly<Record<string, string | undefined>>;

const defaultPath = '/v1/traces';
const defaultTimeoutMs = 10_000;

/** `spec` with what blocks/resources/tracing.ts has merged from the environment; endpointAddress is not empty. Throws where it is no address. */
export async function otlpEndpoint(spec: OtelSpec, env: Env, files: FilesPort | undefined, log: Logger): Promise<OtlpEndpoint> {
  const variable = (name: string) => env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || undefined;
  const address = spec.endpointAddress.replace(/^https?:\/\//, '');
  const ofTraces = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT;
  const inEnvironment = ofTraces || env.OTEL_EXPORTER_OTLP_ENDPOINT || '';
  const fromEnvironment = inEnvironment.replace(/^https?:\/\//, '') === address;
  const insecure = /^(?:1|t|true)$/i.test(variable('INSECURE') ?? '') || !spec.isSecure || (fromEnvironment && inEnvironment.startsWith('http://')) || spec.endpointAddress.startsWith('http://');
  let url: URL;
  try {
    url = new URL(`${insecure ? 'http' : 'https'}://${address}`);
  } catch {
    throw new Error(`${JSON.stringify(spec.endpointAddress)} is no address of an Otel endpoint: host:port is wanted`);
  }
  const own = url.pathname.replace(/\/+$/, '');
  return {
    origin: url.origin,
    // The variable for traces alone is the whole address, the general one a base; a path in the Configuration is meant as it is.
    path: fromEnvironment ? (ofTraces ? url.pathname : `${own}${defaultPath}`) : own || defaultPath,
    headers: spec.headers.length > 0 ? pairs(spec.headers) : pairs((variable('HEADERS') ?? '').split(',')).map(([name, value]) => [name.trim(), unescaped(value).trim()]),
    gzip: variable('COMPRESSION') === 'gzip',
    timeoutMs: spec.timeoutMs ?? (Number(variable('TIMEOUT')) || defaultTimeoutMs),
    tls: insecure ? undefined : await tlsFiles(variable, files, log),
  };
}

const pairs = (texts: readonly string[]): Attributes => texts.flatMap((text) => {
  const at = text.indexOf('=');
  return at > 0 ? [[text.slice(0, at), text.slice(at + 1)] as const] : [];
});

export function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Certificates are named by their files; one that cannot be read is told of and left out. */
async function tlsFiles(variable: (name: string) => string | undefined, files: FilesPort | undefined, log: Logger): Promise<OtlpEndpoint['tls']> {
  const read = async (name: string): Promise<string | undefined> => {
    const path = variable(name);
    if (path === undefined) return undefined;
    try {
      if (files === undefined) throw new Error('this host has no files');
      return new TextDecoder().decode(await files.read(path));
    } catch (error) {
      log.warn(`OTEL_EXPORTER_OTLP_${name} is not used: ${textOf(error)}`);
      return undefined;
    }
  };
  const [ca, cert, key] = await Promise.all(['CERTIFICATE', 'CLIENT_CERTIFICATE', 'CLIENT_KEY'].map(read));
  if (ca === undefined && (cert === undefined || key === undefined)) return undefined;
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}
