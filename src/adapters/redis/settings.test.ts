import { expect, test } from 'vitest';
import { redisField, redisSchema } from './settings.ts';

const state = redisSchema('state', { ttlInSeconds: redisField.int().optional() });
const settings = (properties: Record<string, string>) => state.parse(properties).connection;

test('without anything it is localhost with the defaults of daprd', () => {
  expect(settings({})).toMatchObject({ address: 'localhost:6379', mode: 'node', database: 0, maxRetries: 3, minRetryMs: 2000, maxRetryMs: 512, dialTimeoutMs: 5000, readTimeoutMs: 3000, tls: undefined });
  expect(redisSchema('configuration', {}).parse({}).connection).toMatchObject({ minRetryMs: 8, maxRetryMs: 2000 });
});

test.each([
  ['redis', '', 'redis:6379'],
  ['redis', '7000', 'redis:7000'],
  ['redis:7000', '', 'redis:7000'],
  ['redis:7000', '7000', 'redis:7000'],
  ['a:1, b ,c:3', '', 'a:1,b:6379,c:3'],
  ['::1', '7000', '[::1]:7000'],
  ['[::1]:7000', '', '[::1]:7000'],
])('host %j and port %j are %j', (redisHost, redisPort, address) => {
  expect(settings({ redisHost, ...(redisPort === '' ? {} : { redisPort }) }).address).toBe(address);
});

test('two ports that contradict each other are refused', () => {
  expect(() => settings({ redisHost: 'redis:7000', redisPort: '1' })).toThrow('redis client configuration error: redis host "redis:7000" already contains port 7000, but redisPort is set to 1');
});

test.each([
  [{ enableTLS: 'yes' }, `redis client configuration error: decode failed. 1 error(s) decoding:\n\n* error decoding 'enableTLS': invalid bool "yes"`],
  [{ redisDB: 'first' }, `* error decoding 'redisDB': invalid int "first"`],
  [{ redisPort: '65536' }, `* error decoding 'redisPort': invalid uint16 "65536"`],
  [{ readTimeout: 'soon' }, `* error decoding 'readTimeout': invalid Duration "soon"`],
  [{ redisHost: 'a', REDISHOST: 'b' }, 'duplicate'],
  [{ useEntraID: 'true', redisUsername: 'u' }, 'redis client configuration error: username or password must not be specified when using Entra ID authentication'],
  [{ useAzureAD: 'true', redisPassword: 'p' }, 'username or password must not be specified'],
] as [Record<string, string>, string][])('%j is refused', (properties, message) => {
  expect(() => settings(properties)).toThrow(message);
});

test('numbers without a unit are milliseconds, negative ones switch a limit off', () => {
  expect(settings({ readTimeout: '250', dialTimeout: '1m30s' })).toMatchObject({ readTimeoutMs: 250, dialTimeoutMs: 90_000 });
  expect(settings({ readTimeout: '-1', redisMaxRetries: '-1' })).toMatchObject({ readTimeoutMs: undefined, maxRetries: 0 });
});

test('legacy names count where the new ones are absent or empty', () => {
  expect(settings({ maxRetries: '7', maxRetryBackoff: '4000000' })).toMatchObject({ maxRetries: 7, minRetryMs: 4 });
  expect(settings({ maxRetries: '7', redisMaxRetries: '' }).maxRetries).toBe(7);
  expect(settings({ maxRetries: '7', redisMaxRetries: '2', maxRetryBackoff: '4', redisMinRetryInterval: '5s' })).toMatchObject({ maxRetries: 2, minRetryMs: 5000 });
  expect(redisSchema('pubsub', {}).parse({ maxRetries: '7' }).connection.maxRetries).toBe(3);
});

test('modes', () => {
  expect(settings({ redisType: 'cluster' }).mode).toBe('cluster');
  expect(settings({ failover: 'true', sentinelMasterName: 'm' })).toMatchObject({ mode: 'sentinel', sentinelMaster: 'm' });
  expect(settings({ enableTLS: 'true', insecureSkipTLSVerify: '1', clientCert: 'c', clientKey: 'k' }).tls).toEqual({ verify: false, cert: 'c', key: 'k' });
});

test('signing in with Microsoft Entra ID means TLS, unless that is switched off', () => {
  const { entra, tls } = settings({ useAzureAD: 'true', azureClientId: 'c', spnTenantId: 't', azureClientSecret: 's' });
  expect([entra, tls]).toEqual([expect.objectContaining({ azureClientId: 'c', azureTenantId: 't', azureClientSecret: 's' }), { verify: true }]);
  expect(settings({ useEntraID: 'true', enableTLS: 'false' }).tls).toBeUndefined();
  expect(settings({ azureClientId: 'c' })).toMatchObject({ entra: undefined, tls: undefined });
});

test('own fields are decoded beside the connection', () => {
  expect(state.parse({ TTLINSECONDS: '-1' }).ttlInSeconds).toBe(-1);
  expect(() => state.parse({ ttlInSeconds: 'x' })).toThrow(`* error decoding 'ttlInSeconds': invalid int "x"`);
});
