// A run file (`dapr run -f dapr.yaml`): which apps it describes, and the `outrigger run` flags each of them comes to (Dapr: cli/pkg/runfileconfig).
import { homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** Where lines go: the terminal, a file below `.dapr/logs` of the app, or both. */
export interface LogDestination {
  console: boolean;
  file: boolean;
}
export interface PlannedApp {
  appId: string;
  /** Working directory of the app and of its sidecar. */
  directory: string;
  command: string[];
  /** Added to the environment; these win. */
  env: Record<string, string>;
  /** Flags of `outrigger run`, without the command. */
  flags: string[];
  appLog: LogDestination;
  daprdLog: LogDestination;
}

/** What is wrong with a run file, in one sentence that names file and field. */
export class RunFileError extends Error {
  override name = 'RunFileError';
}

type Section = Record<string, unknown>;

/** Run file key → flag. Several of them may stand in `common` and in each app; the app wins. */
const flagOf: Record<string, string> = {
  appPort: 'app-port', daprHTTPPort: 'dapr-http-port', daprGRPCPort: 'dapr-grpc-port', daprInternalGRPCPort: 'dapr-internal-grpc-port', metricsPort: 'metrics-port',
  profilePort: 'profile-port', appChannelAddress: 'app-channel-address', unixDomainSocket: 'unix-domain-socket', appProtocol: 'app-protocol', apiListenAddresses: 'dapr-listen-addresses',
  enableProfiling: 'enable-profiling', logLevel: 'log-level', appMaxConcurrency: 'app-max-concurrency', placementHostAddress: 'placement-host-address',
  schedulerHostAddress: 'scheduler-host-address', appSSL: 'app-ssl', maxBodySize: 'max-body-size', readBufferSize: 'read-buffer-size',
  enableAppHealthCheck: 'enable-app-health-check', appHealthCheckPath: 'app-health-check-path', appHealthProbeInterval: 'app-health-probe-interval',
  appHealthProbeTimeout: 'app-health-probe-timeout', appHealthThreshold: 'app-health-threshold', enableApiLogging: 'enable-api-logging',
};
/** These belong to one app; `common` cannot set them. */
const ownKeys = new Set(['appPort', 'daprHTTPPort', 'daprGRPCPort', 'daprInternalGRPCPort', 'metricsPort', 'profilePort', 'appChannelAddress', 'unixDomainSocket']);

const isSection = (value: unknown): value is Section => typeof value === 'object' && value !== null && !Array.isArray(value);
const isZero = (value: unknown) => value === undefined || value === null || value === false || value === 0 || value === '' || (Array.isArray(value) && value.length === 0);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : isZero(value) ? [] : [String(value)]);

/** `content`: the YAML, parsed. `exists` says whether a file or folder is there. Relative paths of `common` start at the file, those of an app at its appDirPath. */
export function readRunFile(content: unknown, file: string, exists: (path: string) => boolean): { name: string; apps: PlannedApp[] } {
  const wrong = (what: string) => new RunFileError(`${file}: ${what}`);
  if (!isSection(content)) throw wrong('is no mapping with version and apps');
  if (isZero(content.version)) throw wrong('version is missing: write `version: 1`');
  if (!Array.isArray(content.apps) || content.apps.length === 0) throw wrong('apps is missing or empty');
  const home = dirname(resolve(file));
  const common = isSection(content.common) ? content.common : {};
  const located = (path: string, base: string) => (path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(base, path));
  const must = (path: string, what: string) => {
    if (!exists(path)) throw wrong(`${what}: there is no ${path}`);
    return path;
  };

  const apps = content.apps.map((app: unknown, i: number): PlannedApp => {
    const at = `apps[${i}]`;
    if (!isSection(app)) throw wrong(`${at} is no mapping`);
    if (isZero(app.appDirPath)) throw wrong(`${at}.appDirPath is missing`);
    const directory = must(located(String(app.appDirPath), home), `${at}.appDirPath`);
    const appId = isZero(app.appID) ? basename(directory) : String(app.appID);

    const flags = ['--app-id', appId];
    for (const [key, flag] of Object.entries(flagOf)) {
      const value = isZero(app[key]) && !ownKeys.has(key) ? common[key] : app[key];
      if (!isZero(value)) flags.push(`--${flag}=${String(value)}`);
    }
    // nearest first: the app's own, the folder it brings along, the common one
    const pathsOf = (section: Section, base: string, what: string) => [...texts(section.resourcesPaths), ...texts(section.resourcesPath)].map((p) => must(located(p, base), what));
    const own = pathsOf(app, directory, `${at}.resourcesPaths`);
    const usual = [join(directory, '.dapr/resources')].filter(exists);
    for (const path of [own, usual, pathsOf(common, home, 'common.resourcesPaths')].find((paths) => paths.length > 0) ?? []) flags.push('--resources-path', `"${path.replaceAll('"', '""')}"`);
    const config = !isZero(app.configFilePath)
      ? must(located(String(app.configFilePath), directory), `${at}.configFilePath`)
      : ([join(directory, '.dapr/config.yaml')].find(exists) ?? (isZero(common.configFilePath) ? undefined : must(located(String(common.configFilePath), home), 'common.configFilePath')));
    if (config !== undefined) flags.push('--config', config);

    const env = { ...(isSection(common.env) ? common.env : {}), ...(isSection(app.env) ? app.env : {}) };
    const log = (key: string, usually: string): LogDestination => {
      const word = String((isZero(app[key]) ? common[key] : app[key]) ?? usually);
      if (!['file', 'console', 'fileAndConsole'].includes(word)) throw wrong(`${at}.${key}: '${word}' is none of file, console, fileAndConsole`);
      return { console: word !== 'file', file: word !== 'console' };
    };
    return {
      appId, directory, flags,
      command: texts(app.command),
      env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value ?? '')])),
      appLog: log('appLogDestination', 'fileAndConsole'),
      daprdLog: log('daprdLogDestination', 'file'),
    };
  });
  return { name: isZero(content.name) ? '' : String(content.name), apps };
}
