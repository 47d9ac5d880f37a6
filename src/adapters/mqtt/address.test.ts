import { expect, test } from 'vitest';
import { parseAddress, tlsOf } from './address.ts';

test.each([
  ['tcp://localhost:1883', 'mqtt://localhost:1883', '', ''],
  ['mqtt://user@broker', 'mqtt://broker', 'user', ''],
  ['mqtts://us%40er:p%3A%2Fw@broker:8884/ignored', 'mqtts://broker:8884', 'us@er', 'p:/w'],
  ['ssl://[::1]:8883', 'mqtts://[::1]:8883', '', ''],
  ['tls://b', 'mqtts://b', '', ''],
  ['WSS://b:443/mqtt?x=1', 'wss://b:443/mqtt?x=1', '', ''],
])('%s', (text, url, username, password) => expect(parseAddress(text)).toEqual({ url, username, password }));

test.each(['localhost:1883', 'http://broker', 'tcp://', ''])('%j is none', (text) => expect(() => parseAddress(text)).toThrow('not that of an MQTT broker'));

const cert = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n', key = '-----BEGIN RSA PRIVATE KEY-----\nQUJD\n-----END RSA PRIVATE KEY-----';
const words = { caCert: 'invalid caCert', clientCert: 'invalid clientCert', clientKey: 'invalid clientKey' };
test('certificates are PEM; client certificate and key count together', () => {
  expect(tlsOf({ caCert: cert, clientCert: cert, clientKey: key }, words)).toEqual({ ca: cert, cert, key });
  expect(tlsOf({ caCert: '', clientCert: cert, clientKey: '' }, words)).toEqual({});
  for (const name of ['caCert', 'clientCert', 'clientKey']) expect(() => tlsOf({ caCert: '', clientCert: '', clientKey: '', [name]: 'x' }, words)).toThrow(`invalid ${name}`);
});
