// One partition of an Event Hub in the hands of this sidecar: how many of its events are at the app at once, and up to where all are done.

export interface Group<E> {
  events: readonly E[];
  /** The last of them. */
  last: E;
}
export interface LaneOptions<E> {
  /** Groups at the app at once; 1 keeps their order. */
  atOnce: number;
  /** Events that go to the app together; they wait so long for one another. */
  group: { size: number; waitMs: number };
  /** Every how many groups the place is written down; 0: never. */
  every: number;
  /** Resolves with true when these are done with, false when they have to come again. Never rejects. */
  handle(events: readonly E[]): Promise<boolean>;
  /** Writes down that everything up to this event is done. Never rejects. */
  checkpoint(event: E): Promise<void>;
}
export interface Lane<E> {
  /** Resolves as soon as there is room for more. */
  take(events: readonly E[]): Promise<void>;
  /** What has not begun is left; resolves when the rest has ended and its place is written down. `lost`: the partition is somebody else's now, nothing is written any more. */
  end(lost: boolean): Promise<void>;
}

/** The place is that before the oldest event still in hand: whoever reads on from there misses nothing. Only the newest place is worth writing, so one write at a time is enough. */
export function createLane<E>({ atOnce, group, every, handle, checkpoint }: LaneOptions<E>): Lane<E> {
  const begun: { last: E; done: boolean }[] = [];
  const waiting: (() => void)[] = [];
  let gathered: E[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = 0;
  let finished = 0;
  let ended = false;
  let lost = false;
  let due: E | undefined;
  let newest: E | undefined;
  let written: E | undefined;
  let writing: Promise<void> | undefined;
  let ending: Promise<void> | undefined;
  let idle = () => {};

  const write = () => {
    if (writing !== undefined || due === undefined || lost) return;
    const event = due;
    due = undefined;
    written = event;
    writing = checkpoint(event).finally(() => {
      writing = undefined;
      write();
    });
  };
  const settle = () => {
    while (begun[0]?.done) {
      newest = (begun.shift() as { last: E }).last;
      if (every > 0 && finished++ % every === 0) due = newest;
    }
    write();
  };
  const run = async (events: readonly E[]) => {
    const entry = { last: events.at(-1) as E, done: false };
    begun.push(entry);
    entry.done = await handle(events);
    settle();
    running--;
    for (const next of waiting.splice(0)) next();
    if (running === 0) idle();
  };
  const room = async () => {
    while (running >= atOnce && !ended) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const send = (events: readonly E[]) => {
    running++;
    void run(events);
  };
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const events = gathered;
    gathered = [];
    if (events.length > 0 && !ended) send(events);
  };
  const finish = async (): Promise<void> => {
    if (running > 0) await new Promise<void>((resolve) => (idle = resolve));
    await writing;
    // The last place counts, whatever the frequency.
    if (every > 0 && newest !== undefined && newest !== written && !lost) await checkpoint(newest);
  };
  return {
    take: async (events) => {
      for (const event of events) {
        await room();
        if (ended) return;
        gathered.push(event);
        if (gathered.length >= group.size) flush();
        else timer ??= setTimeout(() => void room().then(flush), group.waitMs);
      }
      await room();
    },
    end: (isLost) => {
      ended = true;
      lost ||= isLost;
      flush();
      for (const next of waiting.splice(0)) next();
      ending ??= finish();
      return ending;
    },
  };
}
