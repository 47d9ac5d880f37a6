// The variables and secrets that stand in for daprd's flags on a Worker, where there is no command line.
import type { AppProtocol, Settings } from '../../app/settings.ts';
import type { ConfigurationText } from '../../blocks/resources/configuration.ts';
import type { ResourceText } from '../../blocks/resources/loader.ts';
import { type LogLevel, logLevels } from '../../core/log.ts';
import { parseQuantity } from '../cli/quantity.ts';

export interface Variables {
  settings: Settings;
  /** '' = metrics are not to be had. */
  metricsPath: string;
  level: LogLevel;
  json: boolean;
  resources: ResourceText[];
  configuration: ConfigurationText[];
}
type Texts = Readonly<Record<string, string | undefined>>;

const usualBodyLimit = 4 * 1024 * 1024;

/**
 * | Variable | daprd's flag or variable | Default |
 * | --- | --- | --- |
 * | DAPR_APP_ID | --app-id | required |
 * | DAPR_APP_URL | --app-port, --app-protocol, --app-channel-address in one: `https://my-app.example.com` | no app |
 * | DAPR_RESOURCES, DAPR_RESOURCES_1, DAPR_RESOURCES_2, … | --resources-path: the YAML itself; a variable holds 5 KB | none |
 * | DAPR_CONFIG | --config: the YAML itself | none |
 * | DAPR_MAX_BODY_SIZE | --max-body-size | 4Mi |
 * | DAPR_ALLOWED_ORIGINS | --allowed-origins | no CORS |
 * | DAPR_ENABLE_API_LOGGING | --enable-api-logging | the Configuration decides |
 * | DAPR_METRICS_PATH | --metrics-port: the path that answers with the metrics of this isolate, `/metrics` | none, and nothing is counted |
 * | DAPR_LOG_LEVEL, DAPR_LOG_AS_JSON | --log-level, --log-as-json | info, false |
 * | DAPR_API_TOKEN, APP_API_TOKEN, NAMESPACE | the same | |
 *
 * Throws an Error that names the variable.
 */
export function readVariables(texts: Texts): Variables {
  const appId = texts.DAPR_APP_ID ?? '';
  if (appId === '') throw new Error('the variable DAPR_APP_ID cannot be empty');
  if (appId.includes('.')) throw new Error(`the variable DAPR_APP_ID contains a dot: ${appId}`);
  const level = (texts.DAPR_LOG_LEVEL ?? 'info').toLowerCase() as LogLevel;
  if (!logLevels.includes(level)) throw new Error(`invalid value for the variable DAPR_LOG_LEVEL: ${texts.DAPR_LOG_LEVEL}`);
  const logging = texts.DAPR_ENABLE_API_LOGGING;
  const metricsPath = texts.DAPR_METRICS_PATH ?? '';
  if (metricsPath !== '' && !metricsPath.startsWith('/')) throw new Error(`the variable DAPR_METRICS_PATH must begin with a slash: ${metricsPath}`);
  return {
    settings: {
      appId,
      namespace: texts.NAMESPACE ?? '',
      mode: 'standalone',
      app: { ...appAt(texts.DAPR_APP_URL ?? ''), maxConcurrency: 0, health: undefined, initEndpoints: { config: false, subscribe: false }, bindingOptionsTimeoutMs: 3000 },
      apiToken: texts.DAPR_API_TOKEN ?? '',
      appToken: texts.APP_API_TOKEN ?? '',
      maxBodyBytes: bodyLimit(texts.DAPR_MAX_BODY_SIZE ?? ''),
      allowedOrigins: texts.DAPR_ALLOWED_ORIGINS ?? '',
      apiLogging: logging === undefined || logging === '' ? undefined : logging === 'true',
      metrics: metricsPath !== '',
      httpPort: 443,
      internalPort: 0,
      placementConfigured: false,
    },
    metricsPath,
    level,
    json: texts.DAPR_LOG_AS_JSON === 'true',
    resources: Object.keys(texts).filter((name) => /^DAPR_RESOURCES(_\d+)?$/.test(name)).sort(byNumber).map((name) => ({ file: name, text: texts[name] ?? '' })),
    configuration: texts.DAPR_CONFIG ? [{ file: 'DAPR_CONFIG', text: texts.DAPR_CONFIG }] : [],
  };
}

const numberOf = (name: string): number => Number(name.slice('DAPR_RESOURCES_'.length) || 0);
const byNumber = (a: string, b: string): number => numberOf(a) - numberOf(b);

function appAt(url: string): { port: number; protocol: AppProtocol; address: string } {
  if (url === '') return { port: 0, protocol: 'http', address: '127.0.0.1' };
  if (!URL.canParse(url)) throw new Error(`the variable DAPR_APP_URL is no URL: ${url}`);
  const { protocol, hostname, port, pathname, search } = new URL(url);
  if ((protocol !== 'http:' && protocol !== 'https:') || pathname !== '/' || search !== '') throw new Error(`the variable DAPR_APP_URL must be http(s)://host[:port] without a path: ${url}`);
  const secure = protocol === 'https:';
  return { port: Number(port) || (secure ? 443 : 80), protocol: secure ? 'https' : 'http', address: hostname };
}

function bodyLimit(text: string): number {
  if (text === '' || text === '-1') return usualBodyLimit;
  const size = parseQuantity(text);
  if ('error' in size) throw new Error(`invalid value for the variable DAPR_MAX_BODY_SIZE: ${size.error}`);
  return Math.max(0, size.bytes);
}
