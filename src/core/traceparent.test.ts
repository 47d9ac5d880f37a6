import { expect, it } from 'vitest';
import { isSampled, isTraceparent, newSpan, readTraceparent, readTracestate, samplingRateOf, tracingMode } from './traceparent.ts';

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

it.each([
  [good, good],
  [`01${good.slice(2)}`, good],
  [`cc${good.slice(2)}-what-the-future-brings`, good],
  [good.slice(1), undefined],
  [`${good}-x`, undefined],
  [`cc${good.slice(2)}x`, undefined],
  [`ff${good.slice(2)}`, undefined],
  [good.toUpperCase(), undefined],
  ['', undefined],
  [undefined, undefined],
  ['00-00000000000000000000000000000000-b7ad6b7169203331-01', undefined],
  ['00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01', undefined],
])('%s is the trace %s', (text, trace) => expect(readTraceparent(text)).toBe(trace));

it.each([['00', false], ['01', true], ['02', false], ['03', true], ['ff', true]])('flags %s are sampled: %s', (flags, is) => expect(isSampled(good.slice(0, 53) + flags)).toBe(is));
it('nothing is sampled where there is no trace', () => expect(isSampled('')).toBe(false));

it.each([
  ['a=1,b=2', 'a=1,b=2'],
  [' a=1\t,, tenant@system=x y ', 'a=1,tenant@system=x y'],
  ['a=1,a=2', ''],
  ['A=1', ''],
  ['a', ''],
  ['a=', ''],
  ['a=1=2', ''],
  [Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(','), ''],
])('tracestate %j is %j', (text, state) => expect(readTracestate(text)).toBe(state));

it('makes children that keep trace and sampling, and roots by the rate', () => {
  expect(newSpan(good, 0)).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(newSpan(good, 0)).not.toBe(newSpan(good, 0));
  expect(newSpan(`01${good.slice(2)}-x`, 0)).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(isTraceparent(newSpan('', 1))).toBe(true);
  expect(newSpan('nonsense', 1)).toMatch(/-01$/);
  expect(newSpan('', 0)).toMatch(/-00$/);
});
