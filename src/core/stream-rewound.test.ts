import { expect, test } from 'vitest';
import { rewound } from './stream-rewound.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
/** A stream that counts how often it was asked, and fails after its pieces where it is to. */
function source(pieces: string[], failure?: Error) {
  const seen = { asked: 0, cancelled: undefined as unknown };
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const piece = pieces[seen.asked++];
      if (piece !== undefined) controller.enqueue(bytes(piece));
      else if (failure) controller.error(failure);
      else controller.close();
    },
    cancel: (reason) => { seen.cancelled = reason; },
  }, { highWaterMark: 0 });
  return { seen, reader: stream.getReader() };
}

test('begins again with what was read, goes on with the read under way and the rest', async () => {
  const { reader } = source(['a', 'b', 'c', 'd']);
  const parts = [(await reader.read()).value as Uint8Array, (await reader.read()).value as Uint8Array];
  expect(await new Response(rewound(reader, parts, reader.read())).text()).toBe('abcd');
});

test('tells an end that was found already, and a failure', async () => {
  const ended = source([]);
  const end = ended.reader.read();
  await end;
  expect(await new Response(rewound(ended.reader, [], end)).text()).toBe('');
  const { reader } = source(['a'], new Error('cut'));
  const first = (await reader.read()).value as Uint8Array;
  const failed = reader.read();
  await failed.catch(() => {});
  const again = rewound(reader, [first], failed).getReader();
  expect((await again.read()).value).toEqual(bytes('a'));
  await expect(again.read()).rejects.toThrow('cut');
});

test('reads nothing ahead, and hands a cancellation on', async () => {
  const { reader, seen } = source(['a', 'b', 'c']);
  const again = rewound(reader, [], reader.read()).getReader();
  expect((await again.read()).value).toEqual(bytes('a'));
  await new Promise((done) => setTimeout(done, 5));
  expect(seen.asked).toBe(1);
  await again.cancel('enough');
  expect(seen.cancelled).toBe('enough');
});
