import { expect, test } from 'vitest';
import { dataOf, metadataOf, recordOf, sizeOf, type StoredRecord } from './record.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);
const stored = (more: Partial<StoredRecord> = {}): StoredRecord => ({ topic: 't', partition: 2, offset: '7', timestamp: '1700000000000', key: null, value: utf8('v'), headers: undefined, ...more });

test('metadata become headers, among them the key and the partition', () => {
  const record = recordOf(utf8('v'), { partitionKey: 'k', partitionNumber: '3', rawPayload: 'true', secret: 's' }, /^sec/u);
  expect(record).toEqual({ key: utf8('k'), value: utf8('v'), partition: 3, headers: { partitionKey: 'k', partitionNumber: '3', rawPayload: 'true' } });
  expect(recordOf(utf8('v'), { __key: 'k' }, undefined).key).toEqual(utf8('k'));
  expect(recordOf(utf8('v'), {}, undefined).key).toBeUndefined();
});
test('null is a tombstone, both ways', () => {
  expect(recordOf(utf8('null'), {}, undefined).value).toBeNull();
  expect(recordOf(utf8('nul'), {}, undefined).value).toEqual(utf8('nul'));
  expect(dataOf(stored({ value: null }))).toEqual(utf8('null'));
});
test.each([['x', 'invalid partitionNumber metadata value "x"'], ['-1', 'partitionNumber must be non-negative, got -1'], ['4294967296', 'value out of range']])('partitionNumber %s', (partitionNumber, message) => {
  expect(() => recordOf(utf8('v'), { partitionNumber }, undefined)).toThrow(message);
});
test('what is delivered with a message', () => {
  const record = stored({ key: utf8('k ü'), headers: { a: utf8('ż &'), many: [utf8('1'), utf8('2')], none: undefined, __topic: 'mine', secret: 's' } });
  expect(metadataOf(record, { escapeHeaders: false, exclude: /^secret$/u })).toEqual({ __key: 'k ü', __offset: '7', __topic: 'mine', __timestamp: '1700000000000', __partition: '2', a: 'ż &', many: '2', none: '' });
  expect(metadataOf(record, { escapeHeaders: true, exclude: undefined })).toMatchObject({ __key: 'k+%C3%BC', a: '%C5%BC+%26' });
  expect(metadataOf(stored(), { escapeHeaders: false, exclude: undefined })).not.toHaveProperty('__key');
});
test('the size that counts against maxMessageBytes', () => {
  expect(sizeOf({ key: utf8('key'), value: utf8('value'), headers: { ab: 'ü' }, partition: undefined })).toBe(36 + 3 + 5 + (10 + 2 + 2));
});
