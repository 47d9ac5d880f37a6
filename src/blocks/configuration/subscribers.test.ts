// Events of configuration stores on their way to who subscribed.
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../core/log.ts';
import type { ConfigurationEvent, ConfigurationItems } from './port.ts';
import { createSubscribers } from './subscribers.ts';

const lines: string[] = [];
const log = createLogger({ appId: 'a', instance: 'i', version: 'v', write: (line) => void lines.push(line) });
const items = (value: string): ConfigurationItems => new Map([['k', { value, version: '', metadata: {} }]]);
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
const values = (events: ConfigurationEvent[]) => events.map((event) => event.items.get('k')?.value);

/** A handler that waits for `open()`. */
function gate() {
  const events: ConfigurationEvent[] = [];
  let open = () => {};
  const opened = new Promise<void>((resolve) => { open = resolve; });
  return { events, open, handler: async (event: ConfigurationEvent) => { events.push(event); await opened; } };
}

describe('subscribers', () => {
  it('are told in order, what is read when their turn comes', async () => {
    const subscribers = createSubscribers(log);
    const { events, open, handler } = gate();
    subscribers.add({ keys: ['k'] }, handler);
    let now = 'first';
    subscribers.notify('k', () => items(now));
    await settled();
    now = 'second';
    subscribers.notify('k', () => items(now));
    now = 'third';
    open();
    await settled();
    expect(values(events)).toEqual(['first', 'third']);
  });
  it('do not pile up events while their handler takes its time', async () => {
    const subscribers = createSubscribers(log);
    const { events, open, handler } = gate();
    subscribers.add({ keys: [] }, handler);
    for (let i = 0; i < 1000; i++) subscribers.notify('k', () => items(String(i)));
    open();
    await settled();
    expect(events).toHaveLength(100);
    subscribers.notify('k', () => items('after'));
    await settled();
    expect(values(events).at(-1)).toBe('after');
  });
  it('hear nothing any more once they are removed, not even what waited', async () => {
    const subscribers = createSubscribers(log);
    const { events, open, handler } = gate();
    const { id } = subscribers.add({ keys: ['k'] }, handler);
    subscribers.notify('k', () => items('1'));
    subscribers.notify('k', () => items('2'));
    await settled();
    expect(subscribers.remove(id)?.id).toBe(id);
    expect(subscribers.remove(id)).toBeUndefined();
    open();
    await settled();
    expect(values(events)).toEqual(['1']);
  });
  it('go on after a handler or a read that failed, which the log tells', async () => {
    const subscribers = createSubscribers(log);
    const events: ConfigurationEvent[] = [];
    subscribers.add({ keys: ['k'] }, async (event) => { events.push(event); if (events.length === 1) throw new Error('app is gone'); });
    subscribers.notify('k', () => items('1'));
    subscribers.notify('k', async () => { throw new Error('store is gone'); });
    subscribers.notify('k', () => undefined);
    subscribers.notify('k', () => items('2'));
    await settled();
    expect(values(events)).toEqual(['1', '2']);
    expect(lines.join()).toMatch(/app is gone[\s\S]*store is gone/);
  });
});
