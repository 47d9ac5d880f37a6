// Avro as daprd's library does it: what goavro 2.14.1 made of 958 schemas, texts and bytes (test/fixtures/avro/goavro.json).
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readAvro, writeAvro } from './avro-binary.ts';
import { formatAvroJson, parseAvroJson } from './avro-json.ts';
import { parseAvroSchema } from './avro-schema.ts';

/** What goavro said: `wrote[i]` hex of `text[i]`, `back[i]` the text of that again, `read[i]` the text of `binary[i]`; `error: …` instead; `refused`: why it is no schema. `avro`: unions as Avro's own JSON has them. */
interface Case {
  schema: unknown;
  avro?: boolean;
  refused?: string;
  text?: string[];
  wrote?: string[];
  back?: string[];
  binary?: string[];
  read?: string[];
}
const cases = JSON.parse(readFileSync(new URL('../../../test/fixtures/avro/goavro.json', import.meta.url), 'utf8')) as Case[];

const attempt = (work: () => string): string => {
  try {
    return work();
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
};
/** goavro writes the fields of a record in any order. */
const sorted = (text: string): string => (text.startsWith('{') ? [...text].sort().join('') : text);

test.each(cases.map((one, i) => [i, JSON.stringify(one.schema), one] as const))('%i %s', (_, schema, { avro = false, refused, text = [], wrote = [], back = [], binary = [], read = [] }) => {
  let type: ReturnType<typeof parseAvroSchema>;
  try {
    type = parseAvroSchema(schema);
  } catch (error) {
    expect((error as Error).message).toBe(refused);
    return;
  }
  expect(refused).toBeUndefined();
  const toText = (bytes: Uint8Array): string => formatAvroJson(type, readAvro(type, bytes), !avro);
  const ours = text.map((one) => {
    const hex = attempt(() => Buffer.from(writeAvro(type, parseAvroJson(type, Buffer.from(one), !avro))).toString('hex'));
    return [one, hex, hex.startsWith('error') ? '' : sorted(attempt(() => toText(Buffer.from(hex, 'hex'))))];
  });
  expect(ours).toEqual(text.map((one, i) => [one, wrote[i], sorted(back[i] as string)]));
  expect(binary.map((hex) => [hex, sorted(attempt(() => toText(Buffer.from(hex, 'hex'))))])).toEqual(binary.map((hex, i) => [hex, sorted(read[i] as string)]));
});

test('a message of a few bytes does not become a list of two thousand million', () => {
  expect(readAvro(parseAvroSchema('{"type":"array","items":"null"}'), Buffer.from('0400', 'hex'))).toEqual([null, null]);
  for (const items of ['"null"', '{"type":"record","name":"R","fields":[]}']) expect(() => readAvro(parseAvroSchema(`{"type":"array","items":${items}}`), Buffer.from('feffffff0f00', 'hex'))).toThrow('items without content');
  expect(() => readAvro(parseAvroSchema('{"type":"array","items":"int"}'), Buffer.from('feffffff0f02', 'hex'))).toThrow('short buffer');
});
