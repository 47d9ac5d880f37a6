import { expect, it } from 'vitest';
import { goFloat } from './go-float.ts';

// what strconv.FormatFloat(v, 'g', -1, 64) prints
it.each([
  [0, '0'], [-0, '0'], [1, '1'], [999999, '999999'], [1e6, '1e+06'], [1234567, '1.234567e+06'], [2 ** 32, '4.294967296e+09'], [1e21, '1e+21'], [0.066897, '0.066897'],
  [0.0001, '0.0001'], [0.00001, '1e-05'], [1.5e-7, '1.5e-07'], [-1, '-1'], [1e100, '1e+100'], [Number.POSITIVE_INFINITY, '+Inf'], [Number.NEGATIVE_INFINITY, '-Inf'], [Number.NaN, 'NaN'],
])('%d', (value, text) => expect(goFloat(value)).toBe(text));
