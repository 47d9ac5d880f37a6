// Reading a Redis stream as a member of a consumer group: new entries, and those somebody took and never acknowledged.
import { textOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { RedisConnection, RedisReply } from './connection.ts';

export interface StreamEntry {
  id: string;
  /** The first value of each field. */
  fields: ReadonlyMap<string, Uint8Array>;
}
export interface StreamGroup {
  stream: string;
  /** Name of the group and of the one consumer in it. */
  group: string;
  /** Entries per command. */
  count: number;
  log: Logger;
  closing(): boolean;
  /** Resolves when there is room for more. */
  take(entries: StreamEntry[]): Promise<void>;
}

/** A group that reads the stream from its beginning; fine where it exists. */
export async function createGroup(redis: RedisConnection, stream: string, group: string): Promise<void> {
  try {
    await redis.command('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM');
  } catch (error) {
    if (!textOf(error).startsWith('BUSYGROUP')) throw error;
  }
}

/** Takes new entries until closing; `reader` is a connection of its own, `redis` one that never blocks. blockMs 0: wait for ever. */
export async function readNew(reader: RedisConnection, redis: RedisConnection, blockMs: number, { stream, group, count, log, closing, take }: StreamGroup): Promise<void> {
  let pause = 0;
  while (!closing()) {
    try {
      const reply = await reader.command('XREADGROUP', 'GROUP', group, group, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', stream, '>');
      pause = 0;
      for (const part of listOf(reply)) await take(entriesOf(listOf(part)[1]));
    } catch (error) {
      if (closing()) return;
      const text = textOf(error);
      log.error(`redis streams: error reading from stream ${stream}: ${text}`);
      if (text.includes('NOGROUP')) {
        // The server lost data, or somebody removed group or stream. From the beginning again: better twice than never.
        log.warn(`redis streams: recreating group ${group} for stream ${stream}`);
        await createGroup(redis, stream, group).catch((why) => log.error(`redis streams: ${textOf(why)}`));
      }
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(1000, pause * 2 + 50);
    }
  }
}

/** Claims entries that wait for an acknowledgement longer than idleMs, page by page. `mine` are those this process still has in hand. */
export async function reclaim(redis: RedisConnection, idleMs: number, mine: (id: string) => boolean, { stream, group, count, closing, take }: StreamGroup): Promise<void> {
  for (let from = '-'; !closing(); ) {
    const page = listOf(await redis.command('XPENDING', stream, group, from, '+', count)).map(listOf);
    const overdue = page.filter(([id, , idle]) => Number(idle) >= idleMs && !mine(textOfReply(id))).map(([id]) => textOfReply(id));
    if (overdue.length > 0 && !closing()) {
      const claimed = listOf(await redis.command('XCLAIM', stream, group, group, idleMs, ...overdue));
      const entries = entriesOf(claimed);
      await take(entries);
      // Servers before 7 answer null for entries that are no longer in the stream and keep them pending.
      if (claimed.includes(null)) await forgetGone(redis, stream, group, overdue.filter((id) => entries.every((entry) => entry.id !== id)));
    }
    if (page.length < count) return;
    from = after(textOfReply(page[page.length - 1]?.[0]));
  }
}

async function forgetGone(redis: RedisConnection, stream: string, group: string, ids: string[]): Promise<void> {
  for (const id of ids) if (listOf(await redis.command('XRANGE', stream, id, id)).length === 0) await redis.command('XACK', stream, group, id);
}

const decoder = new TextDecoder();
const listOf = (reply: RedisReply | undefined): RedisReply[] => (Array.isArray(reply) ? reply : []);
const textOfReply = (reply: RedisReply | undefined): string => (reply instanceof Uint8Array ? decoder.decode(reply) : String(reply ?? ''));
const after = (id: string) => {
  const [ms, sequence] = id.split('-') as [string, string];
  return `${ms}-${BigInt(sequence) + 1n}`;
};

/** Entries as XREADGROUP and XCLAIM list them; those without fields are gone from the stream. */
function entriesOf(reply: RedisReply | undefined): StreamEntry[] {
  return listOf(reply).flatMap((item) => {
    const [id, values] = listOf(item);
    if (!Array.isArray(values)) return [];
    const fields = new Map<string, Uint8Array>();
    for (let i = 0; i + 1 < values.length; i += 2) {
      const field = textOfReply(values[i]);
      if (!fields.has(field) && values[i + 1] instanceof Uint8Array) fields.set(field, values[i + 1] as Uint8Array);
    }
    return [{ id: textOfReply(id), fields }];
  });
}
