import { describe, expect, test } from 'vitest';
import { daprdFlags } from './daprd-flags.ts';
import { parseFlags } from './flag-set.ts';
import { type Environment, type Launch, readLaunch, readLogging, readSizes } from './options.ts';

const flags = (...argv: string[]) => parseFlags(daprdFlags, ['--app-id=a', ...argv]);
function launch(argv: string[], env: Environment = {}): Launch {
  const read = readLaunch(flags(...argv), env);
  if ('refusal' in read) throw new Error(read.refusal);
  return read;
}
const refusal = (argv: string[], env: Environment = {}) => (readLaunch(flags(...argv), env) as { refusal?: string }).refusal;

describe('defaults', () => {
  const { settings, ...rest } = launch([]);
  test('of the settings', () => {
    expect(settings).toMatchObject({
      appId: 'a', namespace: '', mode: 'standalone', httpPort: 3500, maxBodyBytes: 4 << 20, allowedOrigins: '', apiToken: '', appToken: '', apiLogging: undefined, metrics: true, placementConfigured: false,
      app: { port: 0, protocol: 'http', address: '127.0.0.1', maxConcurrency: 0, health: undefined, initEndpoints: { config: true, subscribe: true }, bindingOptionsTimeoutMs: 3000 },
    });
  });
  test('of the rest', () => {
    expect(rest).toMatchObject({
      listenAddresses: [''], socketFolder: '', grpcPort: 50001, internalPort: undefined, publicPort: undefined, metricsPort: 9090, metricsAddress: '0.0.0.0', metricsEnabled: true, resourcePaths: [], configFiles: [],
      maxHeaderBytes: 8192, http2: true, gracefulShutdownMs: 5000, blockShutdownMs: undefined, schedulerAddresses: [],
    });
  });
});

test('environment: tokens and namespace come in, ports do not', () => {
  const { settings } = launch([], { DAPR_API_TOKEN: 't', APP_API_TOKEN: 'u', NAMESPACE: 'n', DAPR_HTTP_PORT: '1', APP_PORT: '2', APP_ID: 'x' });
  expect(settings).toMatchObject({ appId: 'a', apiToken: 't', appToken: 'u', namespace: 'n', httpPort: 3500, app: { port: 0 } });
});

test.each([['', true], ['false', true], ['0', true], ['1', false], ['TRUE', false], ['on', false]])('DAPR_HTTP_DISABLE_H2C=%s', (DAPR_HTTP_DISABLE_H2C, http2) => expect(launch([], { DAPR_HTTP_DISABLE_H2C }).http2).toBe(http2));

test('scheduler addresses: the flag wins over the variable, even when empty', () => {
  const env = { DAPR_SCHEDULER_HOST_ADDRESS_DNS_A: 'h:1,h:2' };
  expect(launch([], env).schedulerAddresses).toEqual(['h:1', 'h:2']);
  expect(launch(['--scheduler-host-address='], env).schedulerAddresses).toEqual([]);
});

test('an empty list of placement servers is none, quoted or not', () => {
  expect(launch(["--placement-host-address='' "]).settings.placementConfigured).toBe(false);
  expect(launch(['--placement-host-address=localhost:50005']).settings.placementConfigured).toBe(true);
});

test('listen addresses are split at commas and not trimmed', () => expect(launch(['--dapr-listen-addresses=127.0.0.1, [::1]']).listenAddresses).toEqual(['127.0.0.1', ' [::1]']));

test('components-path counts only without resources-path', () => {
  expect(launch(['--components-path=c']).resourcePaths).toEqual(['c']);
  expect(launch(['--components-path=c', '--resources-path=r']).resourcePaths).toEqual(['r']);
});

test('the app', () => {
  expect(launch(['--app-port=3000', '--app-protocol=GRPCS', '--app-max-concurrency=3']).settings.app).toMatchObject({ port: 3000, protocol: 'grpcs', maxConcurrency: 3 });
  expect(launch(['--app-ssl'])).toMatchObject({ settings: { app: { protocol: 'https' } }, warnings: ["The 'app-ssl' flag is deprecated; use 'app-protocol=https' instead"] });
  expect(launch(['--app-protocol=grpcs', '--app-ssl']).warnings).toEqual([]);
  expect(launch(['--app-ssl', '--app-protocol=h2c']).settings.app.protocol).toBe('h2c');
  expect(launch(['--disable-init-endpoints= Config ,']).settings.app.initEndpoints).toEqual({ config: false, subscribe: true });
  expect(launch(['--enable-app-health-check', '--app-health-probe-interval=-1', '--app-health-probe-timeout=0', '--app-health-threshold=2147483647']).settings.app.health).toEqual({ path: '/healthz', intervalMs: 5000, timeoutMs: 500, threshold: 3 });
});

test('graceful shutdown: below zero the default, zero without limit; the block phase only where it is asked for', () => {
  expect(launch(['--dapr-graceful-shutdown-seconds=-1']).gracefulShutdownMs).toBe(5000);
  expect(launch(['--dapr-graceful-shutdown-seconds=0']).gracefulShutdownMs).toBe(0);
  expect(launch(['--dapr-block-shutdown-duration=0s']).blockShutdownMs).toBe(0);
});

test('API logging has a third state', () => {
  expect(launch(['--enable-api-logging=false']).settings.apiLogging).toBe(false);
  expect(launch(['--enable-api-logging']).settings.apiLogging).toBe(true);
});

test.each([
  [['--max-body-size=2Ki', '--dapr-http-max-request-size=1'], 2048],
  [['--dapr-http-max-request-size=1'], 1 << 20],
  [['--max-body-size', '-1'], 4 << 20],
  [['--dapr-http-max-request-size=-1'], 4 << 20],
  [['--max-body-size=0'], 0],
  [['--max-body-size=-2'], 0],
])('body limit of %j', (argv, bytes) => expect(launch(argv).settings.maxBodyBytes).toBe(bytes));

test.each([
  [['--read-buffer-size=1Ki'], 5120],
  [['--dapr-http-read-buffer-size=16'], 20480],
  [['--read-buffer-size=0'], (1 << 20) + 4096],
])('header limit of %j: four KiB more, as Go does', (argv, bytes) => expect(launch(argv).maxHeaderBytes).toBe(bytes));

test.each([
  [['--app-id='], 'parameter app-id cannot be empty'],
  [['--app-id=my.app'], 'parameter app-id cannot contain dots'],
  [['--mode=Standalone'], 'invalid mode: Standalone'],
  [['--dapr-http-port=http'], 'error parsing dapr-http-port flag: strconv.Atoi: parsing "http": invalid syntax'],
  [['--dapr-grpc-port='], 'error parsing dapr-grpc-port flag: strconv.Atoi: parsing "": invalid syntax'],
  [['--dapr-public-port=x'], 'error parsing dapr-public-port: strconv.Atoi: parsing "x": invalid syntax'],
  [['--metrics-port=x'], 'failed to parse metrics port: strconv.Atoi: parsing "x": invalid syntax'],
  [['--app-port=4001', '--dapr-http-port=4001'], "the 'dapr-http-port' argument value 4001 conflicts with 'app-port'"],
  [['--app-port=4001', '--dapr-grpc-port=4001'], "the 'dapr-grpc-port' argument value 4001 conflicts with 'app-port'"],
  [['--dapr-http-port=0'], "the 'dapr-http-port' argument value 0 conflicts with 'app-port'"],
  [['--app-protocol=ftp'], "invalid value for 'app-protocol': ftp"],
  [['--disable-init-endpoints=Config, Metrics'], "invalid value for 'disable-init-endpoints': metrics"],
  [['--app-health-probe-timeout=1001', '--app-health-probe-interval=1'], "value for 'health-probe-timeout' must be smaller than 'health-probe-interval'"],
  [['--scheduler-job-streams=0'], 'must define at least 1 scheduler stream, got 0'],
  [['--control-plane-trust-domain='], 'control plane trust domain is required'],
  [['--enable-mtls'], 'trust anchors are required'],
])('%j is refused', (argv, message) => expect(refusal(argv)).toBe(message));

test('ports that are not used may be anything', () => {
  expect(refusal(['--metrics-port=x', '--enable-metrics=false'])).toBeUndefined();
  expect(refusal(['--profile-port', '-1', '--app-port=0'])).toBeUndefined();
  expect(refusal(['--dapr-http-port=0', '--app-port=3000'])).toBeUndefined();
});

test('mode kubernetes is not taken on', () => expect(refusal(['--mode=kubernetes'])).toContain('not built yet'));

test('log level: any case, no other word', () => {
  expect(readLogging(flags('--log-level=DEBUG'))).toMatchObject({ level: 'debug' });
  expect(readLogging(flags('--log-level=loud'))).toEqual({ refusal: 'invalid value for --log-level: loud' });
});

test('sizes and the dissemination timeout are checked while parsing', () => {
  expect(readSizes(flags('--max-body-size=lots'))).toEqual({ refusal: expect.stringContaining("invalid value for 'max-body-size' option: quantities must match") });
  expect(readSizes(flags('--actors-disseminate-timeout=0s'))).toEqual({ refusal: "invalid value for 'actors-disseminate-timeout' option: must be positive, got 0s" });
});
