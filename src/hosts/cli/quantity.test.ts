import { expect, test } from 'vitest';
import { parseQuantity } from './quantity.ts';

test.each([
  ['4Mi', 4 << 20], ['1k', 1000], ['+2e3', 2000], ['1.5k', 1500], ['1.5e3', 1500], ['4194304', 4194304], ['0', 0], ['-1', -1], ['8E', 8e18], ['0.0', 0], ['00012', 12], ['1e+3', 1000], ['1G', 1e9], ['3Gi', 3 * 2 ** 30],
])('%s is %d bytes', (text, bytes) => expect(parseQuantity(text)).toEqual({ bytes }));

test.each(['lots', '4KiB', '', ' 4Mi', '4 Mi', 'Mi'])('%j is no quantity', (text) => expect(parseQuantity(text)).toMatchObject({ error: expect.stringContaining('quantities must match') }));
test.each(['1500m', '1.0', '0.5Ki', '1.0Ki', '20E', '10e18', '16Ei', '1e99'])('%s has no whole bytes', (text) => expect(parseQuantity(text)).toMatchObject({ error: expect.stringContaining('cannot get bytes') }));
test.each(['1e', '5i', '1KM'])('%s has an odd suffix', (text) => expect(parseQuantity(text)).toEqual({ error: "unable to parse quantity's suffix" }));
