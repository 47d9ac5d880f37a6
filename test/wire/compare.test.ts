// What counts as a difference between a recorded and a seen step, and which differences fail.
import { describe, expect, test } from 'vitest';
import { compareStep, differences, worst } from './compare.ts';

const kinds = (want: unknown, got: unknown) => differences(want, got).map(({ at, kind }) => `${kind} ${at}`);

describe('differences', () => {
  test('equal values have none', () => {
    expect(kinds({ status: 204, headers: {}, list: [1, null] }, { status: 204, headers: {}, list: [1, null] })).toEqual([]);
  });
  test('the same JSON in other bytes is soft, another value is hard and named by its path', () => {
    expect(kinds({ text: '{"a":1,"b":"x"}' }, { text: '{ "b": "x", "a": 1 }' })).toEqual(['soft text']);
    expect(kinds({ text: '{"a":1}' }, { text: '{"a":2}' })).toEqual(['hard text.a']);
  });
  test('texts that hold a JSON scalar are compared as texts', () => {
    expect(kinds({ text: '1.0' }, { text: '1' })).toEqual(['hard text']);
  });
  test('a header too many or too few is hard', () => {
    expect(kinds({ headers: { etag: '1' } }, { headers: { via: 'x' } })).toEqual(['hard headers.etag', 'hard headers.via']);
  });
  test('lists of different length are one difference', () => {
    expect(kinds({ app: [1, 2] }, { app: [1] })).toEqual(['hard app']);
  });
  test('<<any>> and <<int>> stand for parts of a text', () => {
    expect(kinds('took <<int>> ms (<<any>>)', 'took 12 ms (a.b\nc)')).toEqual([]);
    expect(kinds('took <<int>> ms', 'took x ms')).toEqual(['hard ']);
  });
});

describe('compareStep', () => {
  const verdict = (step: object, seen: object | undefined) => worst(compareStep({ expect: { answer: { status: 500, text: '{"errorCode":"E","message":"m"}' } }, ...step }, seen));
  const answer = (status: number, errorCode: string, message: string) => ({ answer: { status, text: JSON.stringify({ errorCode, message }) } });

  test('a step that did not run differs', () => expect(verdict({}, undefined)).toBe('hard'));
  test('another message is hard, but only wording where the step says so', () => {
    expect(verdict({}, answer(500, 'E', 'other'))).toBe('hard');
    expect(verdict({ wording: 'go' }, answer(500, 'E', 'other'))).toBe('wording');
  });
  test('status and error code are never wording', () => {
    expect(verdict({ wording: 'go' }, answer(500, 'F', 'm'))).toBe('hard');
    expect(verdict({ wording: 'go' }, answer(400, 'E', 'm'))).toBe('hard');
  });
  test('where daprd is wrong anything goes', () => expect(verdict({ about: 'daprd defect: x' }, answer(200, 'X', ''))).toBe('defect'));
  test('a step without expectation is not compared', () => expect(verdict({ expect: undefined }, undefined)).toBeUndefined());
});
