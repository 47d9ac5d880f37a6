import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startSchemaRegistry } from '../../../test/harness/schema-registry.ts';
import { createLogger } from '../../core/log.ts';
import { createNodeHttpClient } from '../../hosts/node/http-client.ts';
import { createAvroMessages, decoderFor, type RegistrySettings, valueToSend } from './schema-registry.ts';

const lines: string[] = [];
const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => lines.push(line) });
const http = createNodeHttpClient();
let registry: Awaited<ReturnType<typeof startSchemaRegistry>>;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  registry = await startSchemaRegistry({ credentials: 'key:secret' });
});
afterEach(async () => {
  vi.useRealTimers();
  await registry.stop();
});
const messages = (more: Partial<RegistrySettings> = {}) => createAvroMessages({ url: registry.url, user: 'key', password: 'secret', caching: true, latestMs: 60_000, avroJson: false, ...more }, http, log);
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);
const person = { type: 'record', name: 'Person', fields: [{ name: 'name', type: 'string' }, { name: 'age', type: ['null', 'int'], default: null }] };
const older = { ...person, fields: person.fields.slice(0, 1) };

test('Confluent\'s wire format, both ways', async () => {
  registry.register('other-value', older);
  const id = registry.register('people-value', person);
  const message = await messages().encode('people', bytes('{"name": "ä", "age": 5}'));
  expect([...message]).toEqual([0, 0, 0, 0, id, 4, 0xc3, 0xa4, 2, 10]);
  expect(text(await messages().decode(message))).toBe('{"name":"\\u00E4","age":5}');
  expect(text(await messages({ avroJson: true }).decode(message))).toBe('{"name":"\\u00E4","age":{"int":5}}');
  expect(await messages({ avroJson: true }).encode('people', bytes('{"age": {"int": 5}, "name": "ä"}'))).toEqual(message);
  expect(text(await messages().decode(await messages().encode('people', bytes('{"name":"x"}'))))).toBe('{"name":"x","age":null}');
});
test('schemas are asked for once; the latest of a subject again when its time is over; without caching each time', async () => {
  const [one, other] = [messages(), messages({ caching: false })];
  registry.register('t-value', older);
  const first = await Promise.all([one.encode('t', bytes('{"name":"a"}')), one.encode('t', bytes('{"name":"b"}'))]);
  registry.register('t-value', person);
  expect((await one.encode('t', bytes('{"name":"a"}')))).toEqual(first[0]);
  for (const message of first) await one.decode(message);
  expect(registry.state.requests).toEqual(['/subjects/t-value/versions/latest', '/schemas/ids/1']);
  vi.advanceTimersByTime(60_001);
  expect((await one.encode('t', bytes('{"name":"a"}')))[4]).toBe(2);
  registry.state.requests = [];
  for (let i = 0; i < 2; i++) await other.decode(await other.encode('t', bytes('{"name":"a"}')));
  expect(registry.state.requests).toHaveLength(4);
});
test('a registry that has gone away stops nobody who knows a schema, and is asked again', async () => {
  const one = messages();
  registry.register('t-value', older);
  const message = await one.encode('t', bytes('{"name":"a"}'));
  registry.register('t-value', person);
  registry.state.down = true;
  vi.advanceTimersByTime(60_001);
  expect(await one.encode('t', bytes('{"name":"a"}'))).toEqual(message);
  expect(lines.at(-1)).toContain('the latest schema of t-value could not be renewed');
  await expect(one.encode('u', bytes('{}'))).rejects.toMatchObject({ kind: 'unavailable', message: '{"error_code":50001,"message":"Error in the backend data store"}' });
  registry.state.down = false;
  vi.advanceTimersByTime(30_001);
  expect((await one.encode('t', bytes('{"name":"a"}')))[4]).toBe(2);
});
test('what goes wrong is said, and not remembered', async () => {
  const one = messages();
  await expect(one.encode('t', bytes('{}'))).rejects.toMatchObject({ kind: 'unavailable', message: '{"error_code":40401,"message":"Subject \'t-value\' not found."}' });
  registry.register('t-value', older);
  await expect(one.encode('t', bytes('{"nom":"a"}'))).rejects.toMatchObject({ kind: 'invalid', message: 'cannot decode textual record "Person": cannot decode textual map: cannot determine codec: "nom"' });
  expect((await one.encode('t', bytes('{"name":"a"}')))[4]).toBe(1);
  await expect(one.decode(Uint8Array.of(0, 0, 0, 1))).rejects.toThrow('value is too short');
  await expect(one.decode(Uint8Array.of(0, 0, 0, 0, 9, 0))).rejects.toThrow('Schema not found');
  await expect(one.decode(Uint8Array.of(0, 0, 0, 0, 1, 4))).rejects.toMatchObject({ kind: 'invalid', message: 'cannot decode binary record "Person" field "name": cannot decode binary string: cannot decode binary bytes: short buffer' });
  await expect(messages({ password: 'wrong' }).encode('t', bytes('{}'))).rejects.toThrow('Unauthorized');
  await expect(messages({ url: 'http://127.0.0.1:1' }).encode('t', bytes('{}'))).rejects.toThrow('Get "http://127.0.0.1:1/subjects/t-value/versions/latest": ');
  await expect(messages({ url: 'http://me:hidden@127.0.0.1:1', user: '' }).encode('t', bytes('{}'))).rejects.toThrow('Get "http://127.0.0.1:1/subjects/t-value/versions/latest": ');
  expect((await messages({ url: registry.url.replace('//', '//key:secret@'), user: '' }).encode('t', bytes('{"name":"a"}')))[4]).toBe(1);
  registry.register('bad-value', { type: 'record', name: 'R' });
  await expect(one.encode('bad', bytes('{}'))).rejects.toMatchObject({ kind: 'invalid', message: 'Record "R" ought to have fields key' });
});
test('which messages are Avro', async () => {
  registry.register('t-value', older);
  const avro = messages();
  const data = bytes('{"name":"a"}');
  expect(valueToSend(avro, 't', data, {})).toBe(data);
  expect(valueToSend(avro, 't', data, { VALUESCHEMATYPE: 'None' })).toBe(data);
  expect((await valueToSend(avro, 't', data, { valueSchemaType: 'avro' }))[0]).toBe(0);
  expect(text(await valueToSend(avro, 't', bytes('null'), { valueSchemaType: 'json' }))).toBe('null');
  expect(() => valueToSend(avro, 't', data, { valueSchemaType: 'json' })).toThrow("error parsing schema type. 'json' is not a supported value");
  expect(() => valueToSend(undefined, 't', data, { valueSchemaType: 'Avro' })).toThrow('schema registry details not set');
  expect(decoderFor(avro, {})).toBeUndefined();
  expect(decoderFor(avro, { valueSchemaType: 'Avro' })).toBe(avro.decode);
  expect(() => decoderFor(undefined, { valueSchemaType: 'Avro' })).toThrow('schema registry details not set');
});
