// What the flags and the environment come to: checked settings, ports and folders, or the one sentence daprd refuses to start with.
import type { AppProtocol, Settings } from '../../app/settings.ts';
import { formatDuration } from '../../core/duration.ts';
import type { LogLevel } from '../../core/log.ts';
import { logLevels } from '../../core/log.ts';
import { isTruthy } from '../../core/metadata.ts';
import type { DaprdFlags } from './daprd-flags.ts';
import type { Parsed } from './flag-set.ts';
import { parseQuantity } from './quantity.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything about one start that is not the core's business. */
export interface Launch {
  settings: Settings;
  /** Hosts for the HTTP API; '' = all interfaces, IPv4 and IPv6. */
  listenAddresses: string[];
  /** Directory of the API sockets, '' = TCP. */
  socketFolder: string;
  grpcPort: number;
  /** undefined: the stable port of this app. */
  internalPort: number | undefined;
  internalAddress: string;
  publicPort: number | undefined;
  publicAddress: string;
  profilePort: number;
  metricsPort: number;
  metricsAddress: string;
  metricsEnabled: boolean;
  /** Folders of resources, in order. */
  resourcePaths: string[];
  configFiles: string[];
  /** Largest header block taken, in bytes: as Go's server counts it, 4 KiB above what was asked for. */
  maxHeaderBytes: number;
  /** Whether the API is there over HTTP/2 without TLS as well; DAPR_HTTP_DISABLE_H2C switches it off. */
  http2: boolean;
  /** 0 = no limit. */
  gracefulShutdownMs: number;
  /** undefined: no block phase. */
  blockShutdownMs: number | undefined;
  /** Between two looks at the resource folders that no change asked for. */
  reconcileMs: number;
  placementAddress: string;
  schedulerAddresses: string[];
  /** Sentences for the log at start. */
  warnings: string[];
}

export interface Logging {
  level: LogLevel;
  json: boolean;
  /** '' = stdout. */
  file: string;
}

type Flags = Parsed<DaprdFlags>;
/** The sentence after `Fatal error from runtime: ` (or as `kind` says), thrown by the readers below and by nothing else. */
class Refusal extends Error {}
const refuse = (message: string): never => {
  throw new Refusal(message);
};
function attempt<V>(read: () => V): V | { refusal: string } {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message };
    throw error;
  }
}

/** Sizes and timeouts daprd checks as part of parsing: `Failed to parse flags: …`, before --version. */
export function readSizes({ values, changed }: Flags): { maxBodyBytes: number; maxHeaderBytes: number } | { refusal: string } {
  return attempt(() => {
    const size = (name: 'max-body-size' | 'read-buffer-size', old: 'dapr-http-max-request-size' | 'dapr-http-read-buffer-size', shift: number): number => {
      const usual = 4 * shift;
      let bytes = usual;
      if (changed.has(name)) {
        const read = parseQuantity(values[name]);
        if ('error' in read) return refuse(`invalid value for '${name}' option: ${read.error}`);
        bytes = read.bytes;
      } else if (changed.has(old)) bytes = values[old] > 0 ? values[old] * shift : values[old];
      return bytes === -1 ? usual : bytes;
    };
    const sizes = { maxBodyBytes: size('max-body-size', 'dapr-http-max-request-size', 1 << 20), maxHeaderBytes: size('read-buffer-size', 'dapr-http-read-buffer-size', 1 << 10) };
    const timeout = values['actors-disseminate-timeout'];
    if (timeout <= 0) refuse(`invalid value for 'actors-disseminate-timeout' option: must be positive, got ${formatDuration(timeout)}`);
    return sizes;
  });
}

/** The log flags; a refusal here is a fatal line of its own, without `Fatal error from runtime`. */
export function readLogging({ values }: Flags): Logging | { refusal: string } {
  const level = values['log-level'].toLowerCase() as LogLevel;
  if (!logLevels.includes(level)) return { refusal: `invalid value for --log-level: ${values['log-level']}` };
  return { level, json: values['log-as-json'], file: values['log-file'] };
}

/** Everything else, in the order daprd checks it; the refusal goes behind `Fatal error from runtime: `. */
export function readLaunch(flags: Flags, env: Environment): Launch | { refusal: string } {
  return attempt(() => {
    const { values, changed } = flags;
    const sizes = readSizes(flags);
    if ('refusal' in sizes) return refuse(sizes.refusal);
    checkSecurity(flags, env);
    if (values.mode !== 'standalone' && values.mode !== 'kubernetes') refuse(`invalid mode: ${values.mode}`);
    if (values.mode === 'kubernetes') refuse('mode kubernetes is not built yet: run with --mode standalone and mount resources as files');
    checkAppId(values['app-id']);
    const httpPort = number(values['dapr-http-port'], 'error parsing dapr-http-port flag');
    const grpcPort = number(values['dapr-grpc-port'], 'error parsing dapr-grpc-port flag');
    const profilePort = number(values['profile-port'], 'error parsing profile-port flag');
    const internal = values['dapr-internal-grpc-port'];
    const internalPort = internal === '' || internal === '0' ? undefined : number(internal, 'error parsing dapr-internal-grpc-port');
    const publicPort = values['dapr-public-port'] === '' ? undefined : number(values['dapr-public-port'], 'error parsing dapr-public-port');
    const appPort = values['app-port'] === '' ? 0 : number(values['app-port'], 'error parsing app-port');
    if (appPort === httpPort) refuse(`the 'dapr-http-port' argument value ${httpPort} conflicts with 'app-port'`);
    if (appPort === grpcPort) refuse(`the 'dapr-grpc-port' argument value ${grpcPort} conflicts with 'app-port'`);
    const protocol = appProtocol(values['app-protocol'], values['app-ssl']);
    const disabled = values['disable-init-endpoints'].map((name) => name.trim().toLowerCase()).filter((name) => name !== '');
    for (const name of disabled) if (name !== 'config' && name !== 'subscribe') refuse(`invalid value for 'disable-init-endpoints': ${name}`);
    const health = appHealth(values);
    if (values['scheduler-job-streams'] < 1) refuse(`must define at least 1 scheduler stream, got ${values['scheduler-job-streams']}`);
    const metricsPort = values['enable-metrics'] ? number(values['metrics-port'], 'failed to parse metrics port') : 0;
    const schedulerAddresses = changed.has('scheduler-host-address') ? values['scheduler-host-address'] : (env.DAPR_SCHEDULER_HOST_ADDRESS_DNS_A?.split(',') ?? []);
    const placementAddress = values['placement-host-address'];
    const graceful = values['dapr-graceful-shutdown-seconds'];
    const optionsTimeout = values['app-binding-options-timeout'];

    return {
      settings: {
        appId: values['app-id'],
        namespace: env.NAMESPACE ?? '',
        mode: values.mode as Settings['mode'],
        app: {
          port: appPort,
          protocol,
          address: values['app-channel-address'],
          maxConcurrency: Math.max(0, values['app-max-concurrency']),
          health,
          initEndpoints: { config: !disabled.includes('config'), subscribe: !disabled.includes('subscribe') },
          bindingOptionsTimeoutMs: optionsTimeout > 0 ? optionsTimeout : 3000,
        },
        apiToken: env.DAPR_API_TOKEN ?? '',
        appToken: env.APP_API_TOKEN ?? '',
        maxBodyBytes: Math.max(0, sizes.maxBodyBytes),
        allowedOrigins: values['allowed-origins'],
        apiLogging: changed.has('enable-api-logging') ? values['enable-api-logging'] : undefined,
        metrics: values['enable-metrics'],
        httpPort,
        internalPort: internalPort ?? 0,
        placementConfigured: placementAddress.replace(/["' ]/g, '') !== '',
      },
      listenAddresses: values['dapr-listen-addresses'].split(','),
      socketFolder: values['unix-domain-socket'],
      grpcPort,
      internalPort,
      internalAddress: values['dapr-internal-grpc-listen-address'],
      publicPort,
      publicAddress: values['dapr-public-listen-address'],
      profilePort,
      metricsPort,
      metricsAddress: values['metrics-listen-address'],
      metricsEnabled: values['enable-metrics'],
      resourcePaths: values['resources-path'].length === 0 && values['components-path'] !== '' ? [values['components-path']] : values['resources-path'],
      configFiles: values.config,
      maxHeaderBytes: (sizes.maxHeaderBytes > 0 ? sizes.maxHeaderBytes : 1 << 20) + 4096,
      http2: !isTruthy(env.DAPR_HTTP_DISABLE_H2C),
      gracefulShutdownMs: (graceful < 0 ? 5 : graceful) * 1000,
      blockShutdownMs: changed.has('dapr-block-shutdown-duration') ? values['dapr-block-shutdown-duration'] : undefined,
      reconcileMs: values['hot-reload-reconcile-interval'] > 0 ? values['hot-reload-reconcile-interval'] : 60_000,
      placementAddress,
      schedulerAddresses: schedulerAddresses.filter((address) => address !== ''),
      warnings: protocol.endsWith('s') && protocol !== values['app-protocol'].toLowerCase() ? [`The 'app-ssl' flag is deprecated; use 'app-protocol=${protocol}' instead`] : [],
    };
  });
}

function checkAppId(appId: string): void {
  if (appId === '') refuse('parameter app-id cannot be empty');
  if (appId.includes('.')) refuse('parameter app-id cannot contain dots');
}

function checkSecurity({ values, changed }: Flags, env: Environment): void {
  const domain = changed.has('control-plane-trust-domain') ? values['control-plane-trust-domain'] : (env.DAPR_CONTROLPLANE_TRUST_DOMAIN ?? values['control-plane-trust-domain']);
  if (domain === '') refuse('control plane trust domain is required');
  // SPIFFE: what stands between spiffe:// and the next slash
  const name = domain.replace(/^spiffe:\/\//, '').split('/')[0] as string;
  if (!/^[a-z0-9._-]+$/.test(name)) refuse('invalid control plane trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores');
  if (!values['enable-mtls']) return;
  const anchors = env.DAPR_TRUST_ANCHORS ?? '';
  if (anchors === '') refuse('trust anchors are required');
  refuse(anchors.includes('-----BEGIN CERTIFICATE-----') ? 'mTLS between sidecars is not built yet: start without --enable-mtls' : 'failed to decode trust anchors: no certificates found');
}

function number(text: string, what: string): number {
  if (!/^[+-]?\d+$/.test(text)) return refuse(`${what}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) return refuse(`${what}: strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  return value;
}

const protocols: readonly string[] = ['http', 'https', 'h2c', 'grpc', 'grpcs'];
function appProtocol(given: string, ssl: boolean): AppProtocol {
  const name = given.toLowerCase() || 'http';
  if (!protocols.includes(name)) return refuse(`invalid value for 'app-protocol': ${given}`);
  return (ssl && given !== '' && (name === 'http' || name === 'grpc') ? `${name}s` : name) as AppProtocol;
}

function appHealth(values: Flags['values']): Settings['app']['health'] {
  const interval = values['app-health-probe-interval'];
  const timeout = values['app-health-probe-timeout'];
  const threshold = values['app-health-threshold'];
  const intervalMs = interval <= 0 ? 5000 : interval * 1000;
  const timeoutMs = timeout <= 0 ? 500 : timeout;
  if (timeoutMs > intervalMs) refuse("value for 'health-probe-timeout' must be smaller than 'health-probe-interval'");
  if (!values['enable-app-health-check']) return undefined;
  return { path: values['app-health-check-path'], intervalMs, timeoutMs, threshold: threshold < 1 || threshold > 0x7fff_fffe ? 3 : threshold };
}
