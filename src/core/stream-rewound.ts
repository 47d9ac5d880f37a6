// A stream of which something was read already, as one stream again.

/**
 * `parts`, then what `pending` brings, a read that was begun (also one that failed or found the end), then the rest.
 * Nothing more is read before somebody asks for it.
 */
export function rewound(reader: ReadableStreamDefaultReader<Uint8Array>, parts: readonly Uint8Array[], pending: Promise<ReadableStreamReadResult<Uint8Array>>): ReadableStream<Uint8Array> {
  let next: typeof pending | undefined = pending;
  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const part of parts) controller.enqueue(part);
    },
    pull: async (controller) => {
      const { done, value } = await (next ?? reader.read());
      next = undefined;
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
