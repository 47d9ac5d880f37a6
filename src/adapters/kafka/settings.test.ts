import { expect, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { kafkaSchema, settingsOf } from './settings.ts';

const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: () => undefined });
const parse = (metadata: Record<string, string>, retries = true) => settingsOf(kafkaSchema.parse(metadata), metadata, log, retries);
const least = { brokers: 'a:1, b:2', authType: 'none' };
const cert = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----', key = '-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----';

test('defaults', () => {
  expect(parse({ ...least, consumerID: 'app' })).toMatchObject({
    brokers: ['a:1', 'b:2'], clientId: 'sarama', group: 'app', fromOldest: false, auth: { type: 'none' }, tls: undefined, rejoinMs: 100, heartbeatMs: 3000, sessionMs: 10_000, escapeHeaders: false,
    metadataAgeMs: 480_000, dialMs: 30_000, readMs: 30_000, ahead: 256, fetchMinBytes: 1, fetchBytes: 1_048_576, strategy: 'range', compression: 'none', acks: -1, retries: 5, maxMessageBytes: 1_048_576, exclude: undefined,
    retry: { exponential: false, durationMs: 5000, maxRetries: -1 },
  });
  expect(parse(least, false).retry).toBeUndefined();
  expect(parse({ ...least, consumeRetryEnabled: 'true' }, false).retry).toBeDefined();
  expect(parse({ ...least, consumerGroup: 'g', consumerID: 'app', consumeRetryInterval: '250', initialOffset: 'Oldest' })).toMatchObject({ group: 'g', rejoinMs: 250, fromOldest: true });
  expect(parse({ ...least, consumeRetryInterval: '2s' }).rejoinMs).toBe(2000);
});
test('authentication', () => {
  expect(parse({ ...least, authType: 'Password', saslUsername: 'u', saslPassword: 'p', saslMechanism: 'SHA-512' })).toMatchObject({ auth: { mechanism: 'scram-sha-512', username: 'u', password: 'p' }, tls: { verify: true } });
  expect(parse({ ...least, authType: 'password', saslUsername: 'u', saslPassword: 'p', disableTls: 'true' })).toMatchObject({ auth: { mechanism: 'plain' }, tls: undefined });
  expect(parse({ brokers: 'a', authRequired: 'true', saslUsername: 'u', saslPassword: 'p' }).auth.type).toBe('password');
  expect(parse({ brokers: 'a', authRequired: 'false' }).auth.type).toBe('none');
  expect(parse({ ...least, authType: 'mtls', clientCert: cert, clientKey: key, skipVerify: 'yes' }).tls).toEqual({ verify: false, cert, key });
  expect(parse({ ...least, authType: 'certificate', caCert: cert }).tls).toEqual({ verify: true, ca: cert });
  expect(parse({ ...least, authType: 'oidc', oidcTokenEndpoint: 'https://t', oidcClientID: 'c', oidcClientSecret: 's', oidcScopes: 'a,b', oidcExtensions: '{"x":"y"}' }).auth).toMatchObject({ scopes: ['a', 'b'], extensions: { x: 'y' } });
});
test('the AWS fields, by their own names and by the old ones', () => {
  const aws = { accessKey: 'a', secretKey: 's', sessionToken: 't', assumeRoleArn: 'r', sessionName: 'n', region: 'eu-west-1' };
  const old = { awsAccessKey: 'a', awsSecretKey: 's', awsSessionToken: 't', awsIamRoleArn: 'r', awsStsSessionName: 'n', awsRegion: 'eu-west-1' };
  for (const metadata of [aws, old, { ...old, ...aws }]) expect(parse({ brokers: 'b', authType: 'awsIAM', ...metadata })).toMatchObject({ auth: { type: 'awsiam', aws }, tls: { verify: true } });
});
test.each([
  [{}, "missing 'brokers' attribute"],
  [{ brokers: 'a' }, "'authType' attribute was missing or empty"],
  [{ brokers: 'a', authType: 'magic' }, "invalid value for 'authType' attribute"],
  [{ brokers: 'a', authRequired: 'maybe' }, "invalid value for 'authRequired' attribute"],
  [{ brokers: 'a', authType: 'awsiam' }, 'failed to validate AWS IAM authentication fields: metadata property AWSRegion is missing'],
  [{ ...least, initialOffset: 'middle' }, 'invalid initialOffset: middle'],
  [{ ...least, authType: 'password' }, "missing SASL Username for authType 'password'"],
  [{ ...least, authType: 'password', saslUsername: 'u' }, "missing SASL Password for authType 'password'"],
  [{ ...least, authType: 'oidc', oidcTokenEndpoint: 't', oidcClientID: 'c' }, "missing OIDC Client Secret for authType 'oidc'"],
  [{ ...least, authType: 'oidc', oidcTokenEndpoint: 't', oidcClientID: 'c', oidcClientSecret: 's', oidcExtensions: '[]' }, "improper OIDC Extensions format for authType 'oidc'"],
  [{ ...least, authType: 'mtls', clientCert: cert }, 'clientKey or clientCert is missing'],
  [{ ...least, authType: 'mtls', clientCert: 'x', clientKey: key }, 'invalid client certificate'],
  [{ ...least, authType: 'mtls', clientCert: cert, clientKey: key, disableTls: 'true' }, "cannot configure mTLS authentication when TLSDisable is 'true'"],
  [{ ...least, authType: 'certificate' }, "missing CA certificate property 'caCert'"],
  [{ ...least, caCert: 'x' }, 'invalid ca certificate'],
  [{ ...least, version: '2.0.0.0' }, 'invalid kafka version'],
  [{ ...least, compression: 'brotli' }, 'invalid compression: brotli'],
  [{ ...least, producerRequiredAcks: 'some' }, `invalid value for 'producerRequiredAcks': "some" (must be "all", "local", or "none")`],
  [{ ...least, producerRetryMax: '-1' }, "invalid value for 'producerRetryMax': -1 (must be >= 0)"],
  [{ ...least, backOffPolicy: 'random' }, 'unexpected back off policy type: random'],
] as [Record<string, string>, string][])('%j is refused', (metadata, message) => expect(() => parse(metadata)).toThrow(message));
