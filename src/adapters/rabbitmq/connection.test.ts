import { expect, test } from 'vitest';
import { amqpText, parseAmqpAddress } from './connection.ts';

test('an address as Go reads it', () => {
  expect(parseAmqpAddress('amqp://localhost')).toEqual({ protocol: 'amqp', hostname: 'localhost', port: 5672, vhost: '/' });
  expect(parseAmqpAddress('amqps://user:p%40ss@rabbit.example:1234/my%2Fhost?heartbeat=30')).toEqual({ protocol: 'amqps', hostname: 'rabbit.example', port: 1234, vhost: 'my/host', username: 'user', password: 'p@ss', heartbeat: 30 });
  expect(parseAmqpAddress('amqp://u@[::1]:80/')).toEqual({ protocol: 'amqp', hostname: '::1', port: 80, vhost: '/', username: 'u', password: '' });
  expect(parseAmqpAddress('amqps://h').port).toBe(5671);
});
test.each([
  ['http://h', "AMQP scheme must be either 'amqp://' or 'amqps://'"],
  ['localhost:5672', 'AMQP scheme'],
  ['amqp://h x', 'whitespace'],
  ['amqp://u:secret@h:port', 'malformed'],
])('%s is refused', (text, words) => {
  expect(() => parseAmqpAddress(text)).toThrow(words);
  expect(() => parseAmqpAddress(text)).not.toThrow('secret');
});
test('refusals have the words of the Go driver', () => {
  expect(amqpText(new Error(`Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg 'durable'"`))).toBe(`Exception (406) Reason: "PRECONDITION_FAILED - inequivalent arg 'durable'"`);
  expect(amqpText(new Error('channel closed'))).toBe('channel/connection is not open');
  expect(amqpText(new Error('connect ECONNREFUSED 127.0.0.1:1'))).toBe('connect ECONNREFUSED 127.0.0.1:1');
});
