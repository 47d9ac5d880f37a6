import { expect, test } from 'vitest';
import { answerElsewhereFrame, answerFrame, callFrame, cancelFrame, frameWriter, leavingFrame, readFrames } from './peer-frames.ts';

const frames = [
  callFrame(1, 'PUT', '/a?b=c', ['X-One', '1', 'X-Empty', ''], Buffer.from([0, 255, 10])),
  callFrame(4294967295, 'GET', '/', [], null),
  answerFrame(2, 204, [], null),
  answerFrame(3, 200, ['Content-Type', 'text/plain; é'], Buffer.alloc(0)),
  answerElsewhereFrame(4, 599, ['A', 'b'], 'ticket'),
  cancelFrame(5),
  leavingFrame(),
];

test('every frame reads back as it was written, alone and with others', () => {
  expect(readFrames(Buffer.concat(frames))).toEqual([
    { kind: 'call', id: 1, method: 'PUT', path: '/a?b=c', headers: ['X-One', '1', 'X-Empty', ''], body: Buffer.from([0, 255, 10]) },
    { kind: 'call', id: 4294967295, method: 'GET', path: '/', headers: [], body: null },
    { kind: 'answer', id: 2, status: 204, headers: [], body: null },
    { kind: 'answer', id: 3, status: 200, headers: ['Content-Type', 'text/plain; é'], body: Buffer.alloc(0) },
    { kind: 'answer', id: 4, status: 599, headers: ['A', 'b'], body: null, ticket: 'ticket' },
    { kind: 'cancel', id: 5 },
    { kind: 'leaving' },
  ]);
});

test('what is cut short or of another protocol is no frame', () => {
  const [call] = frames as [Buffer];
  for (let length = 1; length < call.length; length++) expect(readFrames(call.subarray(0, length)), `${length} bytes`).toBeUndefined();
  expect(readFrames(Buffer.concat([call, Buffer.from('GET / HTTP/1.1\r\n\r\n')]))).toBeUndefined();
  expect(readFrames(Buffer.alloc(16, 9))).toBeUndefined();
});

test('frames of one turn are one message, but not without end', async () => {
  const sent: Buffer[] = [];
  const writer = frameWriter((message) => sent.push(message));
  for (let id = 0; id < 3; id++) writer.write(cancelFrame(id));
  expect(sent).toEqual([]);
  await new Promise(setImmediate);
  expect(sent.map((message) => readFrames(message)?.length)).toEqual([3]);
  for (let id = 0; id < 3; id++) writer.write(answerFrame(id, 200, [], Buffer.alloc(40_000)));
  await new Promise(setImmediate);
  expect(sent.map((message) => readFrames(message)?.length)).toEqual([3, 1, 1, 1]);
});
