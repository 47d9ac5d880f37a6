// The flags of `dapr run`, and the daprd flags they come to (Dapr: cli/cmd/run.go).
import { bool, type FlagTable, int, list, type Parsed, text } from './flag-set.ts';

export const runFlags = {
  'app-id': text('', 'name of the app; none: a made-up one', { short: 'a' }),
  'app-port': int(-1, 'port the app listens on', { short: 'p' }),
  'app-protocol': text('http', 'what the app speaks: http, https, h2c, grpc or grpcs', { short: 'P' }),
  'app-channel-address': text('127.0.0.1', 'address the app listens on'),
  'app-max-concurrency': int(-1, 'calls to the app at the same time; -1 for no limit'),
  'app-ssl': bool(false, 'the app speaks TLS', { deprecated: "use '--app-protocol https|grpcs'" }),
  'dapr-http-port': int(-1, 'port of the HTTP API; -1 for a free one', { short: 'H' }),
  'dapr-grpc-port': int(-1, 'port of the gRPC API; -1 for a free one', { short: 'G' }),
  'dapr-internal-grpc-port': int(-1, 'port other sidecars call; -1 for a free one', { short: 'I' }),
  'metrics-port': int(-1, 'port of the metrics; -1 for a free one', { short: 'M' }),
  'profile-port': int(-1, 'port of the profiles; -1 for none'),
  'enable-profiling': bool(false, 'serve profiles'),
  'dapr-listen-addresses': text('', 'addresses of the APIs, separated by commas'),
  'unix-domain-socket': text('', 'folder for the sockets of the APIs', { short: 'u' }),
  config: text('', 'Configuration file', { short: 'c' }),
  'resources-path': list('folder of resource files; may be repeated'),
  'components-path': text('', 'folder of resource files', { short: 'd', deprecated: 'use --resources-path' }),
  'log-level': text('info', 'debug, info, warn, error or fatal'),
  'log-as-json': bool(false, 'log lines as JSON'),
  'placement-host-address': text('', 'addresses of the placement service'),
  'scheduler-host-address': text('', 'addresses of the scheduler service'),
  'max-body-size': text('4Mi', 'largest request body'),
  'read-buffer-size': text('4Ki', 'largest request header block'),
  'dapr-http-max-request-size': int(4, 'largest request body in MB', { deprecated: "use '--max-body-size 4Mi'" }),
  'dapr-http-read-buffer-size': int(4, 'largest request header block in KB', { deprecated: "use '--read-buffer-size 4Ki'" }),
  'enable-app-health-check': bool(false, 'probe the health of the app'),
  'app-health-check-path': text('', 'path of the probe'),
  'app-health-probe-interval': int(0, 'seconds between probes'),
  'app-health-probe-timeout': int(0, 'milliseconds a probe may take'),
  'app-health-threshold': int(0, 'failed probes that make the app unhealthy'),
  'enable-api-logging': bool(false, 'log every API call'),
  'runtime-path': text('', 'accepted for compatibility; the sidecar is this program'),
  'run-file': text('', 'file (or folder with dapr.yaml, or - for stdin) that describes several apps', { short: 'f' }),
  kubernetes: bool(false, 'run on Kubernetes (not built yet)', { short: 'k' }),
} satisfies FlagTable;

export type RunFlags = typeof runFlags;
type PortFlag = 'dapr-http-port' | 'dapr-grpc-port' | 'dapr-internal-grpc-port' | 'metrics-port';
export const portFlags: readonly PortFlag[] = ['dapr-http-port', 'dapr-grpc-port', 'dapr-internal-grpc-port', 'metrics-port'];

/** Flags that mean the same to daprd; a zero or an empty value of these is left to daprd's default. */
const passedOn = [
  'app-protocol', 'app-channel-address', 'app-max-concurrency', 'dapr-listen-addresses', 'unix-domain-socket', 'config', 'log-level', 'placement-host-address',
  'scheduler-host-address', 'max-body-size', 'read-buffer-size', 'dapr-http-max-request-size', 'dapr-http-read-buffer-size', 'app-health-check-path',
  'app-health-probe-interval', 'app-health-probe-timeout', 'app-health-threshold', 'app-ssl', 'log-as-json', 'enable-app-health-check', 'enable-api-logging', 'enable-profiling',
] as const;

/** daprd's arguments for these flags. `ports`: the ports decided on; `folders` and `config`: what is used where none is given. */
export function daprdArguments(
  { values, changed }: Parsed<RunFlags>,
  { appId, ports, folders, config }: { appId: string; ports: Record<PortFlag, number>; folders: readonly string[]; config: string },
): string[] {
  const argv = [`--app-id=${appId}`, ...portFlags.map((name) => `--${name}=${ports[name]}`)];
  if (values['app-port'] > 0) argv.push(`--app-port=${values['app-port']}`);
  const given = values['resources-path'].length > 0 ? values['resources-path'] : values['components-path'] !== '' ? [values['components-path']] : folders;
  // quoted, so that a comma in a path stays one
  for (const folder of given) argv.push(`--resources-path="${folder.replaceAll('"', '""')}"`);
  if (!changed.has('config') && config !== '') argv.push(`--config="${config.replaceAll('"', '""')}"`);
  for (const name of passedOn) {
    const value = values[name];
    if (changed.has(name) && value !== '' && value !== 0 && value !== false) argv.push(`--${name}=${value}`);
  }
  return argv;
}

/** What the app finds in its environment beside what was there. */
export function appEnvironment({ values }: Parsed<RunFlags>, { appId, ports }: { appId: string; ports: Record<PortFlag, number> }): Record<string, string> {
  return {
    APP_ID: appId,
    APP_CHANNEL_ADDRESS: values['app-channel-address'],
    ...(values['app-port'] > 0 ? { APP_PORT: String(values['app-port']) } : {}),
    APP_PROTOCOL: values['app-protocol'] || 'http',
    DAPR_HTTP_PORT: String(ports['dapr-http-port']),
    DAPR_GRPC_PORT: String(ports['dapr-grpc-port']),
    DAPR_METRICS_PORT: String(ports['metrics-port']),
  };
}
