// Section `tracing` of a Configuration: what OTEL_* variables add, and what no exporter can be made of.
import { ConfigurationError } from './configuration-error.ts';
import type { Configuration } from './kinds.ts';

type Tracing = Configuration['tracing'];
type Env = Readonly<Record<string, string | undefined>>;

/** Adds the standard OTEL exporter variables where the Configuration names no endpoint; the `TRACES` form of a variable goes first. */
export function mergeOtelEnvironment(tracing: Tracing, env: Env): void {
  if (tracing.otel?.endpointAddress) return;
  const first = (name: string) => env[`OTEL_EXPORTER_OTLP_TRACES_${name}`] || env[`OTEL_EXPORTER_OTLP_${name}`] || '';
  const endpoint = first('ENDPOINT'), headers = first('HEADERS'), timeout = first('TIMEOUT');
  if (!endpoint && !headers && !timeout) return;
  const otel = { protocol: '', endpointAddress: '', isSecure: true, headers: [], ...tracing.otel };
  if (endpoint) {
    otel.endpointAddress = endpoint.replace(/^http:\/\//, '').replace(/^https:\/\//, '');
    otel.protocol = first('PROTOCOL').startsWith('http') ? 'http' : 'grpc';
    if (env.OTEL_EXPORTER_OTLP_INSECURE === 'true') otel.isSecure = false;
    tracing.samplingRate ||= '1';
  }
  if (headers) otel.headers = [...otel.headers, ...Object.entries(parseHeaders(headers)).map(([name, value]) => `${name}=${value}`)];
  if (timeout) {
    if (!/^[+-]?\d+$/.test(timeout)) throw refused(`OTEL_EXPORTER_OTLP_TIMEOUT must be a whole number of milliseconds, found ${JSON.stringify(timeout)}`);
    if (Number(timeout) > 0) otel.timeoutMs = Number(timeout);
  }
  tracing.otel = otel;
}

const refused = (what: string) => new ConfigurationError(`error setting tracing spec from env: ${what}`);

/** `k=v,k=v`, values URL-encoded. */
function parseHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=');
    if (at < 0) throw refused(`missing '=' parse headers input${pair}`);
    const name = pair.slice(0, at).trim();
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw refused(`invalid header key${name}`);
    try {
      headers[name] = decodeURIComponent(pair.slice(at + 1)).trim();
    } catch {
      throw refused(`the value of header ${name} is not URL-encoded text`);
    }
  }
  return headers;
}

/** Throws ConfigurationError for exporters that cannot be set up. */
export function checkTracing({ zipkin, otel }: Tracing): void {
  const cannot = (what: string) => new ConfigurationError(`failed to setup tracing: ${what}`);
  if (zipkin?.endpointAddress && !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(zipkin.endpointAddress)) throw cannot(`invalid collector URL ${JSON.stringify(zipkin.endpointAddress)}: no scheme or host`);
  if (otel?.endpointAddress && otel.protocol && otel.protocol !== 'http' && otel.protocol !== 'grpc') throw cannot(`invalid protocol ${otel.protocol} provided for Otel endpoint`);
}
