// Protobuf's JSON as Dapr reads it.
import { describe, expect, it } from 'vitest';
import { protoInt32, protoMessage, protoString } from './proto-json.ts';

const message = protoMessage({ resourceId: protoString, expiryInSeconds: protoInt32 });
const read = (text: string) => message.read(new TextEncoder().encode(text));

describe('a protobuf message in JSON', () => {
  it.each([
    ['', '', 0],
    ['{}', '', 0],
    [' \n{"resourceId":"a","expiryInSeconds":60}\t', 'a', 60],
    ['{"resource_id":"a","expiry_in_seconds":"60"}', 'a', 60],
    ['{"resourceId":null,"expiryInSeconds":null}', '', 0],
    ['{"expiryInSeconds":60.0}', '', 60],
    ['{"expiryInSeconds":6e1}', '', 60],
    ['{"expiryInSeconds":"-6.0E1"}', '', -60],
    ['{"expiryInSeconds":-0}', '', 0],
    ['{"ResourceId":"x","other":{"resourceId":[1,"}",{"a":":"}]},"resourceId":"\\u00fc\\"}"}', 'ü"}', 0],
    ['{"a":[],"a":{},"resourceId":"dup of unknown is fine"}', 'dup of unknown is fine', 0],
  ])('%s', (text, resourceId, expiryInSeconds) => expect(read(text)).toEqual({ resourceId, expiryInSeconds }));

  it.each([
    ['{"resourceId":1}', 'proto: (line 1:15): invalid value for string field resourceId: 1'],
    ['{\n "expiryInSeconds": 60.5}', 'proto: (line 2:21): invalid value for int32 field expiryInSeconds: 60.5'],
    ['{"expiryInSeconds":"x"}', 'invalid value for int32 field expiryInSeconds: "x"'],
    ['{"expiryInSeconds":" 60"}', 'invalid value for int32'],
    ['{"expiryInSeconds":""}', 'invalid value for int32'],
    ['{"expiryInSeconds":true}', 'invalid value for int32'],
    ['{"expiryInSeconds":2147483648}', 'invalid value for int32'],
    ['{"resourceId":"a","resource_id":"b"}', 'proto: (line 1:19): duplicate field "resource_id"'],
    ['{"resourceId":"a"} x', 'proto: syntax error: invalid character'],
    ['{"resourceId":', 'proto: syntax error: unexpected end of JSON input'],
    [' ', 'proto: syntax error'],
    ['null', 'proto: syntax error (line 1:1): unexpected token null'],
    ['[]', 'unexpected token []'],
    ['{"resourceId":"\\ud800"}', 'invalid value for string'],
  ])('%s is refused', (text, words) => expect(() => read(text)).toThrow(words));

  it('refuses bytes that are no text', () => expect(() => message.read(new Uint8Array([0x7b, 0xff, 0x7d]))).toThrow('invalid UTF-8'));
});
