import { expect, it } from 'vitest';
import { isTraceparent, newSpan, samplingRateOf, tracingMode } from './traceparent.ts';

const good = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

it.each([
  ['', {}, 'echo'],
  ['0', {}, 'off'],
  ['0.0', { stdout: true }, 'off'],
  ['1', {}, 'spans'],
  ['abc', {}, 'spans'],
  ['', { stdout: true }, 'spans'],
  ['', { zipkin: { endpointAddress: '' } }, 'echo'],
  ['', { zipkin: { endpointAddress: 'http://z' } }, 'spans'],
  ['', { otel: { endpointAddress: 'o:4317', protocol: 'grpc' } }, 'spans'],
] as const)('sampling rate %j with %j means %s', (samplingRate, exporters, mode) => expect(tracingMode({ samplingRate, stdout: false, ...exporters })).toBe(mode));

it('reads the rate, and takes upstream’s default for what is none', () => expect(['0.5', '', 'abc'].map(samplingRateOf)).toEqual([0.5, 1e-4, 1e-4]));

it.each([[good, true], [good.slice(1), false], [`${good}-x`, false], ['', false], [good.replace('b7ad6b7169203331', '0'.repeat(16)), false]])('%s is one: %s', (text, is) => expect(isTraceparent(text)).toBe(is));

it('makes children that keep trace and sampling, and roots by the rate', () => {
  expect(newSpan(good, 0)).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(newSpan(good, 0)).not.toBe(newSpan(good, 0));
  expect(isTraceparent(newSpan('', 1))).toBe(true);
  expect(newSpan('nonsense', 1)).toMatch(/-01$/);
  expect(newSpan('', 0)).toMatch(/-00$/);
});
