import { expect, test } from 'vitest';
import type { FilesPort } from '../../../core/host.ts';
import { createLogger } from '../../../core/log.ts';
import type { OtelSpec } from '../../../blocks/resources/kinds.ts';
import { otlpEndpoint } from './otlp-endpoint.ts';

const lines: string[] = [];
const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) });
const files = { read: async (path: string) => { if (path === '/none') throw new Error('open /none: no such file or directory'); return new TextEncoder().encode(`text of ${path}`); } } as FilesPort;
const endpoint = (spec: Partial<OtelSpec>, env: Record<string, string> = {}) =>
  otlpEndpoint({ protocol: 'http', endpointAddress: 'otel:4318', isSecure: true, headers: [], ...spec }, Object.fromEntries(Object.entries(env).map(([name, value]) => [`OTEL_EXPORTER_OTLP_${name}`, value])), files, log);

test.each([
  [{}, {}, 'https://otel:4318/v1/traces'],
  [{ isSecure: false }, {}, 'http://otel:4318/v1/traces'],
  [{ endpointAddress: 'http://otel:4318' }, {}, 'http://otel:4318/v1/traces'],
  [{ endpointAddress: 'otel:4318/own/' }, {}, 'https://otel:4318/own'],
  [{}, { INSECURE: 'true' }, 'http://otel:4318/v1/traces'],
  // as the Configuration's section is after blocks/resources/tracing.ts
  [{}, { ENDPOINT: 'http://otel:4318' }, 'http://otel:4318/v1/traces'],
  [{}, { ENDPOINT: 'https://otel:4318' }, 'https://otel:4318/v1/traces'],
  [{ endpointAddress: 'otel:4318/base' }, { ENDPOINT: 'http://otel:4318/base' }, 'http://otel:4318/base/v1/traces'],
  [{ endpointAddress: 'otel:4318/all' }, { TRACES_ENDPOINT: 'http://otel:4318/all', ENDPOINT: 'https://else' }, 'http://otel:4318/all'],
  [{}, { TRACES_ENDPOINT: 'http://otel:4318' }, 'http://otel:4318/'],
  // a variable for another address says nothing about this one
  [{}, { ENDPOINT: 'http://else:4318/base' }, 'https://otel:4318/v1/traces'],
  [{ endpointAddress: '[::1]:4318', isSecure: false }, {}, 'http://[::1]:4318/v1/traces'],
] as [Partial<OtelSpec>, Record<string, string>, string][])('%j with %j is %s', async (spec, env, url) => {
  const { origin, path } = await endpoint(spec, env);
  expect(origin + path).toBe(url);
});

test('what is no address is refused', async () => { await expect(endpoint({ endpointAddress: 'a b' })).rejects.toThrow('"a b" is no address of an Otel endpoint'); });

test('headers of the Configuration go before those of the environment', async () => {
  expect((await endpoint({ headers: ['a=b=c', 'nonsense', 'd='] })).headers).toEqual([['a', 'b=c'], ['d', '']]);
  expect((await endpoint({}, { HEADERS: 'x=1', TRACES_HEADERS: 'a=b%20c, d = e ' })).headers).toEqual([['a', 'b c'], ['d', 'e']]);
  expect((await endpoint({ headers: ['a=b'] }, { HEADERS: 'x=1' })).headers).toEqual([['a', 'b']]);
});

test('timeout and compression', async () => {
  expect(await endpoint({})).toMatchObject({ timeoutMs: 10_000, gzip: false });
  expect(await endpoint({}, { TIMEOUT: '500', COMPRESSION: 'gzip' })).toMatchObject({ timeoutMs: 500, gzip: true });
  expect(await endpoint({ timeoutMs: 700 }, { TIMEOUT: '500', TRACES_COMPRESSION: 'none', COMPRESSION: 'gzip' })).toMatchObject({ timeoutMs: 700, gzip: false });
});

test('certificates are read from their files; one that cannot be is told of', async () => {
  expect((await endpoint({}, { CERTIFICATE: '/ca', CLIENT_CERTIFICATE: '/cert', CLIENT_KEY: '/key' })).tls).toEqual({ ca: 'text of /ca', cert: 'text of /cert', key: 'text of /key' });
  expect((await endpoint({}, { CLIENT_CERTIFICATE: '/cert' })).tls).toBeUndefined();
  expect((await endpoint({ isSecure: false }, { CERTIFICATE: '/ca' })).tls).toBeUndefined();
  expect((await endpoint({}, { TRACES_CERTIFICATE: '/none' })).tls).toBeUndefined();
  expect(lines.join()).toContain('OTEL_EXPORTER_OTLP_CERTIFICATE is not used: open /none: no such file or directory');
});
