// A stream that tells when it is over.

/**
 * The same stream, read only as fast as its reader asks. `done` learns how many bytes went through: at the end, where it breaks off, or when
 * nobody wants the rest.
 */
export function tellingEnd(stream: ReadableStream<Uint8Array>, done: (bytes: number) => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let bytes = 0;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done: ended, value } = await reader.read();
        if (!ended) {
          bytes += value.length;
          return controller.enqueue(value);
        }
        done(bytes);
        controller.close();
      } catch (error) {
        done(bytes);
        controller.error(error);
      }
    },
    cancel: (reason) => {
      done(bytes);
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
