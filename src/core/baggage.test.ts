import { expect, it } from 'vitest';
import { baggageProblem } from './baggage.ts';

it.each([
  ['a=1'], ['a='], ['a=1;p=x;q , b = 2,c=%20z'], ['a=1,a=2'], ['a=b=c'], [Array.from({ length: 64 }, (_, i) => `k${i}=v`).join(',')],
])('%s is fine', (text) => expect(baggageProblem(text)).toBeUndefined());

it.each([
  ['abc', 'invalid baggage list-member: "abc"'],
  ['a=1,', 'invalid baggage list-member: ""'],
  ['=1', 'invalid key: ""'],
  ['a b=1', 'invalid key: "a b"'],
  ['a=1 2', 'invalid value: "1 2"'],
  ['a=%zz', 'invalid value: invalid URL escape "%zz"'],
  ['a=1;p q', 'invalid baggage list-member property: "p q"'],
  [Array.from({ length: 65 }, (_, i) => `k${i}=v`).join(','), 'too many list-members in baggage-string'],
  [`a=${'x'.repeat(9000)}`, 'baggage-string too large'],
])('%s is refused: %s', (text, problem) => expect(baggageProblem(text)).toBe(problem));
