import { describe, expect, test } from 'vitest';
import { parseResourceYaml, splitDocuments, YamlError } from './yaml.ts';

const parse = (text: string) => parseResourceYaml({ text, line: 1 });

describe('documents of a file', () => {
  const texts = (file: string) => splitDocuments(file).map((chunk) => chunk.text);
  test.each([
    ['a: 1', ['a: 1']],
    ['---\na: 1\n---\nb: 2\n', ['---\na: 1', 'b: 2\n']],
    ['a: 1\n--- # the rest of the line is dropped\nb: 2', ['a: 1', 'b: 2']],
    ['a: 1\r\n---\r\nb: 2\r\n', ['a: 1', 'b: 2\n']],
    // upstream loses the first document here
    ['a: 1\n--- end', ['a: 1']],
    ['a: 1\n---', ['a: 1']],
    ['', ['']],
  ])('%j', (file, expected) => expect(texts(file)).toEqual(expected));

  test('know their first line', () => expect(splitDocuments('a: 1\nb: 2\n---\nc: 3\n---\n\nd: 4').map((chunk) => chunk.line)).toEqual([1, 4, 6]));
  test('may be longer than 64 KiB', () => expect(splitDocuments(`a: ${'x'.repeat(100_000)}\n---\nb: 1`)).toHaveLength(2));
});

describe("scalars by Go's rules", () => {
  test.each([
    ['yes', true], ['On', true], ['n', false], ['OFF', false], ['"yes"', 'yes'], ['yEs', 'yEs'],
    ['~', null], ['', null], ['null', null], ['Nil', 'Nil'],
    ['0x1F', 31], ['010', 8], ['0o10', 8], ['0b101', 5], ['1_000', 1000], ['-5', -5], ['+5', 5], ['089', 89], ['08', 8],
    ['1.50', 1.5], ['.5', 0.5], ['3.', 3], ['1e3', 1000], ['1e999', '1e999'], ['1.2.3', '1.2.3'],
    ['12:30:45', '12:30:45'], ['2026-01-02', '2026-01-02'], ['12345678901234567890', 12345678901234567890n], ['123456789012345678901', 123456789012345680000],
    ['!!str 5', '5'], ["'010'", '010'],
  ] as const)('%s', (text, value) => expect(parse(text)).toEqual(value));
});

test('anchors, merge keys, flow style', () => expect(parse('base: &b {x: 1, z: 2}\nuse: {<<: *b, z: 3}')).toEqual({ base: { x: 1, z: 2 }, use: { x: 1, z: 3 } }));
test('of a key given twice the last counts', () => expect(parse('a: 1\na: 2')).toEqual({ a: 2 }));
test('what follows three dots is ignored', () => expect(parse('a: 1\n...\nb: [')).toEqual({ a: 1 }));
test('keys that objects know stay plain keys', () => expect(Object.keys(parse('__proto__: {x: 1}') as object)).toEqual(['__proto__']));
test('a fault names its line in the file', () => {
  expect(() => parseResourceYaml({ text: 'a: 1\nb:\n\tc: 1', line: 10 })).toThrow(/^line 12: /);
  expect(() => parse('a: [')).toThrow(YamlError);
});
test('a heap of aliases is refused', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', ...['b', 'c', 'd', 'e', 'f', 'g'].map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdef'[i]}`).join(',')}]`)].join('\n');
  expect(() => parse(bomb)).toThrow(YamlError);
});
