import { describe, expect, it, vi } from 'vitest';
import { background } from '../../core/context.ts';
import { utf8 } from '../../core/go-json.ts';
import { subscribeInBatches } from './batches.ts';
import type { BulkMessage, MessageHandler } from './port.ts';

/** A bulk subscription on a broker that hands over what it is told to; the app answers each batch when told. */
async function gathering(more: { most?: number; waitMs?: number; immediate?: boolean } = {}) {
  const batches: string[][] = [];
  const ends: ((failures: ReadonlyMap<string, unknown>) => void)[] = [];
  const all: BulkMessage[] = [];
  const settled: Record<string, string> = {};
  let hand: MessageHandler = async () => undefined;
  const close = vi.fn(async () => undefined);
  const subscription = await subscribeInBatches({
    request: { topic: 't', metadata: {}, maxMessagesCount: more.most ?? 0, maxAwaitDurationMs: more.waitMs ?? 0 }, immediate: more.immediate ?? false,
    handler: (batch) => new Promise((resolve) => {
      all.push(batch);
      batches.push(batch.entries.map(({ metadata }) => metadata?.name as string));
      ends.push(resolve);
    }),
    subscribe: async (handler) => {
      hand = handler;
      return { close };
    },
  });
  const send = (...names: string[]) => {
    for (const name of names) hand({ topic: 't', data: utf8(name), metadata: { name } }, background).then(() => { settled[name] = 'done'; }, (error: Error) => { settled[name] = error.message; });
  };
  const answer = async (failures: Record<string, string> = {}) => {
    const { entries } = all[all.length - ends.length] as BulkMessage;
    const failed = new Map(entries.flatMap(({ entryId, metadata }) => (failures[metadata?.name ?? ''] === undefined ? [] : [[entryId, new Error(failures[metadata?.name ?? ''])] as const])));
    ends.shift()?.(failed);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return { batches, send, answer, settled, subscription, close };
}

describe('batches', () => {
  it('go out when they are full; what comes meanwhile makes the next one', async () => {
    const { batches, send, answer, settled } = await gathering({ most: 2, waitMs: 60_000 });
    send('a', 'b', 'c', 'd', 'e');
    expect(batches).toEqual([['a', 'b']]);
    await answer({ b: 'no' });
    expect(settled).toEqual({ a: 'done', b: 'no' });
    expect(batches).toEqual([['a', 'b'], ['c', 'd']]);
    await answer();
    expect(batches).toHaveLength(2); // e waits for company
  });
  it('go out when the time from the first message is over, a second where none is named', async () => {
    vi.useFakeTimers();
    try {
      const { batches, send } = await gathering();
      send('a');
      await vi.advanceTimersByTimeAsync(900);
      send('b');
      expect(batches).toEqual([]);
      await vi.advanceTimersByTimeAsync(101);
      expect(batches).toEqual([['a', 'b']]);
    } finally {
      vi.useRealTimers();
    }
  });
  it('the time of what gathered begins when the batch before is done', async () => {
    vi.useFakeTimers();
    try {
      const { batches, send, answer } = await gathering({ most: 1, waitMs: 100 });
      send('a', 'b');
      expect(batches).toEqual([['a']]);
      await vi.advanceTimersByTimeAsync(500);
      expect(batches).toEqual([['a']]);
      await answer();
      expect(batches).toEqual([['a'], ['b']]);
    } finally {
      vi.useRealTimers();
    }
  });
  it('go out at once where the broker waits for each message', async () => {
    const { batches, send } = await gathering({ immediate: true });
    send('a');
    expect(batches).toEqual([['a']]);
  });
  it('closing sends what has gathered, and what still comes, at once', async () => {
    const { batches, send, answer, subscription, close } = await gathering({ waitMs: 60_000 });
    send('a');
    void subscription.close();
    expect([batches, close.mock.calls.length]).toEqual([[['a']], 1]);
    send('b');
    await answer();
    expect(batches).toEqual([['a'], ['b']]);
  });
  it('a hundred where no number is named', async () => {
    const { batches, send } = await gathering({ waitMs: 60_000 });
    send(...Array.from({ length: 130 }, (_, i) => String(i)));
    expect(batches.map(({ length }) => length)).toEqual([100]);
  });
});
