// What a component reads at the moment: each reader may be closed by who began it, and all of them with the component.

interface Reader {
  close(): Promise<void>;
}

export interface OpenReaders {
  /** The same reader, remembered until it is closed through what comes back. */
  keep(reader: Reader): Reader;
  /** Closes those that are still open. */
  close(): Promise<void>;
}

export function createOpenReaders(): OpenReaders {
  const open = new Set<Reader>();
  return {
    keep: (reader) => {
      open.add(reader);
      return {
        close: async () => {
          open.delete(reader);
          await reader.close();
        },
      };
    },
    close: async () => {
      await Promise.all([...open].map((reader) => reader.close()));
    },
  };
}
